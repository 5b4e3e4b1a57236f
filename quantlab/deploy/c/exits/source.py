"""The sources of a model with exits: `model.c`, which runs the trunk, and `model_ee.c`, which has a
function for each head."""

from collections.abc import Sequence

from quantlab.deploy.c.arena import Arena
from quantlab.deploy.c.exits.interface import EXIT, SCORES, ExitInterface
from quantlab.deploy.c.exits.steps import Steps
from quantlab.deploy.c.interface import output_name, run_signature
from quantlab.deploy.c.source import AT, calls_of, wrong_sizes
from quantlab.deploy.c.text import NOTE
from quantlab.deploy.c.writer import Writer


def trunk_source(
    interface: ExitInterface, writer: Writer, arena: Arena, steps: Steps, test: str
) -> str:
    """Return `model.c`. test: the model's own."""
    lines: list[str] = []
    start = 0
    for exit_number, head in enumerate(steps.heads):
        lines += calls_of(writer, arena, range(start, head.start))
        arguments = ", ".join(["arena", *_inputs(writer, head), *_outputs()])
        lines.append(f"    if ({_function(exit_number)}({arguments})) return QL_OK;")
        start = head.stop
    lines += calls_of(writer, arena, range(start, len(writer.calls)))
    calls = "\n".join(lines)
    unread = "".join(
        f"    (void){parameter};\n"
        for buffer, parameter in writer.given.items()
        if parameter not in _inputs(writer, range(len(writer.calls)))
    )
    return f"""{NOTE}#include "model.h"

#include <string.h>

#include "headers/headers.h"
#include "model_ee.h"

{AT}{run_signature(interface)} {{
{unread}    if ({wrong_sizes(interface)}) return QL_WRONG_SIZE;
{calls}
    return QL_OK;
}}

{test}"""


def heads_source(writer: Writer, arena: Arena, steps: Steps) -> str:
    """Return `model_ee.c`."""
    functions = "\n".join(
        _head(writer, arena, head, exit_number) for exit_number, head in enumerate(steps.heads)
    )
    return f"""{NOTE}#include "model_ee.h"

#include <string.h>

#include "headers/headers_ee.h"

{AT}{functions}"""


def heads_interface(writer: Writer, steps: Steps) -> str:
    """Return `model_ee.h`."""
    declarations = "\n".join(
        f"{_signature(writer, head, exit_number)};" for exit_number, head in enumerate(steps.heads)
    )
    return f"""{NOTE}#ifndef MODEL_EE_H
#define MODEL_EE_H

#include "runtime/ql.h"

#ifdef __cplusplus
extern "C" {{
#endif

/* The exits at which ql_run may stop. It calls each with the arena as it is there. If the largest
   score is far enough above all others, an exit gives its scores and its number, and returns 1;
   else it returns 0. */
{declarations}

#ifdef __cplusplus
}}
#endif

#endif
"""


def includes_header(guard: str, headers: Sequence[str]) -> str:
    """Return a header that includes others, by their paths in the folder of headers or from it."""
    includes = "\n".join(f'#include "{header}"' for header in headers)
    return f"{NOTE}#ifndef {guard}\n#define {guard}\n\n{includes}\n\n#endif\n"


def _head(writer: Writer, arena: Arena, head: range, exit_number: int) -> str:
    *calls, last = calls_of(writer, arena, head)
    layer, _, stop = last.rpartition("\n")
    lines = [*calls, *([layer] if layer else []), f"    return {stop.lstrip()}"]
    body = "\n".join(lines)
    return f"{_signature(writer, head, exit_number)} {{\n{body}\n}}\n"


def _signature(writer: Writer, head: range, exit_number: int) -> str:
    parameters = ["void* arena", *(f"const void* {name}" for name in _inputs(writer, head))]
    parameters += [f"void* {name}" for name in _outputs()]
    return f"int {_function(exit_number)}({', '.join(parameters)})"


def _function(exit_number: int) -> str:
    return f"ql_exit_{exit_number}"


def _outputs() -> list[str]:
    return [output_name(SCORES), output_name(EXIT)]


def _inputs(writer: Writer, numbers: range) -> list[str]:
    """Return the parameters that calls read."""
    read = {buffer for number in numbers for buffer in writer.calls[number].buffers}
    arguments = {one for number in numbers for one in writer.calls[number].arguments}
    return [
        parameter
        for buffer, parameter in writer.given.items()
        if buffer in read or parameter in arguments
    ]
