"""`save_compressed_early_exit_model`: from a network and its exit to a folder of C."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from quantlab.conversion.forms import INTEGER_FORMS
from quantlab.conversion.given import Given, given_of
from quantlab.conversion.samples import Samples, batch_of, codes_of
from quantlab.conversion.save import check_limit, check_representation
from quantlab.conversion.save_exits import save_exits
from quantlab.conversion.taps import Simulate, joined
from quantlab.deploy.c.sizes import Sizes
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.exits.cost import exit_macs
from quantlab.exits.interpreter import exit_scores
from quantlab.exits.lower import threshold_of
from quantlab.exits.program import NEVER, ExitProgram
from quantlab.exits.report import ExitReport, exit_report
from quantlab.exits.thresholds import check_number, choose_thresholds
from quantlab.integer.lower import InputSpec


@dataclass(frozen=True, kw_only=True)
class SavedEarlyExit:
    """What was written.

    exits: the program that the C computes, to the bit. spec: what the integers of its input stand
    for. hashes: the SHA-256 of each file by its path in the folder. report: where the samples
    leave, and how often the class is right: that of the targets, or without them that of the
    baseline.
    """

    folder: Path
    exits: ExitProgram
    spec: InputSpec
    sizes: Sizes
    hashes: Mapping[str, str]
    report: ExitReport

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {len(self.hashes)} files",
            f"constants: {self.sizes.flash:,} bytes, beside the code",
            f"RAM: {self.sizes.ram:,} bytes, an arena of {self.sizes.arena:,}, beside the stack",
            str(self.report),
        ]
        return "\n".join(lines)


def save_compressed_early_exit_model(
    model: nn.Module,
    early_exit_model: nn.Module,
    representation: str,
    simulate_exit: Simulate | None = None,
    input_data: Samples | None = None,
    example_data: Samples | None = None,
    example_targets: Samples | None = None,
    directory: str | PathLike[str] = "my_model",
    flit: bool = False,
    verbose: bool = False,
    *,
    dtype: str = "s8",
    floor: float | None = None,
    margin: float | None = None,
    spec: InputSpec | None = None,
    sum_bits: int | None = None,
    ram: int | None = None,
    flash: int | None = None,
) -> SavedEarlyExit:
    """Write a network with an early exit as C: `model.c`, which runs the network and asks the exit
    of `model_ee.c` whether it may stop there. Neither network changes.

    model: its `forward(x, intermediate_outputs=True)` returns scores `[N, C]` and a list of
        intermediate outputs.
    early_exit_model: makes scores of the intermediate outputs, each max pooled by its kernel of
        `early_exit_model.pool_kernels`, and concatenated along the channels.
    simulate_exit: after how many intermediate outputs the exit is, all by default; a list of such
        numbers for an exit at each, all with one set of weights; or a function of the list of them
        that says so: it returns those that the exit gets, zeros for the others.
    floor: the least accuracy on example_data, in percent, for which the threshold is chosen; by
        default that of the baseline. Without example_targets the baseline's class counts as right.
    margin: how far the exit's largest score has to be above all others, in its own numbers, instead
        of a chosen threshold.

    All else is as of `save_compressed_model`, but that there are no floats: the exit's test is one
    of integers. Raises UsageError, before anything is written; OSError.
    """
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    check_kind("early_exit_model", early_exit_model, nn.Module, "a torch.nn.Module")
    check_kind("directory", directory, str | PathLike, "a path")
    check_kind("dtype", dtype, str, "a name")
    if dtype not in INTEGER_FORMS:
        hint = did_you_mean(dtype, INTEGER_FORMS)
        allowed = ", ".join(INTEGER_FORMS)
        raise UsageError(f"dtype: '{dtype}' given, {allowed} allowed with an exit{hint}")
    check_representation(representation, dtype)
    for name, limit in (("ram", ram), ("flash", flash)):
        check_limit(name, limit)
    if floor is not None and margin is not None:
        raise UsageError("floor, margin: both given, one of the two allowed")
    if floor is not None:
        check_number("floor", floor)
    if margin is not None:
        check_kind("margin", margin, int | float, "a number")
        if not margin >= 0:
            raise UsageError(f"margin: {margin} given, numbers from 0 allowed")
    data, name = (
        (input_data, "input_data") if example_data is None else (example_data, "example_data")
    )
    if data is None:
        raise UsageError("input_data: None given, a sample needed, or example_data")
    batch = batch_of(data, model, name, may_be_one=example_data is None)
    network = joined(model, early_exit_model, batch[:2], simulate_exit)
    given = given_of(network, input_data, example_data, example_targets, spec, sum_bits)
    program, found_spec = INTEGER_FORMS[dtype].lowered(given)
    num_exits = len(network.num_computed)
    exits = ExitProgram(program=program, thresholds=(NEVER,) * num_exits)
    scores, targets = _scores(exits, given, found_spec)
    if margin is not None:
        thresholds = tuple(
            threshold_of(exits.program, number, float(margin)) for number in range(num_exits)
        )
    else:
        least = _accuracy(scores[-1], targets) if floor is None else floor
        thresholds = choose_thresholds(scores, targets, floor=least)
    exits = exits.with_thresholds(thresholds)
    vectors = None if given.inputs is None else {"input": codes_of(given.inputs, found_spec)}
    made = save_exits(
        exits, directory, encoding=representation, vectors=vectors, ram=ram, flash=flash
    )
    saved = SavedEarlyExit(
        folder=made.folder,
        exits=exits,
        spec=found_spec,
        sizes=made.sizes,
        hashes=made.hashes,
        report=exit_report(scores, targets, thresholds, exit_macs(exits)),
    )
    if verbose:
        sys.stdout.write(f"{saved}\n")
    return saved


def _scores(
    exits: ExitProgram, given: Given, spec: InputSpec
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Return the scores of both exits for what is given, and the classes that count as right."""
    batch = given.inputs if given.examples is None else given.examples
    assert batch is not None
    scores = exit_scores(exits, {"input": codes_of(batch, spec)})
    if given.targets is None:
        return scores, scores[-1].argmax(1)
    targets = given.targets.numpy()
    for end in (targets.min(), targets.max()):
        if not 0 <= end < exits.num_classes:
            raise UsageError(
                f"example_targets: {end} given, classes 0 to {exits.num_classes - 1} allowed"
            )
    return scores, targets


def _accuracy(scores: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return how often the largest score is that of the class, in percent."""
    return 100 * int((scores.argmax(1) == targets).sum()) / len(targets)
