"""The cost of quantization-aware training: a step with quantizers over the same step in float.

Sides take turns in one process on one batch that stays on the device: forward, backward and SGD.
Weights of all layers and inputs of all but the first have 4 bits; the quantizers have started.

    python -m benchmarks.quantized_step [--algorithms=lsq,ste] [--rows=FOLDER] [--seconds=120]

On a GPU: CIFAR10/ResNet with 18 layers, batch 512, bfloat16, channels_last, fused SGD. A side's
name says its kind: eager, captured (an eager network, the whole step in one CUDA graph), compiled
captured, or compiled alone, which has no name. Float compiled is the loop that anyone would write:
the hand-written loop. Each row has two sides, and is written when it is measured; FOLDER keeps
them, so that what is killed goes on. After `seconds` no further row begins.

On a CPU, without torch.compile: the same network with batch 32 in float32, and MNIST/LeNet with
batch 64, all sides in turn.

Brevitas is measured where it is installed (pip install --no-deps brevitas dependencies==2.0.1),
eager alone: torch makes so many graphs of it that compiling had not ended after five minutes. Its
own JIT is off, as it is by default; with BREVITAS_JIT=1 its step took 8.5 times float's on an H200,
not 8.9.
"""

import importlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Row, interleaved, origin, report, write_rows
from benchmarks.kept_rows import KeptRows
from benchmarks.steps import (
    Forward,
    Step,
    captured,
    channels_last,
    eager_step,
    gpu_clock,
    gpu_step,
)
from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.controller import Alone, Context
from quantlab.graphs.select import quantizable_layers
from quantlab.quantizer import COMPILE_OPTIONS

REPEATS = 9
SECONDS = 0.5  # of each turn
GPU_SECONDS = 0.2
LOOP = "hand-written loop"
# Steps in which Brevitas' activations collect percentiles, which is slow, before they learn. They
# are over before anything is timed.
BREVITAS_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is trained. shape: of one input."""

    name: str
    network: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch_size: int


def subjects(device: torch.device) -> Iterator[Subject]:
    """Yield what is measured on a device."""
    resnet = importlib.import_module("problems.CIFAR10.ResNet.network").ResNet
    lenet = importlib.import_module("problems.MNIST.LeNet.network").LeNet
    batch_size = 512 if device.type == "cuda" else 32
    yield Subject(
        name="ResNet-18",
        network=lambda: resnet(depth=18),
        shape=(3, 32, 32),
        batch_size=batch_size,
    )
    if device.type == "cpu":
        yield Subject(name="LeNet", network=lenet, shape=(1, 28, 28), batch_size=64)


def batch_of(subject: Subject, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return made-up inputs and targets."""
    torch.manual_seed(0)
    inputs = torch.randn(subject.batch_size, *subject.shape, device=device)
    if device.type == "cuda":
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return inputs, torch.randint(10, (subject.batch_size,), device=device)


def has_brevitas() -> bool:
    return find_spec("brevitas") is not None


def quantized(network: nn.Module, kind: str, inputs: Tensor) -> nn.Module:
    """Return the network with started quantizers."""
    settings = {"kind": kind, "num_bits": 4, "start_epoch": 0}
    rules = [
        {"select": "*", "on": "weight", "algorithm": settings},
        {"select": "!first", "on": "input", "algorithm": settings | {"observe_steps": 1}},
    ]
    controllers = quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)

    def at(step: int) -> Context:
        return Context(
            epoch=0,
            step=step,
            optimizer=None,
            communicator=Alone(),
            generator=torch.Generator(),
        )

    for controller in controllers:
        controller.on_epoch_start(at(0))
    with torch.no_grad():
        network.train()(inputs)
    for controller in controllers:
        controller.on_step_start(at(1))
    return network


def with_brevitas(network: nn.Module) -> nn.Module:
    """Return the network with Brevitas' layers: 4-bit weights per channel, learned activations."""
    brevitas_nn: Any = importlib.import_module("brevitas.nn")
    quant: Any = importlib.import_module("brevitas.quant")
    for index, (name, layer) in enumerate(quantizable_layers(network).items()):
        settings: dict[str, Any] = {
            "weight_quant": quant.Int8WeightPerChannelFloat,
            "weight_bit_width": 4,
            "bias": layer.bias is not None,
        }
        if index > 0:
            settings |= {"input_quant": quant.Uint8ActPerTensorFloat, "input_bit_width": 4}
            settings |= {"input_collect_stats_steps": BREVITAS_STEPS}
        if isinstance(layer, nn.Conv2d):
            new = brevitas_nn.QuantConv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                **settings,
            )
        else:
            assert isinstance(layer, nn.Linear)
            new = brevitas_nn.QuantLinear(layer.in_features, layer.out_features, **settings)
        network.set_submodule(name, new)
    return network


def started_brevitas(network: nn.Module, inputs: Tensor) -> nn.Module:
    """Return the network with Brevitas' layers, whose activations have begun to learn."""
    network = with_brevitas(network).to(inputs.device).train()
    for _ in range(BREVITAS_STEPS + 1):
        network(inputs)
    for name, module in network.named_modules():
        if getattr(module, "counter", BREVITAS_STEPS + 1) <= BREVITAS_STEPS:
            raise RuntimeError(f"Brevitas: {name} collects statistics still")
    return network


def network_of(subject: Subject, method: str, inputs: Tensor) -> nn.Module:
    """Return the network of a method: float, Brevitas or an algorithm, on the device of inputs."""
    torch.manual_seed(0)
    network = subject.network().to(inputs.device)
    if method == "float":
        return network
    if method == "Brevitas":
        return started_brevitas(network, inputs)
    return quantized(network, method, inputs)


