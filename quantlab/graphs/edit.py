"""Edit: change a graph by rules and passes, with undo, redo and a record of renamed entries.

    editor = Editor(trace(network, example))
    print(editor.apply(fold_batch_norm))
    print(editor.diff())
    editor.undo()

A pass is a function that changes a graph in place and returns a `Report` (see `reported`). A `Rule`
is a pass made of a pattern and what to do where it stands.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError, did_you_mean
from quantlab.graphs.match import Match, Op, find, match_at
from quantlab.graphs.report import KeyMap, Pass, Report, entries, reported
from quantlab.graphs.show import show
from quantlab.graphs.snapshot import Snapshot
from quantlab.quantizer import Quantizer


class Rule(ABC):
    """A pattern and what becomes of it. `rule(gm)` changes a graph wherever the pattern stands."""

    name: str
    pattern: Op

    def check(self, gm: fx.GraphModule, match: Match) -> None:  # noqa: B027 (few rules need it)
        """Raise UsageError where the pattern stands but must not be changed. Asked about all
        matches before anything is changed."""

    @abstractmethod
    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        """Change the graph at a match. Return what changed, in a line; None if nothing did."""

    @final
    def __call__(self, gm: fx.GraphModule) -> Report:
        return reported(self.name)(self._sweep)(gm)

    def _sweep(self, gm: fx.GraphModule) -> Iterator[str]:
        for match in find(gm, self.pattern):
            self.check(gm, match)
        for node in list(gm.graph.nodes):
            match_here = None if node._erased else match_at(gm, self.pattern, node)
            line = None if match_here is None else self.rewrite(gm, match_here)
            if line is not None:
                yield line


@dataclass(kw_only=True)
class _Step:
    change: Pass
    report: Report
    snapshot: Snapshot


class Editor:
    """Applies edits to a network in place and takes them back.

    `undo` puts the network back exactly: the same graph text, module objects, classes, attributes
    and hooks, the same Parameter objects, and the same bits in all tensors that the edit changed.
    Tensors that it did not change keep what was trained since. Nodes are found again by name, not
    as objects.
    """

    def __init__(self, gm: fx.GraphModule) -> None:
        self.gm = gm
        self._original = show(gm)
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

    @property
    def reports(self) -> tuple[Report, ...]:
        """What the edits in effect did, in order."""
        return tuple(step.report for step in self._done)

    @property
    def key_map(self) -> KeyMap:
        """Entries of the unedited network's state dict that have another name now, or None where
        they are gone; the others stay."""
        return compose([step.report for step in self._done])

    def apply(self, change: Pass) -> Report:
        """Carry out a rule or a pass. If it raises, the network is put back first."""
        snapshot = Snapshot(self.gm)
        try:
            report = change(self.gm)
        except BaseException:
            snapshot.swap()
            raise
        snapshot.forget_unchanged()
        self._done.append(_Step(change=change, report=report, snapshot=snapshot))
        self._undone.clear()
        return report

    def undo(self) -> Report:
        """Take back the last edit; returns what it had done. Raises UsageError if there is none."""
        if not self._done:
            raise UsageError("undo: no edit is in effect")
        return self._undo().report

    def redo(self) -> Report:
        """Carry out again, to the bit, what was taken back last. Raises UsageError if nothing was,
        or if there was another edit since."""
        if not self._undone:
            raise UsageError("redo: nothing was undone since the last edit")
        return self._redo().report

    def diff(self) -> str:
        """Return how the graph differs from the unedited one, line by line; empty if it does
        not."""
        before, after = self._original.splitlines(), show(self.gm).splitlines()
        return "\n".join(difflib.unified_diff(before, after, "before", "after", lineterm=""))

    def load_float(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load a checkpoint of the unedited network into the edited one.

        The edits are taken back, the checkpoint is loaded, and each edit is carried out anew on the
        loaded values: folding folds them, equalizing equalizes them. All modules and parameters
        stay the objects they are, and `undo` afterwards gives the loaded network. Quantizers keep
        their own state; what a pass's factory makes this time is dropped.

        Raises UsageError, with nothing changed, if an entry is missing, unknown or of another
        shape. Entries of quantizers, and those that are the same tensor as one that is there, may
        be missing.
        """
        number = len(self._done)
        for _ in range(number):
            self._undo()
        try:
            _check_entries(self.gm, state_dict)
        except UsageError:
            for _ in range(number):
                self._redo()
            raise
        self.gm.load_state_dict(state_dict, strict=False)
        for _ in range(number):
            snapshot = Snapshot(self.gm)
            self._undone[-1].change(self.gm)
            snapshot.forget_unchanged()
            computed = {key: t.detach().clone() for key, t in entries(self.gm).items()}
            before = dict(snapshot.tensors)
            snapshot.swap()
            self._redo().snapshot.tensors = before
            _put_all(self.gm, computed)

    def _undo(self) -> _Step:
        step = self._done.pop()
        step.snapshot.swap()
        self._undone.append(step)
        return step

    def _redo(self) -> _Step:
        step = self._undone.pop()
        step.snapshot.swap()
        self._done.append(step)
        return step


def compose(reports: list[Report]) -> dict[str, str | None]:
    """Return the key map of several edits, one after the other."""
    # What each entry that is there now was called at first; None if it was not there.
    first: dict[str, str | None] = {}
    gone: dict[str, None] = {}
    for report in reports:
        moved = {old: first.pop(old, old) for old in report.key_map}
        for old, new in report.key_map.items():
            original = moved[old]
            if new is not None:
                first[new] = original
            elif original is not None:
                gone[original] = None
        first.update(dict.fromkeys(report.added))
    renamed = {original: now for now, original in first.items() if original not in (None, now)}
    return {**{str(k): v for k, v in renamed.items()}, **gone}


def _check_entries(gm: fx.GraphModule, state_dict: Mapping[str, Tensor]) -> None:
    own = entries(gm)
    for key, value in state_dict.items():
        if key not in own:
            raise UsageError(
                f"load_float: entry '{key}' is not one of the unedited network"
                f"{did_you_mean(key, own)}"
            )
        if isinstance(value, Tensor) and value.shape != own[key].shape:
            raise UsageError(
                f"load_float: entry '{key}' has shape {list(value.shape)}, "
                f"{list(own[key].shape)} expected"
            )
    given = {id(own[key]) for key in state_dict}
    for key, tensor in own.items():
        if key not in state_dict and id(tensor) not in given and not _of_quantizer(gm, key):
            raise UsageError(f"load_float: entry '{key}' is missing from the checkpoint")


def _of_quantizer(gm: nn.Module, key: str) -> bool:
    module = gm
    for name in key.split(".")[:-1]:
        with suppress(AttributeError):
            module = module.get_submodule(name)
        if isinstance(module, Quantizer):
            return True
    return False


def _put_all(gm: fx.GraphModule, values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for key, tensor in entries(gm).items():
            if not _of_quantizer(gm, key):
                tensor.copy_(values[key])
