"""The weights of a teacher, and what describes its network: of a run or of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from experiments.configuration.documents import Document, read_document
from experiments.configuration.resolve import resolve
from experiments.configuration.section import complain, validate
from experiments.experiment.config import Config, without_pretrained
from experiments.library import Library, Problem, load_library
from experiments.runs import sources
from experiments.runs.checkpoints import BEST, LAST, Checkpoints
from experiments.runs.folder import RunFolder, is_compression, run_around
from experiments.training.distillation.config import TeacherConfig
from experiments.training.stages.table import STAGES
from experiments.training.stored_weights import (
    checkpoints_of,
    open_other_run,
    read_file,
    weights_in,
)
from quantlab.errors import UsageError

_SECTION = "teacher"


@dataclass(frozen=True, kw_only=True)
class Described:
    """What describes a network: its topology and its configuration, which names no weights.

    changed_code: see `Teacher`.
    """

    library: Library
    config: Config
    document: Document
    changed_code: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class StoredTeacher:
    """Weights, and what describes the network that has them. origin: see `Teacher`."""

    state: dict[str, Tensor]
    origin: str
    described: Described


def stored_teacher(
    problem: Problem, library: Library, config: Config, source: TeacherConfig, document: Document
) -> StoredTeacher:
    """Read what a configuration's section `teacher` names. library: the student's.

    Raises UsageError for what is not there or holds no network's weights.
    """
    if source.exp_id is not None:
        run = open_other_run(problem, source.exp_id, _SECTION)
        saves = checkpoints_of(run, source.fold, _SECTION)
        name = source.checkpoint or (BEST if saves.has(BEST) else LAST)
        return _of_run(problem, library, run, saves, name, f"{_SECTION}.exp_id: {source.exp_id}")
    path = Path(source.checkpoint or "")
    run_of_file = run_around(problem.name, path)
    if run_of_file is not None:
        for name in ("topology", "config"):
            if getattr(source, name) is not None:
                message = f"no effect: {path} lies in the folder of a run, which tells its own"
                raise complain(document, (_SECTION, name), message)
        saves, key = Checkpoints(path.parent), f"{_SECTION}.checkpoint: {path}"
        return _of_run(problem, library, run_of_file, saves, path.stem, key)
    return _of_file(problem, library, config, source, path)


def described_by(problem: Problem, library: Library, run: RunFolder, key: str) -> Described:
    """Return what describes the network of a run. library: taken if the run is of it. key: and
    value that name the run, for errors. Raises UsageError."""
    record = run.record()
    if is_compression(record):
        raise UsageError(f"{key}: {run.name} is a compression; runs that train allowed")
    theirs = str(record["id"]).partition("/")[0]
    if theirs != problem.name:
        raise UsageError(f"{key}: a run of {theirs}; one of {problem.name} allowed")
    document = read_document(run.config_file)
    found = _library(problem, library, record["topology"])
    changes = sources.changes(run, record, found.sources) if sources.KEY in record else []
    return Described(
        library=found,
        config=without_pretrained(validate(Config, document)),
        document=document,
        changed_code=[str(change) for change in changes],
    )


def _of_run(
    problem: Problem, library: Library, run: RunFolder, saves: Checkpoints, name: str, key: str
) -> StoredTeacher:
    """Return what a checkpoint of a run holds. key: and value that name it, for errors."""
    described = described_by(problem, library, run, key)
    origin = f"{run.name} {name}.ckpt"
    state = weights_in(saves.load(name, say=lambda _: None), origin, key)
    return StoredTeacher(state=state, origin=origin, described=described)


def _of_file(
    problem: Problem, library: Library, config: Config, source: TeacherConfig, path: Path
) -> StoredTeacher:
    """Return what a file holds that lies in no run's folder."""
    key = f"{_SECTION}.checkpoint"
    saved = read_file(path, key)
    state = weights_in(saved, str(path), key)
    theirs = str(saved.get("problem", problem.name))
    if theirs != problem.name:
        raise UsageError(f"{key}: {path} is of {theirs}; one of {problem.name} allowed")
    named = saved.get("topology") if "network" in saved else None
    topology = source.topology or str(named or library.name)
    found = _library(problem, library, topology)
    if source.config is None and topology == library.name:
        described, document = _plain(config), Document(values={})
    else:
        document = resolve(problem.name, topology, source.config, [])
        described = validate(Config, document)
    return StoredTeacher(
        state=state,
        origin=str(path),
        described=Described(library=found, config=without_pretrained(described), document=document),
    )


def _plain(config: Config) -> Config:
    """Return a configuration without what changes its network."""
    fields = Config.model_fields
    changes = {stage.section: fields[stage.section].get_default() for stage in STAGES}
    return config.model_copy(update=changes)


def _library(problem: Problem, library: Library, topology: str) -> Library:
    return library if topology == library.name else load_library(problem.name, topology)