def compare_on_cpu(subject: Subject, algorithms: Sequence[str]) -> list[Row]:
    """Return the rows of one network."""
    inputs, targets = batch_of(subject, torch.device("cpu"))
    methods = {"float": "float", **{f"QuantLab {kind}": kind for kind in algorithms}}
    if has_brevitas():
        methods["Brevitas"] = "Brevitas"
    steps = {
        name: eager_step(network_of(subject, method, inputs), inputs, targets)
        for name, method in methods.items()
    }
    for step in steps.values():
        step()
    timings = interleaved(steps, REPEATS, seconds=SECONDS)
    return [
        Row(
            figures={
                "network": subject.name,
                "batch": subject.batch_size,
                "threads": torch.get_num_threads(),
                "side": name,
                "milliseconds": timing.seconds * 1e3,
                "times_float": 1.0 / timing.ratio,
            },
            peer=next(iter(steps)),
            ratio=1.0 / timing.ratio,
        )
        for name, timing in timings.items()
    ]


def pairs(algorithms: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each side and its peer on a GPU, the most telling first."""
    for kind in algorithms:
        yield f"captured QuantLab {kind}", "captured float"
    for kind in algorithms:
        yield f"compiled captured QuantLab {kind}", "compiled captured float"
        yield f"compiled captured QuantLab {kind}", LOOP
    yield "compiled captured float", LOOP
    for kind in algorithms:
        yield f"QuantLab {kind}", LOOP
        yield f"eager QuantLab {kind}", "eager float"
    if has_brevitas():
        yield "eager Brevitas", "eager float"


class GpuSteps:
    """Makes the step of each side once; networks are shared by the kinds of steps."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._inputs, self._targets = batch_of(subject, torch.device("cuda"))
        self._networks: dict[str, nn.Module] = {}
        self._forwards: dict[str, Forward] = {}
        self._steps: dict[str, Step] = {}

    def step(self, side: str) -> Step:
        """Return the step of a side, which has been made once."""
        if side not in self._steps:
            self._steps[side] = self._new("compiled float" if side == LOOP else side)
        return self._steps[side]

    def _new(self, side: str) -> Step:
        method = side.split(" ")[-1]
        is_eager = side.startswith(("eager", "captured"))
        network = self._network(method)
        forward = network if is_eager else self._compiled(method)
        step = gpu_step(network, forward, self._inputs, self._targets)
        if "captured" in side:
            return captured(step)
        step()
        return step

    def _network(self, method: str) -> nn.Module:
        if method not in self._networks:
            network = network_of(self._subject, method, self._inputs).train()
            self._networks[method] = channels_last(network)
        return self._networks[method]

    def _compiled(self, method: str) -> Forward:
        if method not in self._forwards:
            options: dict[str, Any] = {} if method == "float" else dict(COMPILE_OPTIONS)
            self._forwards[method] = torch.compile(self._network(method), options=options)
        return self._forwards[method]


def measured(subject: Subject, side: str, peer: str, step_of: Callable[[str], Step]) -> Row:
    """Return the row of a side and its peer on a GPU."""
    steps = {peer: step_of(peer), side: step_of(side)}
    timing = interleaved(steps, REPEATS, seconds=GPU_SECONDS, clock=gpu_clock)
    own, theirs = timing[side], timing[peer]
    return Row(
        figures={
            "network": subject.name,
            "batch": subject.batch_size,
            "side": side,
            "milliseconds": own.seconds * 1e3,
            "peer_milliseconds": theirs.seconds * 1e3,
            "times_float": 1.0 / own.ratio,
        },
        peer=peer,
        ratio=1.0 / own.ratio,
        origin=origin(),
    )


def compare_on_gpu(
    wanted: Iterable[tuple[str, str]],
    measure: Callable[[str, str], Row],
    kept: KeptRows,
    is_over: Callable[[], bool],
) -> Iterator[list[Row]]:
    """Yield the rows so far, after each: those that are kept, and those measured while there is
    time; name the others."""
    rows: list[Row] = []
    for side, peer in wanted:
        row = kept.read(side, peer)
        if row is None and is_over():
            print(f"{side}, {peer}: no time left; call again with --rows to go on")
            continue
        if row is None:
            row = measure(side, peer)
            kept.write(row)
        rows.append(row)
        yield rows


def main() -> None:
    """Measure and report."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", default=None, help="ste,lsq,pact; on a GPU lsq")
    parser.add_argument("--rows", type=Path, default=None, help="a folder that keeps rows")
    parser.add_argument("--seconds", type=float, default=120.0, help="on a GPU")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        algorithms = (given.algorithms or "ste,lsq,pact").split(",")
        cpu = torch.device("cpu")
        rows = [row for subject in subjects(cpu) for row in compare_on_cpu(subject, algorithms)]
        report("quantized_step_cpu", rows)
        return
    end = perf_counter() + given.seconds
    (subject,) = subjects(torch.device("cuda"))
    steps = GpuSteps(subject)
    rows = []
    for rows in compare_on_gpu(
        pairs((given.algorithms or "lsq").split(",")),
        lambda side, peer: measured(subject, side, peer, steps.step),
        KeptRows(given.rows),
        lambda: perf_counter() > end,
    ):
        write_rows("quantized_step_cuda", rows)
    if rows:
        report("quantized_step_cuda", rows)


if __name__ == "__main__":
    main()
