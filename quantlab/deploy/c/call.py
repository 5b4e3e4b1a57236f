"""Calls of the runtime, and what they are called with."""

from collections.abc import Mapping
from dataclasses import dataclass

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.intermittent.work import Work


@dataclass(frozen=True)
class Pointer:
    """An argument that points to a buffer, `offset` bytes behind its begin."""

    buffer: str
    is_written: bool = False
    offset: int = 0


Argument = str | Pointer | None


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the runtime. layer: that it computes, nothing for what copies inputs. places: of
    what is made with a layer's sums, see `ql_place`, or None for a function that takes none. after:
    arguments behind them. over: what the buffers that it writes may lie over, by their names.
    is_directed: whether, if there is `over`, its last argument says if it goes backward. work: that
    it does, of models that survive power failures; None of what only QL_TRACE calls. patch: memory
    that its tiles need besides."""

    layer: str
    function: str
    arguments: tuple[Argument, ...]
    places: tuple[tuple[Argument, Argument], ...] | None = None
    after: tuple[Argument, ...] = ()
    over: Mapping[str, Mapping[str, Gap]] | None = None
    is_directed: bool = True
    work: Work | None = None
    patch: Argument = None

    @property
    def pointers(self) -> list[Pointer]:
        """The buffers that it reads or writes."""
        given = [*self.arguments, *(one for place in self.places or () for one in place)]
        given += [*self.after, self.patch]
        return [one for one in given if isinstance(one, Pointer)]

    @property
    def buffers(self) -> list[str]:
        """The names of the buffers that it reads or writes."""
        return [one.buffer for one in self.pointers]
