"""ONNX files on processors with and without VNNI: the exact dialect's integers, QDQ's classes.

Each network's program runs in the interpreter, which defines it; its two ONNX files run in default
sessions of onnxruntime at each optimization level, and QDQ in OpenVINO too, on this processor and
on an emulated one with AVX2 and without VNNI (`benchmarks/emulation.py`). The ratio is the share of
samples with the program's class. `differ`: elements of all tensors of the exact dialect, or codes
of the QDQ dialect, that are not the program's.

    python -m benchmarks.onnx_processors
"""

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks import emulation, onnx_sessions
from benchmarks.harness import Row, machine, report
from benchmarks.integer_engine import write_photos
from experiments.deployment.torchvision_networks import calibrated
from experiments.library import load_problem
from experiments.storage import ensure_links
from problems.images.normalize import MNIST, normalize
from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.integer.interpreter import execute
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S32
from tests.models import stored
from tests.quantlab.deploy.networks import with_codes
from tests.quantlab.integer.programs import Author, inputs

PEER = "the program"
EMULATED = f"avx2 ({emulation.CPU}, emulated)"
DEFAULT = "ORT_ENABLE_ALL"
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", DEFAULT)
TORCHVISION = ("resnet18", "shufflenet_v2_x1_0", "mnasnet1_0", "googlenet", "mobilenet_v2")
NUM_DIGITS, NUM_PHOTOS, NUM_RANDOM = 256, 2, 200
_SCRIPT = Path(onnx_sessions.__file__)
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program with samples; `name` may be that of others too, whose counts are added up."""

    name: str
    program: Program
    raw: Arrays


def digits() -> NDArray[np.uint8]:
    """Return test digits `[N, 1, 28, 28]`."""
    problem = load_problem("MNIST")
    ensure_links(problem)
    test: Any = problem.data.load(problem.data_folder, "auto").test
    images: NDArray[np.uint8] = test.inputs[: 2 * NUM_DIGITS].numpy()
    return images


def to_8_bits(network: nn.Module, rules: list[dict[str, Any]], samples: torch.Tensor) -> nn.Module:
    """Quantize a network after training."""
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    calibrate(network, [samples])
    return network


def lenets() -> Iterator[Case]:
    """Yield the trained LeNets, with 8 bits after training and with 4 bits trained."""
    images = torch.from_numpy(digits())
    raw, samples = images[:NUM_DIGITS], normalize(images[NUM_DIGITS:], MNIST)
    spec = InputSpec(shape=(1, 28, 28), scale=MNIST.scale, zero_point=MNIST.zero_point)
    for name, network in (
        ("LeNet w8a8", to_8_bits(stored.network("lenet_float"), _rules(), samples)),
        ("LeNet w4a4", stored.network("lenet_w4a4")),
    ):
        yield Case(name=name, program=lower(network, spec, samples), raw={"input": raw.numpy()})


def _rules() -> list[dict[str, Any]]:
    algorithm = {"kind": "ste", "num_bits": 8}
    return [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "!first", "on": "input", "algorithm": algorithm},
    ]


def large_weights() -> Case:
    """Return a small network with large weights, where sums saturate most."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(30)
    spec = InputSpec(shape=(3, 16, 16), scale=(1 / 64,) * 3, zero_point=(128,) * 3)
    raw = torch.randint(256, (128, *spec.shape), dtype=torch.uint8)
    samples = (raw.float() - 128) / 64
    quantized = to_8_bits(network.eval(), _rules(), samples[64:])
    program = lower(quantized, spec, samples[64:])
    return Case(name="weights x 30", program=program, raw={"input": raw[:64].numpy()})


def torchvision_networks(folder: Path) -> Iterator[Case]:
    """Yield networks of torchvision's with random weights."""
    write_photos(folder)
    for name in TORCHVISION:
        made = calibrated(name, folder, NUM_PHOTOS)
        yield Case(name=name, program=made.program, raw={"input": made.photos.numpy()})


