"""`main.py verify`: the proof that what is deployed computes what was trained."""

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table
from torch import Tensor

import quantlab
from experiments.command_line import Invocation, Option, Syntax
from experiments.commands import options
from experiments.commands.conduct import load_data
from experiments.commands.restored import Restored, restore
from experiments.deployment import program_of, raw_images, stored_program
from experiments.progress import console
from experiments.protocols import Data, InMemory
from experiments.runs.files import write_atomically, write_json
from experiments.session import local_session
from experiments.torchvision_networks import calibrated
from quantlab.errors import UsageError, did_you_mean
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import tensor_hashes, to_bytes
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison, Engine, Interpreter, compare

CERTIFICATE = "certificate.json"
_NUM_SAMPLES, _NUM_PHOTOS, _BATCH_SIZE = 1000, 8, 50

SYNTAX = Syntax(
    help="prove that a run's integer program is computed alike everywhere",
    options={
        **options.STORED_NETWORK,
        "backends": Option(help="numpy, fast, onnx; by default all that are installed"),
        "samples": Option(help=f"how many images; {_NUM_SAMPLES} by default, {_NUM_PHOTOS} photos"),
        "torchvision": Option(help="instead of a run: a network of torchvision's, weights random"),
        "images": Option(help="with --torchvision: a folder of photos"),
    },
)


def run(invocation: Invocation) -> int:
    """Lower the network, run every back end on real samples, write the certificate."""
    backends = _backends(invocation)
    is_run = not invocation.has("torchvision")
    default = _NUM_SAMPLES if is_run else _NUM_PHOTOS
    count = invocation.number("samples") if invocation.has("samples") else default
    if count < 1:
        raise UsageError(f"--samples={count}: at least 1 allowed")
    for name in ("problem", "exp_id") if is_run else ("images",):
        if not invocation.has(name):
            raise UsageError(f"verify needs --{name}=...; see: main.py verify --help")
    return (
        _of_run(invocation, backends, count)
        if is_run
        else _of_torchvision(invocation, backends, count)
    )


