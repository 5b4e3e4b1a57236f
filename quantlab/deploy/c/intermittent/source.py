"""`ql_run` of a model that survives power failures: calls in tiles, with a commit behind each."""

from collections.abc import Iterator, Sequence

from quantlab.deploy.c.arena import Arena
from quantlab.deploy.c.call import Argument, Call
from quantlab.deploy.c.intermittent.plan import KEEP, Step, form_of, num_tiles, work_of
from quantlab.deploy.c.source import argument
from quantlab.deploy.c.text import remark
from quantlab.deploy.c.writer import Writer


def tiled_calls(writer: Writer, arena: Arena, steps: Sequence[Step]) -> Iterator[str]:
    """Yield the lines of `ql_run`: those of a layer below its name."""
    yield f"    uint16_t next = ql_resume(arena, {num_tiles(steps)});"
    yield "    if (next == 0) return QL_WRONG_PROGRESS;"
    waiting = list(steps)
    layer = ""
    for call in writer.calls:
        if call.layer not in ("", layer):
            layer = call.layer
            yield f"    /* layer {remark(layer)} */"
        if call.function == KEEP:
            given = ", ".join(argument(one, writer, arena) for one in call.arguments)
            yield f"    {call.function}({given});"
        else:
            yield from _step(waiting.pop(0), writer, arena)
    yield "    ql_reset(arena);"


def _step(step: Step, writer: Writer, arena: Arena) -> Iterator[str]:
    last = step.first + step.tiles - 1
    yield f"    for (; next <= {last}; next = ql_commit(arena, next)) {{"
    if step.call.places:
        places = ", ".join(
            f"{{{argument(other, writer, arena)}, {argument(to, writer, arena)}}}"
            for other, to in step.call.places
        )
        yield f"        const ql_place places[] = {{{places}}};"
    form = form_of(step)
    function = step.call.function if form is None else f"ql_{form}"
    yield f"        {function}({', '.join(_arguments(step, writer, arena))});"
    yield "    }"


def _arguments(step: Step, writer: Writer, arena: Arena) -> list[str]:
    call, work = step.call, work_of(step.call)
    own = [argument(one, writer, arena) for one in _own(call)]
    if form_of(step) is None:
        return [*own, "0"] if call.over is not None and call.is_directed else own
    number = f"(uint16_t)(next - {step.first})"
    own += [argument(call.patch, writer, arena)] if call.patch is not None else []
    return [*work.before, *own, *work.after, number, str(step.rows), *work.last]


def _own(call: Call) -> list[Argument]:
    """Return the arguments of a call, the places of what it makes among them."""
    if call.places is None:
        return [*call.arguments, *call.after]
    return [*call.arguments, "places" if call.places else None, *call.after]
