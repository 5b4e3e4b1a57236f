"""What all models in C have in common on their way there, whatever their numbers are."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from numpy.typing import DTypeLike

from quantlab.deploy.c.arena import Arena, Gap, Lifetime, place
from quantlab.deploy.c.call import Call


class Kind(Protocol):
    """A type of numbers; as text its name."""

    @property
    def dtype(self) -> DTypeLike: ...


class Tensor(Protocol):
    """shape: of one sample, as the network has it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def kind(self) -> Kind: ...


class Interface(Protocol):
    """What a program takes and gives, by name. types: of both at least."""

    @property
    def inputs(self) -> Mapping[str, Tensor]: ...

    @property
    def outputs(self) -> Sequence[str]: ...

    @property
    def types(self) -> Mapping[str, Tensor]: ...


class Written(Protocol):
    """A program as calls. sizes: of the buffers of the arena, in bytes. given: the parameters that
    are buffers. constant_bytes: of each header."""

    @property
    def program(self) -> Interface: ...

    @property
    def calls(self) -> Sequence[Call]: ...

    @property
    def sizes(self) -> Mapping[str, int]: ...

    @property
    def given(self) -> Mapping[str, str]: ...

    @property
    def constant_bytes(self) -> Mapping[str, int]: ...


def arena_of(written: Written, *, keeps_inputs: bool = False) -> Arena:
    """Return where the buffers lie. keeps_inputs: whether no call may write over what it reads."""
    uses: dict[str, list[int]] = {}
    over: dict[str, Mapping[str, Gap]] = {}
    for number, call in enumerate(written.calls):
        for buffer in call.buffers:
            uses.setdefault(buffer, []).append(number)
        if not keeps_inputs:
            over.update(call.over or {})
    return place(
        {
            name: Lifetime(
                size=size,
                first=uses[name][0],
                last=uses[name][-1],
                over={
                    other: gap
                    for other, gap in over.get(name, {}).items()
                    if other in written.sizes and uses[other][-1] == uses[name][0]
                },
            )
            for name, size in written.sizes.items()
            if name in uses
        }
    )
