"""`main.py compress`: a run's float network as C that fits a budget of bytes."""

from collections.abc import Sequence
from dataclasses import replace

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import Restored, dense_network, restore
from experiments.commands.stored import check_no_effect
from experiments.compression.conduct import (
    UNREACHABLE,
    C,
    Source,
    check_alone,
    conduct,
)
from experiments.compression.config import AskedConfig, CompressConfig
from experiments.configuration.documents import Document, read_document
from experiments.configuration.overrides import Override, apply_overrides
from experiments.configuration.section import validate
from experiments.experiment.conduct import INTERRUPTED
from experiments.experiment.experiment import Experiment
from experiments.experiment.session import session_of
from experiments.progress import console, show
from experiments.runs.folder import RunFolder
from quantlab.compression import UnreachableError
from quantlab.compression.floor import check_floor
from quantlab.compression.report import Point
from quantlab.compression.target import command_for
from quantlab.conversion.calibration import check_none_generated, has_quantizers
from quantlab.errors import UsageError


def run(invocation: Invocation) -> int:
    """Check all that can be checked, restore the network, compress it in a new run."""
    document = _document(invocation)
    _check(validate(AskedConfig, document))
    restored = restore(invocation)
    parent = {
        "exp_id": restored.folder.exp_id,
        "fold": restored.fold,
        "checkpoint": restored.checkpoint,
    }
    config = validate(
        CompressConfig, replace(document, values=document.values | {"parent": parent})
    )
    return _conduct(restored, config, None)


def go_on(invocation: Invocation, folder: RunFolder, status: str) -> int:
    """Go on with a compression that was killed or interrupted. status: of its record."""
    if status in ("done", UNREACHABLE):
        console.print(f"{folder.name} is {status}; nothing to resume", markup=False)
        return 0
    check_no_effect(invocation, folder, ("changed_code",))
    config = validate(CompressConfig, read_document(folder.config_file))
    _check(config)
    parent = {name: str(value) for name, value in config.parent.model_dump().items()}
    kept = {n: v for n, v in invocation.options.items() if n in ("problem", "changed_code")}
    try:
        restored = restore(replace(invocation, options=kept | parent))
    except UsageError as error:
        raise UsageError(f"{folder.name}: its parent: {error}") from error
    return _conduct(restored, config, folder)


def _document(invocation: Invocation) -> Document:
    """Return the configuration that the command line gives."""
    options = {
        ("budget", "flash"): invocation.options.get("budget.flash"),
        ("budget", "ram"): invocation.options.get("budget.ram"),
        ("floor",): invocation.options.get("floor"),
        ("board",): invocation.options.get("board"),
    }
    given = [Override(path=path, text=text) for path, text in options.items() if text is not None]
    return apply_overrides(Document(values={}), [*given, *invocation.overrides])


def _check(config: AskedConfig) -> None:
    """Raise UsageError for a budget or a floor that is none, and a board without its compiler."""
    config.budget.budget()
    if config.floor is not None:
        check_floor(config.floor)
    command_for(config.board)


def _conduct(restored: Restored, config: CompressConfig, folder: RunFolder | None) -> int:
    _check_floats(restored)
    session = session_of(restored.config.experiment, None)
    check_alone(session)
    source = Source(
        experiment=Experiment(
            problem=restored.problem,
            library=restored.library,
            config=restored.config,
            document=restored.document,
            data=restored.data(),
            session=session,
            is_quick=restored.is_quick,
        ),
        folder=restored.folder,
        network=dense_network(restored).float(),
        loss=restored.loss.float(),
    )
    try:
        made = conduct(source, config, folder)
    except UnreachableError as error:
        _print_curve(error.curve)
        raise
    if made.compressed is None:
        console.print(
            f"interrupted; go on with: python main.py resume --problem={restored.problem.name} "
            f"--exp_id={made.folder.exp_id}",
            markup=False,
        )
        return INTERRUPTED
    console.print(str(made.compressed.report), markup=False)
    console.print(f"C: {made.folder.path / C}", markup=False)
    console.print(f"run folder: {made.folder.path}", markup=False)
    return 0


def _check_floats(restored: Restored) -> None:
    """Raise UsageError for a network with generated weights or quantizers."""
    check_none_generated(restored.network)
    if not has_quantizers(restored.network):
        return
    parent = restored.folder.record().get("parent")
    hint = f", such as its parent {parent}" if parent else ""
    raise UsageError(
        f"--exp_id={restored.folder.exp_id}: {restored.folder.name} has quantizers, which compress "
        f"adds itself; a run in float{hint} allowed"
    )


def _print_curve(curve: Sequence[Point]) -> None:
    table = Table("epoch", "flash", "accuracy %", title="accuracy over bytes, on the way")
    for point in curve:
        table.add_row(f"{point.epoch}", f"{point.flash:,}", f"{point.accuracy:.2f}")
    show(table)