def random_programs() -> Iterator[Case]:
    """Yield programs of all operations."""
    for seed in range(NUM_RANDOM):
        program = Author(seed).program(8)
        yield Case(name=f"{NUM_RANDOM} random", program=program, raw=inputs(program, 2, seed))


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many elements of a model's outputs were compared, and how many differ, by how much at
    most; which samples have the program's class."""

    compared: int
    differ: int
    largest: float
    same: NDArray[np.bool_]


def count(case: Case, found: Arrays, *, is_exact: bool) -> Count:
    """Compare with the interpreter."""
    compared = differ = 0
    largest = 0.0
    wanted = dict(execute(case.program, case.raw))
    for name, value in wanted.items():
        if not is_exact and case.program.types[name].kind == S32:
            continue
        off = np.abs(found[name if is_exact else f"{name}.codes"].astype(np.float64) - value)
        compared, differ = compared + off.size, differ + int((off > 0).sum())
        largest = max(largest, float(off.max(initial=0)))
    (output,) = case.program.outputs
    same = classes(found[output]) == classes(wanted[output])
    return Count(compared=compared, differ=differ, largest=largest, same=same)


def classes(scores: NDArray[Any]) -> NDArray[Any]:
    """Return the class of each sample, of scores or of what `ArgMax` made of them."""
    return scores if scores.ndim == 1 else scores.reshape(len(scores), -1).argmax(1)


def outputs(
    cases: Sequence[Case], models: Sequence[bytes], settings: Sequence[str], processor: str
) -> Iterator[tuple[str, Case, Arrays]]:
    """Yield the outputs of each model in each setting."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (case, model) in enumerate(zip(cases, models, strict=True)):
            (folder / f"{number}.onnx").write_bytes(model)
            np.savez(folder / f"{number}.npz", **case.raw)
        if processor == EMULATED:
            emulation.run_emulated(_SCRIPT, name, *settings)
        else:
            onnx_sessions.main(folder, list(settings))
        for setting in settings:
            for number, case in enumerate(cases):
                with np.load(folder / f"{number}.{setting}.npz") as found:
                    yield setting, case, dict(found)


def rows(cases: Sequence[Case], dialect: str, settings: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of cases of one name: one for each processor and setting."""
    is_exact = dialect == "exact"
    models = [
        (exact_model(c.program) if is_exact else with_codes(qdq_model(c.program), c.program))
        .SerializeToString()
        for c in cases
    ]  # fmt: skip
    for processor in (machine().isa, EMULATED):
        counts: dict[str, list[Count]] = {setting: [] for setting in settings}
        for setting, case, found in outputs(cases, models, settings, processor):
            counts[setting].append(count(case, found, is_exact=is_exact))
        for setting, of_setting in counts.items():
            yield Row(
                figures={
                    "network": cases[0].name,
                    "dialect": dialect,
                    "processor": processor,
                    "session": setting,
                    "compared": sum(one.compared for one in of_setting),
                    "differ": sum(one.differ for one in of_setting),
                    "largest": max(one.largest for one in of_setting),
                },
                peer=PEER,
                ratio=float(np.concatenate([one.same for one in of_setting]).mean()),
            )


def main() -> None:
    """Count and report."""
    if not emulation.IS_THERE:
        print(f"onnx_processors: {emulation.REMEDY}")
        return
    runtimes = ["openvino"] if importlib.util.find_spec("openvino") else []
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        groups = [
            *([case] for case in lenets()),
            [large_weights()],
            list(random_programs()),
            *([case] for case in torchvision_networks(Path(folder))),
        ]
    for cases in groups:
        found += rows(cases, "exact", [DEFAULT])
        if len(cases) == 1:
            found += rows(cases, "QDQ", [*LEVELS, *runtimes])
        print(f"{cases[0].name}: done", flush=True)
    report("onnx_processors", found)


if __name__ == "__main__":
    main()
