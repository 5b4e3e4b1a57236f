"""How an integer program compares with the fake-quantized network that it was lowered from.

The network computes in floating point, so that a number near the middle between two codes may
become the other one: what can be told are statistics, not a proof.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from experiments.deployment.tally import Tally
from quantlab.generation.layers import FACTORS, generated_layers
from quantlab.graphs.paths import join
from quantlab.integer.fast import FastEngine
from quantlab.integer.lower.lowering import call_name
from quantlab.integer.program import Program
from quantlab.quantizer import Quantizer

Codes = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """num_images: those that all but the codes are of. top1 in percent of them; same_class: in
    percent, to which both give the same class; None where targets are no classes, or the network
    has several outputs. largest_difference: between two outputs. integer_metrics,
    fake_quantized_metrics: those of the problem's meter, by name.

    other_codes: of `num_code_images`, the percentage of codes that differ, for each call of a
    quantizer of values, by `call_name`. num_unmatched: calls whose codes the program does not make.
    """

    num_images: int
    integer_top1: float | None
    fake_quantized_top1: float | None
    same_class: float | None
    largest_difference: float
    num_code_images: int
    other_codes: dict[str, float]
    num_unmatched: int
    integer_metrics: dict[str, float] = field(default_factory=dict)
    fake_quantized_metrics: dict[str, float] = field(default_factory=dict)

    @property
    def most_other_codes(self) -> tuple[str, float]:
        """The quantizer with the largest part of differing codes, and that part."""
        return max(self.other_codes.items(), key=lambda item: item[1], default=("", 0.0))


@torch.no_grad()
def agreement(
    network: nn.Module,
    preprocess: Callable[[Tensor], Tensor],
    program: Program,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    say: Callable[[int], None],
    new_tally: Callable[[], Tally] | None = None,
) -> Agreement:
    """Return how both compare on batches, at least one, of raw samples `[N, ...]` and their targets
    `[N, ...]`; codes are compared on the first.

    say: is told how many samples are done. new_tally: what counts the metrics; None for no metrics.
    """
    engine = FastEngine(program)
    num_images = num_ours = num_theirs = num_same = num_code_images = num_unmatched = 0
    largest_difference = 0.0
    other_codes: dict[str, float] = {}
    tallies = (new_tally(), new_tally()) if new_tally is not None else None
    are_classes = True
    for images, targets in batches:
        ours = _outputs(program, engine, images)
        given, structure = tree_flatten(network(preprocess(images)))
        theirs = [one.cpu().double() for one in given if one is not None]
        if num_images == 0:
            num_code_images = len(images)
            other_codes, num_unmatched = _other_codes(network, preprocess, program, engine, images)
        num_images += len(images)
        are_classes = are_classes and len(ours) == 1 and _are_classes(ours[0], targets)
        if are_classes:
            (left,), (right,) = ours, theirs
            num_ours += _num_equal(left.argmax(1), targets)
            num_theirs += _num_equal(right.argmax(1), targets)
            num_same += _num_equal(left.argmax(1), right.argmax(1))
        if tallies is not None:
            for tally, values in zip(tallies, (ours, theirs), strict=True):
                rest = iter(values)
                alike = [None if one is None else next(rest).to(one.dtype) for one in given]
                tally.add(tree_unflatten(alike, structure), targets)
        # NumPy's maximum keeps what is no number.
        differences = [(a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)]
        largest_difference = float(np.max([largest_difference, *differences]))
        say(num_images)
    return Agreement(
        num_images=num_images,
        integer_top1=100 * num_ours / num_images if are_classes else None,
        fake_quantized_top1=100 * num_theirs / num_images if are_classes else None,
        same_class=100 * num_same / num_images if are_classes else None,
        largest_difference=largest_difference,
        num_code_images=num_code_images,
        other_codes=other_codes,
        num_unmatched=num_unmatched,
        integer_metrics=tallies[0].metrics() if tallies else {},
        fake_quantized_metrics=tallies[1].metrics() if tallies else {},
    )


def _outputs(program: Program, engine: FastEngine, images: Tensor) -> list[Tensor]:
    """Return a program's outputs, float64, with what it leaves out at the end."""
    found = engine.run({"input": program.encode("input", images.numpy())})
    endings: dict[str, Callable[[Tensor, int], Tensor]] = {
        "": lambda outputs, _: outputs,
        "Softmax": torch.softmax,
        "LogSoftmax": torch.log_softmax,
    }
    names = program.endings or ("",) * len(program.outputs)
    return [
        endings[ending](torch.from_numpy(program.reals[output](found[output])), 1)
        for output, ending in zip(program.outputs, names, strict=True)
    ]


def _are_classes(outputs: Tensor, targets: Tensor) -> bool:
    """Return whether outputs are scores `[N, C]` of the classes that targets `[N]` name."""
    is_named = targets.ndim == 1 and not targets.is_floating_point()
    return is_named and outputs.ndim == 2


def _num_equal(ours: Tensor, theirs: Tensor) -> int:
    return int((ours == theirs).sum())


def _other_codes(
    network: nn.Module,
    preprocess: Callable[[Tensor], Tensor],
    program: Program,
    engine: FastEngine,
    images: Tensor,
) -> tuple[dict[str, float], int]:
    """Return `Agreement`'s other_codes and num_unmatched."""
    with _codes_of(network) as expected:
        network(preprocess(images))
    wanted = set(program.quantizers.values())
    found = engine.execute({"input": program.encode("input", images.numpy())})
    tensors = {name: value for name, value in found if name in wanted}
    other = {
        path: 100 * float(np.mean(tensors[program.quantizers[path]].reshape(codes.shape) != codes))
        for path, codes in expected.items()
        if program.quantizers.get(path) in tensors
    }
    return other, len(expected) - len(other)


def _quantizers(network: nn.Module) -> dict[str, Quantizer]:
    """Return the quantizers of values: those of neither weights nor factors of them."""
    of_weights = {
        join(path, f"{factor}_quantizer")
        for path, _ in generated_layers(network)
        for factor in FACTORS
    }
    return {
        path: module
        for path, module in network.named_modules()
        if isinstance(module, Quantizer)
        and not path.endswith("weight_quantizer")
        and path not in of_weights
    }


@contextmanager
def _codes_of(network: nn.Module) -> Iterator[Codes]:
    """Give the codes of all quantizers of values, by `call_name`, once the network has run."""
    codes: Codes = {}

    def note(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        numbers = count()

        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(module, Quantizer)
            name = call_name(path, next(numbers))
            codes[name] = module.codes(inputs[0]).cpu().numpy().astype(np.int64)

        return hook

    quantizers = _quantizers(network).items()
    handles = [quantizer.register_forward_pre_hook(note(path)) for path, quantizer in quantizers]
    try:
        yield codes
    finally:
        for handle in handles:
            handle.remove()
