"""Reports: what a pass over a graph did."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec

from torch import Tensor, fx, nn

P = ParamSpec("P")

Pass = Callable[[fx.GraphModule], "Report"]
KeyMap = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a pass did.

    lines: one for each change.
    key_map: entries of the state dict that have another name now, or None where they are gone.
        Those that it does not mention stay.
    added: entries of the state dict that no earlier entry became.
    """

    name: str
    lines: tuple[str, ...] = ()
    key_map: KeyMap = field(default_factory=dict)
    added: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {len(self.lines)} changed", *self.lines])


def reported(
    name: str,
) -> Callable[
    [Callable[Concatenate[fx.GraphModule, P], Iterator[str]]],
    Callable[Concatenate[fx.GraphModule, P], Report],
]:
    """Make a pass of a function that changes a graph and yields a line for each change.

    The pass checks the graph, writes its code anew and returns the report.
    """

    def decorate(
        edit: Callable[Concatenate[fx.GraphModule, P], Iterator[str]],
    ) -> Callable[Concatenate[fx.GraphModule, P], Report]:
        @wraps(edit)
        def run(gm: fx.GraphModule, /, *args: P.args, **kwargs: P.kwargs) -> Report:
            before = entries(gm)
            lines = tuple(edit(gm, *args, **kwargs))
            gm.graph.lint()
            gm.recompile()
            return report(name, lines, before, entries(gm))

        return run

    return decorate


def entries(module: nn.Module) -> dict[str, Tensor]:
    """Return the state dict with the parameters and buffers themselves in it."""
    state: dict[str, Tensor] = module.state_dict(keep_vars=True)
    return state


def report(
    name: str, lines: tuple[str, ...], before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> Report:
    """Compare two states: a tensor that is at a new key only has been renamed."""
    new = {key: tensor for key, tensor in after.items() if key not in before}
    key_map: dict[str, str | None] = {}
    for key, tensor in before.items():
        if key in after:
            continue
        key_map[key] = next((k for k, t in new.items() if t is tensor), None)
        new.pop(key_map[key] or "", None)
    return Report(name=name, lines=lines, key_map=key_map, added=tuple(new))
