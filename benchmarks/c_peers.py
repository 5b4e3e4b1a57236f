"""Models in C from the same file: ours, and those of peers."""

import re
import subprocess
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path

import bakenn
import onnx
from bakenn import MemoryReport
from bakenn.backend.portable_c import CBackendOptions, KernelPolicy
from bakenn.targets import CORTEX_M4
from torch import Tensor, nn

from benchmarks.boards import Sources, sources_of
from benchmarks.tflite import read
from quantlab.deploy.onnx.qdq import qdq_model


def ours(file: Path, folder: Path, *, is_test: bool = False) -> Sources:
    """Write our model into a folder. is_test: whether its call is its own test, which compares the
    outputs with the interpreter's."""
    return sources_of(read(file).program, folder, is_test=is_test)


def bakenn_portable(file: Path, folder: Path) -> Sources:
    """Write BakeNN's model of plain C into a folder."""
    return _bakenn(file, folder, CBackendOptions())


def bakenn_cmsis_nn(file: Path, folder: Path) -> Sources:
    """Write BakeNN's model with CMSIS-NN's kernels into a folder."""
    options = CBackendOptions(
        kernel_policy=KernelPolicy.STATIC_PRIORITY, enable_cmsis_nn=True, target=CORTEX_M4
    )
    return _bakenn(file, folder, options)


def bakenn_of_torch(model: nn.Module, samples: Sequence[Tensor], folder: Path) -> Sources:
    """Write BakeNN's model of plain C, quantized by BakeNN, into a folder."""
    compiled = bakenn.compile_torch_ptq(model, samples[0], samples, folder, name="net")
    return _sources(compiled.memory_report, folder)


def _bakenn(file: Path, folder: Path, options: CBackendOptions) -> Sources:
    """file: one of the patched ones; BakeNN refuses the others."""
    model = bakenn.compile_tflite(file, folder, name="net", backend_options=options)
    return _sources(model.memory_report, folder)


def _sources(report: MemoryReport, folder: Path) -> Sources:
    """Return what BakeNN wrote into a folder."""
    lists = (folder / "bakenn_sources.cmake").read_text(encoding="utf-8")
    sources, includes, definitions = (
        re.findall(r'"\$\{CMAKE_CURRENT_LIST_DIR\}/([^"]*)"|^  (\w+=?\w*)$', block, re.MULTILINE)
        for block in re.findall(r"set\(\w+\n(.*?)\)", lists, re.DOTALL)[:3]
    )
    return Sources(
        files=[folder / path for path, _ in sources],
        includes=[folder / path for path, _ in includes],
        headers=["bknn_net.h"],
        call="(bknn_net_infer(arena, (const int8_t*)input, (int8_t*)output), 0)",
        arena_bytes=report.arena_bytes,
        input_bytes=report.input_bytes,
        output_bytes=report.output_bytes,
        definitions=[definition for _, definition in definitions],
    )


def emx_onnx_cgen(file: Path, folder: Path) -> Sources:
    """Write emx-onnx-cgen's model of our `qdq.onnx` into a folder: it computes in floats. All its
    tensors lie on the stack, as it is told, for these machines have no heap."""
    program = read(file).program
    model = qdq_model(program)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    folder.mkdir()
    onnx.save(model, folder / "qdq.onnx")
    command = [str(Path(sys.executable).with_name("emx-onnx-cgen")), "compile"]
    command += ["--large-temp-threshold", "0", "--large-weight-threshold", "0"]
    command += ["--model-name", "net", str(folder / "qdq.onnx"), str(folder / "net.c")]
    subprocess.run(command, capture_output=True, check=True)
    (given,), (made,) = program.inputs.values(), program.outputs
    (folder / "net.h").write_text("void net(const void*, void*);\n")
    return Sources(
        files=[folder / "net.c"],
        includes=[folder],
        headers=["net.h"],
        call="(net(input, output), 0)",
        arena_bytes=0,
        input_bytes=prod(given.shape),
        output_bytes=4 * prod(program.types[made].shape),
    )
