"""The calls of a model with exits: all that it may compute, one after the other, and where it may
stop. What one exit needs lies in the arena until the last exit that needs it."""

from dataclasses import dataclass

from quantlab.deploy.c.emit import emit
from quantlab.deploy.c.exits.interface import EXIT, SCORES
from quantlab.deploy.c.exits.names import header_names
from quantlab.deploy.c.interface import output_name
from quantlab.deploy.c.text import number
from quantlab.deploy.c.writer import Pointer, Writer, check_sizes
from quantlab.exits.program import ExitProgram
from quantlab.integer.groups import Group
from quantlab.integer.operations import Operation


@dataclass(frozen=True, kw_only=True)
class Steps:
    """heads: the numbers of the calls of each exit but the last, the last of which says whether the
    model stops there. names: of headers, by the writer's. of_heads: those of heads."""

    heads: list[range]
    names: dict[str, str]
    of_heads: set[str]


def write_steps(exits: ExitProgram, writer: Writer) -> Steps:
    """Append the calls of a program whose inputs have their places."""
    by_output = {group.operation.output: group for group in writer.groups}
    heads: list[range] = []
    arrays: dict[str, str] = {}  # of all heads, which one source has
    written: list[tuple[Operation, bool]] = []
    for exit_number, (segment, head) in enumerate(exits.parts):
        trunk, own = (
            [by_output[o.output] for o in part if o.output in by_output] for part in (segment, head)
        )
        writer.same_arrays = None
        _emit(trunk, writer)
        start = len(writer.calls)
        writer.same_arrays = arrays
        _emit(own, writer)
        _stop(exits, writer, exit_number)
        heads.append(range(start, len(writer.calls)))
        written += [(group.operation, False) for group in trunk]
        written += [(group.operation, True) for group in own]
    names = dict(zip(writer.definitions, header_names(written), strict=True))
    headers = [
        name for name, (_, is_head) in zip(writer.definitions, written, strict=True) if is_head
    ]
    return Steps(heads=heads[:-1], names=names, of_heads=set(headers))


def _emit(groups: list[Group], writer: Writer) -> None:
    for group in groups:
        emit(group, writer)


def _stop(exits: ExitProgram, writer: Writer, exit_number: int) -> None:
    """Append what gives the scores of an exit, of all but the last if they are clear enough."""
    name = exits.scores[exit_number]
    maker = next(o for o in exits.program.operations if o.output == name)
    check_sizes(maker, {"classes": exits.num_classes})
    scores = Pointer(writer.ordered(name).buffer)
    to = (output_name(SCORES), output_name(EXIT), str(exit_number))
    if exit_number < len(exits.thresholds):
        threshold = f"UINT32_C({exits.thresholds[exit_number]})"
        writer.runtime |= {"leave", "give"}
        writer.call("ql_leave", scores, number(exits.num_classes), threshold, *to)
    else:
        writer.call("ql_give", scores, number(exits.num_classes), *to)
