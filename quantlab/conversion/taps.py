"""A network and its exit as one: what SparseComp's early exits are made of.

The baseline gives its scores and a list of intermediate outputs if it is asked for these,
`baseline(x, intermediate_outputs=True)`. Each is max pooled by one of `exit_model.pool_kernels`,
all are concatenated along their channels, and the exit model makes scores of them. At an exit after
k of them the others are zeros.

Shapes: N samples, C channels.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError, check_kind
from quantlab.graphs.inputs import taking
from quantlab.graphs.shapes import evaluating

Simulate = int | Sequence[int] | Callable[[list[Tensor]], Sequence[Tensor]]
_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d}


class TapPool(nn.Module):
    """Max pooling of an intermediate output. kernel: as of the pooling of its axes, or with the
    channels before them, which are pooled too, as by MaxPool3d of images; an integer is that of
    every axis but the channels. shape: of the output, without N."""

    def __init__(self, kernel: int | Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        axes = len(shape) - 1
        sizes = (kernel,) * axes if isinstance(kernel, int) else tuple(kernel)
        self.channels = sizes[0] if len(sizes) > axes else 1
        self.groups = shape[0] // self.channels
        self.sizes = tuple(shape[1:])
        self.kernel = sizes[len(sizes) - axes :]

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C], [N, C, W] or [N, C, H, W]."""
        if self.channels > 1:
            x = x[:, : self.groups * self.channels]
            x = x.reshape(-1, self.groups, self.channels, *self.sizes).amax(2)
        if all(size == 1 for size in self.kernel):
            return x
        return _POOLS[len(self.kernel)](x, self.kernel)


class Joined(nn.Module):
    """Gives the scores of each exit, then those of the baseline. num_computed: of the intermediate
    outputs that each exit has. shapes: of all that are pooled, without N."""

    def __init__(
        self,
        baseline: nn.Module,
        exit_model: nn.Module,
        pools: Sequence[TapPool],
        num_computed: Sequence[int],
        shapes: Sequence[Sequence[int]],
    ) -> None:
        super().__init__()
        self.baseline, self.exit = baseline, exit_model
        self.num_computed = tuple(num_computed)
        self.pools = nn.ModuleList(pools[: max(num_computed)])
        self.shapes = [tuple(shape) for shape in shapes]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        scores, taps = self.baseline(x, intermediate_outputs=True)
        pooled = [pool(tap) for pool, tap in zip(self.pools, taps, strict=False)]
        found = []
        for count in self.num_computed:
            zeros = [x.new_zeros((x.shape[0], *shape)) for shape in self.shapes[count:]]
            found.append(self.exit(torch.cat([*pooled[:count], *zeros], 1)))
        return (*found, scores)


@torch.no_grad()
def joined(
    baseline: nn.Module, exit_model: nn.Module, x: Tensor, simulate_exit: Simulate | None
) -> Joined:
    """Return a baseline and its exit as one network.

    x: a batch that the baseline takes. simulate_exit: how many intermediate outputs have been
    computed, or several such numbers in their order, for an exit at each; or a function of their
    list that returns those that the exit gets, with zeros for the others; None: all.

    Raises UsageError for a baseline without intermediate outputs, and for an exit that does not fit
    them or gives other scores.
    """
    with evaluating(baseline), evaluating(exit_model):
        scores, taps = _outputs(baseline, x)
        pools = _pools(exit_model, taps)
        pooled = [pool(tap) for pool, tap in zip(pools, taps, strict=False)]
        shapes = [list(one.shape[1:]) for one in pooled]
        if len({one.shape[2:] for one in pooled}) > 1:
            raise UsageError(
                f"early_exit_model.pool_kernels: pooled to {shapes}, one size behind the channels "
                "needed, to concatenate them"
            )
        whole = torch.cat(pooled, 1)
        with taking(whole, "early_exit_model: the pooled intermediate outputs"):
            found = exit_model(whole)
    if not isinstance(found, Tensor) or found.shape != scores.shape:
        given = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(
            f"early_exit_model: outputs {given} given, scores {list(scores.shape)} as of the "
            "baseline allowed"
        )
    ones = [torch.ones_like(one) for one in taps[: len(pools)]]
    if isinstance(simulate_exit, tuple | list):
        for number, one in enumerate(simulate_exit):
            check_kind(f"simulate_exit[{number}]", one, int, "a number")
        numbers = [_num_computed(one, ones) for one in simulate_exit]
        if not numbers or numbers != sorted(set(numbers)):
            raise UsageError(
                f"simulate_exit: {list(simulate_exit)} given, a number or rising numbers allowed"
            )
    else:
        numbers = [_num_computed(simulate_exit, ones)]
    return Joined(baseline, exit_model, pools, numbers, shapes)


