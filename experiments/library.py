"""Problems and topologies, found by their folders.

A problem is a folder of `problems/` with data.py and meter.py; a topology is a folder inside it
with network.py, preprocess.py, postprocess.py and config.yaml.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from experiments.imports import imported_files
from experiments.protocols import DataModule, Meter, Postprocess, Preprocess
from quantlab.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

HOME = Path(__file__).resolve().parent.parent
PROBLEMS = HOME / "problems"
LOGS = "logs"  # in a problem's folder, its runs

_OF_PROGRAM = ("experiments", "quantlab")  # of which a run keeps the version
_TOPOLOGY_FILES = ("network.py", "preprocess.py", "postprocess.py", "config.yaml")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem: its folder, data and meter."""

    name: str
    folder: Path
    data: DataModule
    meter: Callable[[Sequence[str]], Meter]

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def logs_folder(self) -> Path:
        return self.folder / LOGS


@dataclass(frozen=True, kw_only=True)
class Library:
    """One topology of a problem. sources: see `source_files`."""

    name: str
    folder: Path
    network: ModuleType
    loss: ModuleType | None
    preprocess: Preprocess
    postprocess: "Callable[[Tensor], Tensor]"
    sources: Mapping[str, bytes]


def problem_names() -> list[str]:
    """Return the names of all problems."""
    return sorted(
        folder.name
        for folder in PROBLEMS.iterdir()
        if (folder / "data.py").is_file() and (folder / "meter.py").is_file()
    )


def topology_names(problem: str) -> list[str]:
    """Return the names of the topologies of a problem."""
    return sorted(
        folder.name
        for folder in (PROBLEMS / problem).iterdir()
        if folder.is_dir() and all((folder / file).is_file() for file in _TOPOLOGY_FILES)
    )


def problem_folder(name: str) -> Path:
    """Return the folder of a problem. Raises UsageError with the nearest name."""
    _require(name, problem_names(), "problem")
    return PROBLEMS / name


def topology_folder(problem: str, topology: str) -> Path:
    """Return the folder of a topology. Raises UsageError with the nearest name."""
    _require(topology, topology_names(problem), f"topology of {problem}")
    return PROBLEMS / problem / topology


def load_problem(name: str) -> Problem:
    """Import a problem. Raises UsageError with the nearest name."""
    folder = problem_folder(name)
    meter = importlib.import_module(f"problems.{name}.meter")
    if not hasattr(meter, "Meter"):
        raise UsageError(f"problems/{name}/meter.py: no class Meter")
    return Problem(
        name=name,
        folder=folder,
        data=cast(DataModule, _module(f"problems.{name}.data", ("load", "fetch"))),
        meter=meter.Meter,
    )


def load_library(problem: str, topology: str) -> Library:
    """Import a topology. Raises UsageError with the nearest name."""
    folder = topology_folder(problem, topology)
    package = f"problems.{problem}.{topology}"
    sources = source_files(problem, topology)  # read first: who edits them now is not heard
    has_loss = (folder / "loss.py").is_file()
    postprocess = cast(Postprocess, _module(f"{package}.postprocess", ("postprocess",)))
    return Library(
        name=topology,
        folder=folder,
        network=importlib.import_module(f"{package}.network"),
        loss=importlib.import_module(f"{package}.loss") if has_loss else None,
        preprocess=cast(
            Preprocess, _module(f"{package}.preprocess", ("NUM_DRAWS", "train", "evaluate"))
        ),
        postprocess=postprocess.postprocess,
        sources=sources,
    )


def source_files(problem: str, topology: str) -> dict[str, bytes]:
    """Return the code of a problem and a topology with all that it imports in the checkout, by its
    path from there; the program itself is left out."""
    own = ("network", "loss", "preprocess", "postprocess")
    modules = [f"problems.{problem}.{name}" for name in ("data", "meter")]
    modules += [f"problems.{problem}.{topology}.{name}" for name in own]
    return imported_files(HOME, modules, _OF_PROGRAM)


def config_names(problem: str, topology: str) -> list[str]:
    """Return the names of the topology's named configurations."""
    return sorted(file.stem for file in (PROBLEMS / problem / topology / "configs").glob("*.yaml"))


def _module(name: str, needed: Sequence[str]) -> ModuleType:
    module = importlib.import_module(name)
    for attribute in needed:
        if not hasattr(module, attribute):
            file = name.replace(".", "/") + ".py"
            raise UsageError(f"{file}: defines no {attribute}; see experiments/protocols.py")
    return module


def _require(name: str, names: Sequence[str], kind: str) -> None:
    if name not in names:
        hint = did_you_mean(name, names) or f"; there are: {', '.join(names) or 'none'}"
        raise UsageError(f"no {kind} named {name!r}{hint}")
