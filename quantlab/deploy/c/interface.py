"""`model.h`: what a caller sees of a model."""

from collections.abc import Iterator
from math import prod

import numpy as np

from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.text import NOTE, identifier, remark
from quantlab.deploy.c.written import Interface, Tensor
from quantlab.errors import UsageError

_POWER = """#include "runtime/power.h"

/* The work of an inference is cut into so many tiles. See runtime/power.h. */
#define QL_NUM_TILES {num_tiles}
"""
_GOES_ON = """

   It goes on with the inference that is under way, or begins one if none is. All this memory keeps
   its contents while the power is off. Until an inference is done the inputs have to stay as they
   are: write others only where ql_is_under_way(arena) is 0. Returns QL_WRONG_PROGRESS and does
   nothing for an arena of another model: ql_reset(arena) makes it one of this."""
_AXES = {2: ": axes as of the network", 3: ": rows, columns, channels"}
_TAKEN = {"QL_ARENA_SIZE": "the arena", "QL_WRONG_SIZE": "an error code"}


def input_name(name: str) -> str:
    """Return the parameter that points to an input."""
    return f"input_{identifier(name)}"


def output_name(name: str) -> str:
    """Return the parameter that points to an output."""
    return f"output_{identifier(name)}"


def size_name(name: str) -> str:
    """Return the macro of a tensor's bytes."""
    return f"QL_{identifier(name).upper()}_SIZE"


def outputs_of(program: Interface) -> list[str]:
    """Return the outputs, each once."""
    return list(dict.fromkeys(program.outputs))


def run_signature(program: Interface) -> str:
    """Return the declaration of `ql_run`, without the semicolon."""
    lines = [f"const void* {input_name(n)}, size_t {input_name(n)}_size" for n in program.inputs]
    lines += [f"void* {output_name(n)}, size_t {output_name(n)}_size" for n in outputs_of(program)]
    return "int ql_run(void* arena, " + ",\n           ".join(lines) + ")"


def selftest_signature(program: Interface) -> str:
    """Return the declaration of `ql_selftest`, without the semicolon."""
    names = [input_name(name) for name in program.inputs]
    names += [output_name(name) for name in outputs_of(program)]
    return f"int ql_selftest(void* arena, {', '.join(f'void* {name}' for name in names)})"


def interface(
    program: Interface,
    arena_size: int,
    *,
    has_vectors: bool = False,
    num_tiles: int | None = None,
) -> str:
    """Return `model.h`. arena_size: in bytes. has_vectors: whether the model's own test has inputs
    of the user's. num_tiles: of a model that survives power failures. Raises UsageError if two
    tensors have one name in C."""
    _check_names(program)
    shared = {**program.inputs, **{name: program.types[name] for name in program.outputs}}
    sizes = "\n".join(_size(name, kind) for name, kind in shared.items())
    also = "\n   The vectors of headers/input.h are tested too." if has_vectors else ""
    power = "" if num_tiles is None else _POWER.format(num_tiles=num_tiles)
    goes_on = "" if num_tiles is None else _GOES_ON
    return f"""{NOTE}#ifndef MODEL_H
#define MODEL_H

#include "runtime/ql.h"
{power}
/* Bytes of the memory that the model works in. It begins at a multiple of 4. */
#define QL_ARENA_SIZE {arena_size}

{sizes}

#ifdef __cplusplus
extern "C" {{
#endif

/* Run the model once. Sizes are bytes; inputs and outputs may lie at any address, none of them in
   another one. Returns QL_OK, or QL_WRONG_SIZE and does nothing.{goes_on} */
{run_signature(program)};

/* Run the model on numbers of its own in memory of these sizes, which it overwrites. Returns QL_OK,
   or QL_WRONG_RESULT where the outputs are not those of the program.{also} */
{selftest_signature(program)};

#ifdef __cplusplus
}}
#endif

#endif
"""


def _check_names(program: Interface) -> None:
    taken = dict(_TAKEN)
    for role, name, parameter in _parameters(program):
        for word in (size_name(name), parameter, f"{parameter}_size"):
            owner = taken.setdefault(word, f"'{name}'")
            if owner != f"'{name}'":
                raise UsageError(f"{role} '{name}': {word} in C, as {owner}; another name needed")


def _parameters(program: Interface) -> Iterator[tuple[str, str, str]]:
    """Yield what each tensor is to a caller, its name, and the parameter that points to it."""
    for name in program.inputs:
        yield "input", name, input_name(name)
    for name in outputs_of(program):
        yield "output", name, output_name(name)


def _size(name: str, kind: Tensor) -> str:
    axes = "".join(f"[{kind.shape[axis]}]" for axis in channels_last(kind.shape))
    what = _AXES.get(len(kind.shape), "")
    num_bytes = prod(kind.shape) * np.dtype(kind.kind.dtype).itemsize
    return f"/* {remark(name)}, {kind.kind}{axes}{what}. */\n#define {size_name(name)} {num_bytes}"
