"""The cost of quantization-aware training: a step with quantizers over the same step in float.

Sides take turns in one process on one batch that stays on the device: forward, backward and SGD.
Weights of all layers and inputs of all but the first have 4 bits; the quantizers have started.

    python -m benchmarks.quantized_step

On a GPU: CIFAR10/ResNet with 18 layers, batch 256, bfloat16, channels_last; once with torch.compile
and once without ("eager"), each beside float of its own kind. On a CPU, without torch.compile: the
same with batch 32 in float32, and MNIST/LeNet with batch 64. Brevitas is measured where it is
installed (pip install --no-deps brevitas dependencies==2.0.1), uncompiled alone: torch makes so
many graphs of it that compiling had not ended after five minutes. Its own JIT is off, as it is by
default; with BREVITAS_JIT=1 its step took 8.5 times float's on an H200, not 8.9.
"""

import copy
import importlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.harness import Row, interleaved, report
from quantlab.algorithms import QuantizeConfig, parameter_groups, quantize
from quantlab.controller import Alone, Context
from quantlab.graphs.select import quantizable_layers
from quantlab.quantizer import COMPILE_OPTIONS

REPEATS = 9
SECONDS = 0.5  # of each turn
ALGORITHMS = ("ste", "lsq", "pact")
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
    batch_size = 256 if device.type == "cuda" else 32
    yield Subject(
        name="ResNet-18",
        network=lambda: resnet(depth=18),
        shape=(3, 32, 32),
        batch_size=batch_size,
    )
    if device.type == "cpu":
        yield Subject(name="LeNet", network=lenet, shape=(1, 28, 28), batch_size=64)


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


def step_of(
    network: nn.Module, inputs: Tensor, targets: Tensor, *, is_compiled: bool
) -> Callable[[], None]:
    """Return a training step."""
    is_gpu = inputs.is_cuda
    network = network.to(inputs.device).train()
    optimizer = torch.optim.SGD(parameter_groups(network), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    forward: Callable[[Tensor], Tensor] = network
    if is_gpu:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    if is_compiled:
        forward = torch.compile(network, options=dict(COMPILE_OPTIONS))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16) if is_gpu else nullcontext():
            loss = cross_entropy(forward(inputs), targets)
        loss.backward()
        optimizer.step()
        if is_gpu:
            torch.cuda.synchronize()

    return step


def started_brevitas(network: nn.Module, inputs: Tensor) -> nn.Module:
    """Return the network with Brevitas' layers, whose activations have begun to learn."""
    network = with_brevitas(network).to(inputs.device).train()
    for _ in range(BREVITAS_STEPS + 1):
        network(inputs)
    for name, module in network.named_modules():
        if getattr(module, "counter", BREVITAS_STEPS + 1) <= BREVITAS_STEPS:
            raise RuntimeError(f"Brevitas: {name} collects statistics still")
    return network


def sides(
    subject: Subject, inputs: Tensor, targets: Tensor, *, is_compiled: bool
) -> dict[str, Callable[[], None]]:
    """Return the steps to compare, float first; each has been made once."""
    torch.manual_seed(0)
    template = subject.network()
    networks = {"float": copy.deepcopy(template)}
    for kind in ALGORITHMS:
        network = copy.deepcopy(template).to(inputs.device)
        networks[f"QuantLab {kind}"] = quantized(network, kind, inputs)
    if not is_compiled and find_spec("brevitas") is not None:
        networks["Brevitas"] = started_brevitas(copy.deepcopy(template), inputs)
    prefix = "eager " if inputs.is_cuda and not is_compiled else ""
    steps = {}
    for name, network in networks.items():
        step = steps[prefix + name] = step_of(network, inputs, targets, is_compiled=is_compiled)
        step()
    return steps


def compare(subject: Subject, device: torch.device, *, is_compiled: bool) -> list[Row]:
    """Return the rows of one network."""
    torch.manual_seed(0)
    inputs = torch.randn(subject.batch_size, *subject.shape, device=device)
    if device.type == "cuda":
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    targets = torch.randint(10, (subject.batch_size,), device=device)
    steps = sides(subject, inputs, targets, is_compiled=is_compiled)
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


def main() -> None:
    """Measure and report."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kinds = (True, False) if device.type == "cuda" else (False,)
    rows = [
        row
        for subject in subjects(device)
        for is_compiled in kinds
        for row in compare(subject, device, is_compiled=is_compiled)
    ]
    report(f"quantized_step_{device.type}", rows)


if __name__ == "__main__":
    main()
