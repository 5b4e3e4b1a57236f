"""Training steps of generated layers in each mode, over those of the generated weight.

    python -m benchmarks.generation_training [--batch=64] [--layers]

ResNet-18 for 32 x 32 pixels, all convolutions 2-44-3-6-3: forward, backward and SGD on one batch
that stays on the device, with the dense network beside it. Modes take turns in one process; layers
without two stages are generated in `two_stage`. On a CPU one thread in float32, whose own time
counts; on a GPU bfloat16 and one CUDA graph a step. `--layers` times each kind of layer alone,
forward and backward, too. Row.ratio: the time of `generated` / own.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping
from time import thread_time
from typing import Literal

import torch
from torch import Tensor, nn

from benchmarks.generation.forms import resnet18
from benchmarks.harness import Row, interleaved, report
from benchmarks.steps import Step, captured, channels_last, eager_step, gpu_clock, gpu_step
from quantlab.generation import MLGConv2d, MLGSpec, convert, use_mode
from quantlab.generation.layers import generated_layers, latents
from quantlab.generation.modes import MODES, modes_of
from quantlab.generation.use_mode import ModeChoice

SIDES: tuple[ModeChoice | Literal["dense"], ...] = (
    "generated",
    "dense",
    "two_stage",
    "factored",
    "auto",
)
REPEATS = 5
# Channels of input and output, kernel, stride, pixels of a side.
LAYERS = (
    (3, 64, 3, 1, 32),
    (64, 64, 3, 1, 32),
    (64, 128, 3, 2, 32),
    (64, 128, 1, 2, 32),
    (128, 128, 3, 1, 16),
    (128, 256, 3, 2, 16),
    (256, 256, 3, 1, 8),
    (256, 512, 3, 2, 8),
    (512, 512, 3, 1, 4),
)


def set_mode(network: nn.Module, mode: ModeChoice) -> None:
    """Let all layers compute in a mode, those that do not have it by their weight."""
    for _, layer in generated_layers(network):
        has_it = mode == "auto" or mode in modes_of(latents(layer))
        use_mode(layer, mode if has_it else "generated")


def network_of(
    side: ModeChoice | Literal["dense"], device: torch.device, *, is_last: bool
) -> nn.Module:
    """Return the network of a side, in training. is_last: channels are."""
    torch.manual_seed(0)
    network = resnet18()
    if side != "dense":
        convert(network, {"base_in": 2, "base_out": 44})
        set_mode(network, side)
    network.to(device).train()
    return channels_last(network) if is_last else network


def step_of(network: nn.Module, x: Tensor, targets: Tensor) -> Step:
    """Return a training step, on a GPU captured."""
    if x.is_cuda:
        return captured(gpu_step(network, network, x, targets))
    return eager_step(network, x, targets)


def layer_step(layer: MLGConv2d, x: Tensor) -> Step:
    """Return the forward and the backward pass of a layer, on a GPU captured."""

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, torch.bfloat16, x.is_cuda, cache_enabled=False):
            y = layer(x)
        y.backward(y.detach())

    return captured(step) if x.is_cuda else step


def laid(x: Tensor, *, is_last: bool) -> Tensor:
    """Return a tensor with channels last, or as it is."""
    return x.contiguous(memory_format=torch.channels_last) if is_last else x


def rows_of(steps: Mapping[str, Step], what: str, batch: int, *, is_last: bool) -> Iterator[Row]:
    """Time the sides of one row each; the first is the peer."""
    is_gpu = torch.cuda.is_available()
    clock: Callable[[], float] = gpu_clock if is_gpu else thread_time
    for step in steps.values():
        step()
    timings = interleaved(steps, REPEATS, seconds=0.05 if is_gpu else 0.0, clock=clock)
    for side, timing in timings.items():
        yield Row(
            figures={
                "what": what,
                "batch": batch,
                "layout": "channels_last" if is_last else "contiguous",
                "arithmetic": "bfloat16, captured" if is_gpu else "float32",
                "threads": torch.get_num_threads(),
                "mode": side,
                "milliseconds": timing.seconds * 1e3,
                "fastest": timing.fastest * 1e3,
            },
            peer=next(iter(steps)),
            ratio=timing.ratio,
        )


def whole(batch: int, device: torch.device, *, is_last: bool) -> Iterator[Row]:
    """Measure steps of the network."""
    x = laid(torch.randn(batch, 3, 32, 32, device=device), is_last=is_last)
    targets = torch.randint(10, (batch,), device=device)
    steps: dict[str, Step] = {}
    for side in SIDES:
        steps[side] = step_of(network_of(side, device, is_last=is_last), x, targets)
    yield from rows_of(steps, "step", batch, is_last=is_last)


def alone(batch: int, device: torch.device, *, is_last: bool) -> Iterator[Row]:
    """Measure each kind of layer."""
    for inputs, outputs, kernel, stride, side in LAYERS:
        x = laid(torch.randn(batch, inputs, side, side, device=device), is_last=is_last)
        steps: dict[str, Step] = {}
        for mode in MODES:
            layer = MLGConv2d(
                inputs,
                outputs,
                kernel,
                stride,
                kernel // 2,
                bias=False,
                device=device,
                spec=MLGSpec(),
            )
            set_mode(layer, mode)
            if layer.mode == mode:
                steps[mode] = layer_step(layer, x.detach().requires_grad_(inputs > 3))
        what = f"{inputs}->{outputs} {kernel}x{kernel} / {stride} at {side}x{side}"
        yield from rows_of(steps, what, batch, is_last=is_last)


def main() -> None:
    """Measure and report."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--layers", action="store_true", help="each kind of layer alone, too")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    rows: list[Row] = []
    for is_last in (False, True):
        rows += whole(given.batch, device, is_last=is_last)
        if given.layers:
            rows += alone(given.batch, device, is_last=is_last)
    report(f"generation_training_{device.type}", rows)


if __name__ == "__main__":
    main()
