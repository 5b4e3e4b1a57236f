"""`model.c`: the calls of a model, and its own test."""

from collections.abc import Iterable, Iterator, Sequence

from quantlab.deploy.c.arena import Arena
from quantlab.deploy.c.call import Argument, Call
from quantlab.deploy.c.interface import (
    input_name,
    output_name,
    outputs_of,
    run_signature,
    selftest_signature,
    size_name,
)
from quantlab.deploy.c.selftest import SEED
from quantlab.deploy.c.text import NOTE, remark
from quantlab.deploy.c.vectors import expected_name, given_name
from quantlab.deploy.c.written import Interface, Written

AT = "static void* at(void* arena, size_t offset) { return (uint8_t*)arena + offset; }\n\n"


def source(
    writer: Written,
    arena: Arena,
    headers: list[str],
    test: str,
    calls: Iterable[str] | None = None,
) -> str:
    """Return `model.c`. headers: of the project that it includes. test: the model's own. calls: the
    lines of `ql_run`, by default those of the calls one after the other."""
    program = writer.program
    includes = "\n".join(f'#include "{header}"' for header in ["model.h", *headers])
    if calls is None:
        calls = calls_of(writer, arena, range(len(writer.calls)))
    lines = "\n".join(calls)
    begin = "    (void)arena;\n"
    at = ""
    if arena.offsets:
        begin = ""
        at = AT
    begin += "".join(f"    (void){input_name(name)};\n" for name in _unread(writer))
    return f"""{NOTE}#include <string.h>

{includes}

{at}{run_signature(program)} {{
{begin}    if ({wrong_sizes(program)}) return QL_WRONG_SIZE;
{lines}
    return QL_OK;
}}

{test}"""


def wrong_sizes(program: Interface) -> str:
    """Return the condition that `ql_run` is called with a wrong size."""
    checks = [
        f"{parameter}_size != {size_name(name)}"
        for parameter, name in (
            *((input_name(name), name) for name in program.inputs),
            *((output_name(name), name) for name in outputs_of(program)),
        )
    ]
    return " || ".join(checks)


def _unread(writer: Written) -> list[str]:
    """Return the inputs that no call reads."""
    read = {buffer for call in writer.calls for buffer in call.buffers}
    return [name for name in writer.program.inputs if name in writer.given and name not in read]


def calls_of(writer: Written, arena: Arena, numbers: Sequence[int]) -> Iterator[str]:
    """Yield the calls of these numbers, those of a layer below its name."""
    layer = ""
    for number in numbers:
        call = writer.calls[number]
        if call.layer not in ("", layer):
            layer = call.layer
            yield f"    /* layer {remark(layer)} */"
        yield _call(call, writer, arena, is_backward=number in arena.backward)


def _call(call: Call, writer: Written, arena: Arena, *, is_backward: bool) -> str:
    arguments = [argument(one, writer, arena) for one in call.arguments]
    after = [argument(one, writer, arena) for one in call.after]
    after += [str(int(is_backward))] if call.over is not None and call.is_directed else []
    if not call.places:
        if call.places is not None:
            arguments.append("NULL")
        return f"    {call.function}({', '.join([*arguments, *after])});"
    places = ", ".join(
        f"{{{argument(other, writer, arena)}, {argument(to, writer, arena)}}}"
        for other, to in call.places
    )
    return f"""    {{
        const ql_place places[] = {{{places}}};
        {call.function}({", ".join([*arguments, "places", *after])});
    }}"""


def argument(given: Argument, writer: Written, arena: Arena) -> str:
    """Return an argument in C."""
    if given is None:
        return "NULL"
    if isinstance(given, str):
        return given
    if given.buffer in writer.given:
        return writer.given[given.buffer]
    return f"at(arena, {arena.offsets[given.buffer] + given.offset})"


def selftest(
    program: Interface,
    crc32: int,
    *,
    has_vectors: bool,
    numbers: str | None = None,
    is_tiled: bool = False,
) -> str:
    """Return the definition of `ql_selftest`.

    crc32: of the outputs. has_vectors: whether a header has inputs of the user's. numbers: a
    function that makes numbers of an input's bytes; None: they are some already. is_tiled: whether
    an inference may be under way.
    """
    given = [(input_name(name), size_name(name)) for name in program.inputs]
    found = [(output_name(name), size_name(name)) for name in outputs_of(program)]
    fill = [f"    seed = ql_fill({name}, {size}, seed);" for name, size in given]
    if numbers is not None:
        fill += [f"    {numbers}({name}, {size});" for name, size in given]
    sums = [f"    crc = ql_crc32(crc, {name}, {size});" for name, size in found]
    arguments = ", ".join(one for pair in (*given, *found) for one in pair)
    lines = [
        f"{selftest_signature(program)} {{",
        f"    uint32_t seed = UINT32_C({SEED}), crc = 0;",
        *(["    ql_reset(arena);"] if is_tiled else []),
        *fill,
        "    (void)seed;",
        f"    if (ql_run(arena, {arguments}) != QL_OK) return QL_WRONG_RESULT;",
        *sums,
        *_verdict(program, crc32, has_vectors=has_vectors),
        "}\n",
    ]
    return "\n".join(lines)


def _verdict(program: Interface, crc32: int, *, has_vectors: bool) -> list[str]:
    """Return the end of the model's own test: whether the checksum is right, then the vectors."""
    crc = f"UINT32_C({crc32})"
    if not has_vectors:
        return [f"    return crc == {crc} ? QL_OK : QL_WRONG_RESULT;"]
    given = [f"{given_name(name)}[i], {size_name(name)}" for name in program.inputs]
    found = [f"{output_name(name)}, {size_name(name)}" for name in outputs_of(program)]
    wrong = [
        f"ql_run(arena, {', '.join([*given, *found])}) != QL_OK",
        *(
            f"!ql_is_same({output_name(name)}, {expected_name(name)}[i], {size_name(name)})"
            for name in outputs_of(program)
        ),
    ]
    return [
        f"    if (crc != {crc}) return QL_WRONG_RESULT;",
        "    for (int i = 0; i < QL_NUM_VECTORS; i++) {",
        *(f"        if ({one}) return QL_WRONG_RESULT;" for one in wrong),
        "    }",
        "    return QL_OK;",
    ]
