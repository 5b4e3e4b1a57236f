"""`compress`: from a trained network and a budget of bytes to C that fits it."""

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from quantlab.algorithms.after_training.batches import Progress, silent
from quantlab.compression.budget import Budget, budget_of
from quantlab.compression.exporting import Exporter
from quantlab.compression.floor import check_floor
from quantlab.compression.recipe import Recipe
from quantlab.compression.report import Report
from quantlab.compression.samples import Batches, Data, batches_on, data_of, drawn_from
from quantlab.compression.stages import Done, Stages
from quantlab.compression.store import Store, digest_of
from quantlab.compression.target import command_for
from quantlab.compression.training import Criterion
from quantlab.compression.unreachable import UnreachableError
from quantlab.conversion.calibration import check_layers, check_none_generated, has_quantizers
from quantlab.conversion.samples import spec_of
from quantlab.deploy.c.folder import leftovers
from quantlab.deploy.folder import check_places, only_writer, replace_files
from quantlab.errors import UsageError, check_kind
from quantlab.files import write_together
from quantlab.graphs.select import quantizable_layers
from quantlab.graphs.weights import check_own_weight
from quantlab.integer.lower import InputSpec
from quantlab.integer.lower.finite import check_finite
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """A compressed network.

    network: with quantizers, as it was trained last, in evaluation mode. program: that the C
    computes, to the bit. folder: of the C, None if none was given.
    """

    network: nn.Module
    program: Program
    spec: InputSpec
    encoding: str
    files: Mapping[str, bytes]
    report: Report
    folder: Path | None

    def __str__(self) -> str:
        return str(self.report)


@torch.inference_mode(mode=False)
@torch.enable_grad()
def compress(
    model: nn.Module,
    data: Data | Batches,
    *,
    budget: Budget | int | str,
    floor: float | None = None,
    recipe: Recipe | None = None,
    folder: str | PathLike[str] | None = None,
    board: str = "c-m3",
    spec: InputSpec | None = None,
    criterion: Criterion | None = None,
    progress: Progress = silent,
) -> Compressed:
    """Compress a trained network until the objects of its C fit a budget, and train it meanwhile.

    model: in float; it stays as it is. All parameters of a copy are trained, frozen ones too.
    data: batches of inputs and classes to train with, or `Data`; what is decided is decided on
    `valid` or, without, on a tenth held out of `train`.
    budget: bytes, of flash if it is a number. floor: the least accuracy of the C on validation
    samples, in percent. folder: for the C (`c/`), the report and the state: called again with the
    same settings, a compression that was killed goes on and ends with the same bytes. board: whose
    compiler makes the objects, of `boards/table.py`, or `host`. spec: what the integers of the
    input stand for; without it read off the samples. criterion: the loss of outputs and classes,
    cross-entropy by default.

    Raises UsageError, before anything is trained, for a network that C cannot hold, a floor above
    its accuracy, a budget below what is left without weights, and for batches that are empty;
    UnreachableError if the floor does not hold; DivergedError; OSError.
    """
    wanted, chosen = budget_of(budget), Recipe() if recipe is None else recipe
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    check_kind("recipe", chosen, Recipe, "a Recipe")
    for name, one, kind, words in (
        ("folder", folder, str | PathLike, "a path"),
        ("spec", spec, InputSpec, "an InputSpec"),
        ("criterion", criterion, Callable, "a function"),
    ):
        if one is not None:
            check_kind(name, one, kind, words)
    check_kind("progress", progress, Callable, "a function")
    if floor is not None:
        check_floor(floor)
    command = command_for(board)
    check_layers(model)
    check_none_generated(model)
    if has_quantizers(model):
        raise UsageError("model: a network with quantizers given, one of floats allowed")
    for name, layer in quantizable_layers(model).items():
        check_own_weight(layer, name)
    given, valid = data_of(data, chosen.seed)
    network = _trainable(model)
    samples = _calibration(network, given.train, chosen)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False) if spec is None else spec,
        samples=samples,
        command=command,
        encodings=chosen.encodings,
        ram=wanted.ram_bytes,
    )
    place = None if folder is None else Path(folder)
    if place is not None:
        _check_folder(place)
    with nullcontext() if place is None else only_writer(place):
        identity = {
            "network": digest_of(network.state_dict()),
            "budget": {"flash": wanted.flash, "ram": wanted.ram},
            "recipe": chosen.model_dump(mode="json"),
            "board": board,
            "samples": digest_of({"samples": samples}),
            "spec": asdict(exporter.spec),
        }
        stages = Stages(
            network=network,
            data=given,
            valid=valid,
            budget=wanted,
            floor=floor,
            recipe=chosen,
            exporter=exporter,
            criterion=nn.functional.cross_entropy if criterion is None else criterion,
            store=Store(None if place is None else place / "state", identity),
            progress=progress,
            board=board,
        )
        done = stages.run()
        if place is not None:
            _write(done, place)
    report = done.report
    if floor is not None and report.accuracy < floor:
        above = [point.flash for point in report.curve if point.accuracy >= floor]
        smallest = min(above, default=None)
        said = "nowhere on the way" if smallest is None else f"down to {smallest:,} bytes"
        raise UnreachableError(
            f"floor: {floor:g} % wanted, {report.accuracy:.2f} % reached in {report.flash:,} "
            f"bytes; it held {said}",
            smallest=smallest,
            curve=report.curve,
        )
    return Compressed(
        network=done.network.eval(),
        program=done.exported.program,
        spec=exporter.spec,
        encoding=done.exported.encoding,
        files=done.exported.model.files,
        report=report,
        folder=place,
    )


def _trainable(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation all of whose parameters are trained, in 32 bits at least."""
    network = copy.deepcopy(model).eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in network.parameters()):
        network = network.float()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return network


def _calibration(network: nn.Module, batches: Batches, recipe: Recipe) -> Tensor:
    """Return the first training samples, as many as ranges are read off."""
    found: list[Tensor] = []
    with drawn_from(recipe.seed, batches):
        for inputs, _ in batches_on(network, batches, "data.train"):
            found.append(inputs)
            if sum(map(len, found)) >= recipe.calibration:
                break
    samples = torch.cat(found)[: recipe.calibration].cpu()
    check_finite(samples, "data.train")
    return samples


def _check_folder(folder: Path) -> None:
    """Raise UsageError where the C could not be written at the end."""
    if folder == Path():
        raise UsageError("folder: '' given, a path allowed")
    files = ("c/model.c", "report.txt", "report.json", "state/compression.json")
    check_places(dict.fromkeys(files, b""), folder)
    leftovers({}, folder / "c", has_parts=False)


def _write(done: Done, folder: Path) -> None:
    """Write the C and the report, in place of earlier ones."""
    files = done.exported.model.files
    check_places(files, folder / "c")
    replace_files(files, folder / "c", leftovers(files, folder / "c", has_parts=False))
    report = done.report
    write_together(
        {
            folder / "report.txt": f"{report}\n".encode(),
            folder / "report.json": report.to_json().encode(),
        }
    )