def _of_torchvision(invocation: Invocation, backends: list[str], count: int) -> int:
    name, folder = invocation.options["torchvision"], Path(invocation.options["images"])
    found = calibrated(name, folder, count)
    with TemporaryDirectory() as artefacts:
        make = {backend: _ENGINES[backend] for backend in backends}
        engines = {backend: new(found.program, Path(artefacts)) for backend, new in make.items()}
        comparisons = compare(found.program, engines, _batches(found.photos, _NUM_PHOTOS // 4))
    _print_table(comparisons)
    console.print(f"{name}: {len(found.program.operations)} operations", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0


def _of_run(invocation: Invocation, backends: list[str], count: int) -> int:
    restored = restore(invocation)
    data = load_data(restored.problem, restored.config, local_session())
    program = program_of(restored.network, restored.library, data)
    folder = restored.artefacts
    engines = {name: _ENGINES[name](program, folder) for name in backends}
    images = raw_images(data, "test", count)
    comparisons = compare(program, engines, _batches(images, _BATCH_SIZE))
    statistics = _statistics(restored, program, data, images)
    certificate = _certificate(restored, program, images, comparisons, statistics)
    write_json(folder / CERTIFICATE, certificate)
    _print(comparisons, statistics, folder / CERTIFICATE)
    for comparison in comparisons:
        comparison.check()
    return 0


def _numpy(program: Program, folder: Path) -> Engine:
    return Interpreter(stored_program(folder / "program.qlp", program))


def _fast(program: Program, folder: Path) -> Engine:
    return FastEngine(stored_program(folder / "program.qlp", program))


def _onnx(program: Program, folder: Path) -> Engine:
    from quantlab.deploy.onnx.exact import exact_model
    from quantlab.deploy.onnx.runtime import OnnxEngine
    from quantlab.deploy.onnx.tensors import read_model

    expected, path = exact_model(program), folder / "exact.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, expected.SerializeToString(deterministic=True))
    return OnnxEngine(read_model(path.read_bytes(), expected, str(path)))


_ENGINES: Mapping[str, Callable[[Program, Path], Engine]] = {
    "numpy": _numpy,
    "fast": _fast,
    "onnx": _onnx,
}
_NEEDS = {"onnx": ("onnx", "onnxruntime")}


def _backends(invocation: Invocation) -> list[str]:
    missing = {
        name: [package for package in packages if find_spec(package) is None]
        for name, packages in _NEEDS.items()
    }
    if not invocation.has("backends"):
        return [name for name in _ENGINES if not missing.get(name)]
    names = invocation.options["backends"].split(",")
    for name in names:
        if name not in _ENGINES:
            raise UsageError(
                f"--backends: '{name}' given, {', '.join(_ENGINES)} allowed"
                f"{did_you_mean(name, _ENGINES)}"
            )
        if missing.get(name):
            needed = ", ".join(missing[name])
            raise UsageError(f"--backends: {name} needs {needed}; install quantlab[{name}]")
    return names


def _batches(images: Tensor, size: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    for part in images.split(size):
        yield {"input": part.numpy()}


@torch.no_grad()
def _statistics(
    restored: Restored, program: Program, data: Data, images: Tensor
) -> dict[str, float]:
    """Return how the program's answers compare with the fake-quantized network's: they are not
    computed in integers, so that a code may differ."""
    assert isinstance(data.test, InMemory)
    targets = data.test.targets[: len(images)]
    scores, fakes = [], []
    (output,) = program.outputs
    engine = FastEngine(program)
    for part in images.split(_BATCH_SIZE):
        integers = engine.run({"input": part.numpy()})[output]
        scores.append(torch.from_numpy(program.reals[output](integers)))
        fakes.append(restored.network(restored.library.preprocess.evaluate(part)).double())
    integer, fake = torch.cat(scores), torch.cat(fakes)
    return {
        "integer_top1": 100 * (integer.argmax(1) == targets).double().mean().item(),
        "fake_quantized_top1": 100 * (fake.argmax(1) == targets).double().mean().item(),
        "same_class": 100 * (integer.argmax(1) == fake.argmax(1)).double().mean().item(),
        "largest_difference": (integer - fake).abs().max().item(),
    }


def _certificate(
    restored: Restored,
    program: Program,
    images: Tensor,
    comparisons: list[Comparison],
    statistics: dict[str, float],
) -> dict[str, Any]:
    packages = ("numpy", "torch", "onnx", "onnxruntime")
    return {
        "run": f"{restored.problem.name}/{restored.folder.name}",
        "checkpoint": restored.checkpoint,
        "program_sha256": hashlib.sha256(to_bytes(program)).hexdigest(),
        "tensors_sha256": tensor_hashes(program),
        "samples": len(images),
        "samples_sha256": hashlib.sha256(images.numpy().tobytes()).hexdigest(),
        "engines": [asdict(comparison) for comparison in comparisons],
        "against_fake_quantized": statistics,
        "versions": {"quantlab": quantlab.__version__}
        | {name: version(name) for name in packages if find_spec(name) is not None},
        "machine": {"python": platform.python_version(), "cpu": _cpu()},
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _print(comparisons: list[Comparison], statistics: dict[str, float], path: Path) -> None:
    _print_table(comparisons)
    console.print(
        "top-1: integers {integer_top1:.2f} %, fake-quantized {fake_quantized_top1:.2f} %; "
        "the same class for {same_class:.2f} %".format(**statistics)
    )
    console.print(f"certificate: {path}", markup=False)


def _print_table(comparisons: list[Comparison]) -> None:
    table = Table("back end", "mismatches", "values", "tensors", "samples", "first difference")
    for one in comparisons:
        first = escape(str(one.first)) if one.first else ""
        numbers = (one.num_mismatches, one.num_values, one.num_tensors, one.num_samples)
        table.add_row(one.engine, *(f"{number:,}" for number in numbers), first)
    console.print(table)
    if all(one.first is None for one in comparisons):
        total = sum(one.num_values for one in comparisons)
        console.print(f"0 mismatches in {total:,} values")