def _outputs(baseline: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the scores and the intermediate outputs of a baseline."""
    parameters = inspect.signature(baseline.forward).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    if "intermediate_outputs" not in parameters and not takes_any:
        raise UsageError(
            f"model: the forward of a {type(baseline).__name__} without 'intermediate_outputs' "
            "given; one that returns scores and a list of intermediate outputs for "
            "intermediate_outputs=True needed"
        )
    with taking(x, "model: with intermediate_outputs=True, samples"):
        outputs = baseline(x, intermediate_outputs=True)
    is_pair = isinstance(outputs, tuple | list) and len(outputs) == 2
    taps = list(outputs[1]) if is_pair and isinstance(outputs[1], tuple | list) else []
    if not taps or not all(isinstance(one, Tensor) and 2 <= one.ndim <= 4 for one in taps):
        raise UsageError(
            f"model: a {type(outputs).__name__} given with intermediate_outputs=True; scores and a "
            "list of at least one tensor [N, C, ...] allowed"
        )
    scores = outputs[0]
    if not isinstance(scores, Tensor) or scores.ndim != 2 or scores.shape[1] < 2:
        shape = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise UsageError(f"model: outputs {shape} given, scores [N, C] of two classes allowed")
    return scores, taps


def _pools(exit_model: nn.Module, taps: Sequence[Tensor]) -> list[TapPool]:
    kernels = getattr(exit_model, "pool_kernels", None)
    if not isinstance(kernels, tuple | list) or not 1 <= len(kernels) <= len(taps):
        given = kernels if not isinstance(kernels, tuple | list) else f"{len(kernels)} kernels"
        raise UsageError(
            f"early_exit_model.pool_kernels: {given} given, a list of kernels allowed, one for "
            f"each of the {len(taps)} intermediate outputs, or of the first of them"
        )
    for number, (kernel, tap) in enumerate(zip(kernels, taps, strict=False)):
        axes = tap.ndim - 2
        sizes = [kernel] if isinstance(kernel, int) else kernel
        is_right = isinstance(sizes, tuple | list) and all(
            isinstance(size, int) and size > 0 for size in sizes
        )
        if not is_right or (not isinstance(kernel, int) and len(sizes) not in (axes, axes + 1)):
            raise UsageError(
                f"early_exit_model.pool_kernels[{number}]: {kernel!r} given, a size from 1 or "
                f"{axes} of them allowed, or {axes + 1} with the channels, for an intermediate "
                f"output {list(tap.shape)}"
            )
        each = [kernel] * axes if isinstance(kernel, int) else list(kernel)
        limits = list(tap.shape[1:])[axes + 1 - len(each) :]
        if any(size > most for size, most in zip(each, limits, strict=True)):
            raise UsageError(
                f"early_exit_model.pool_kernels[{number}]: {kernel!r} given, at most the sizes of "
                f"the intermediate output {list(tap.shape)} allowed"
            )
    return [TapPool(kernel, tap.shape[1:]) for kernel, tap in zip(kernels, taps, strict=False)]


def _num_computed(simulate: Simulate | None, ones: list[Tensor]) -> int:
    """Return how many intermediate outputs an exit has, of as many as there are ones."""
    count = len(ones)
    if simulate is None:
        return count
    if not callable(simulate):
        check_kind("simulate_exit", simulate, int, "a number, several in a list, or a function")
        assert isinstance(simulate, int)
        if not 1 <= simulate <= count:
            raise UsageError(
                f"simulate_exit: {simulate} given, 1 to {count} allowed, of the intermediate "
                "outputs that the exit reads"
            )
        return simulate
    try:
        found: Any = simulate(list(ones))
    except Exception as error:
        raise UsageError(
            f"simulate_exit: {type(error).__name__} raised ({error}) for the list of intermediate "
            "outputs; a function that returns those that the exit gets allowed, zeros for others"
        ) from error
    kept = _kept(found, ones)
    number = sum(kept)
    if len(kept) > count or not number or not all(kept[:number]):
        raise UsageError(
            "simulate_exit: a function given that returns something else than the first of the "
            f"{count} intermediate outputs, at least one, and zeros for the others"
        )
    return number


def _kept(found: Any, ones: Sequence[Tensor]) -> list[bool]:
    """Return which outputs a function left as they were; nothing if it returned something else."""
    if not isinstance(found, tuple | list) or len(found) > len(ones):
        return []
    kept = []
    for one, given in zip(found, ones, strict=False):
        if not isinstance(one, Tensor) or one.shape != given.shape:
            return []
        if not torch.equal(one, given) and bool(one.any()):
            return []
        kept.append(torch.equal(one, given))
    return kept
