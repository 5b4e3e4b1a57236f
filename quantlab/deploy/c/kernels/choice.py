"""Which kernel multiplies each layer of a program.

A name gives its kernel to all layers that it can multiply and whose weights take fewer bytes then;
the others stay dense. `smallest` makes the bytes of all weights, and of the code of all kernels
that are needed, as few as possible: a kernel that only one layer takes has to save more than its
own code. It keeps a program dense whose weights alone take no fewer bytes otherwise. `auto` is the
same among what takes at most a quarter more instructions in all than the fastest kernels do, as
kernels estimate them. `small` makes the code as small as can be, see `small.py`, and `tiny` the
weights with it; those of layers that it cannot make are dense or `csr`. A mapping names the
encoding of each layer, by the name of its output; layers that it lacks are dense.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.kernel import Factors
from quantlab.deploy.c.kernels.rice import RICE, UNPACKED_CODE, UNPACKING
from quantlab.deploy.c.kernels.table import AUTO, CHOICES, DENSE, KERNELS, SMALL, TINY
from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.small_weights import little
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.integer.operations import Convolution, Linear, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import IntegerType

Encoding = str | Mapping[str, str]
_LEEWAY = 1.25  # instructions over those of the fastest kernels


def chosen(program: Program, encoding: Encoding) -> Mapping[str, str]:
    """Return the encoding of each layer, by the name of its output.

    Raises UsageError for a name that is no encoding's, and for a layer of a mapping that is not
    there or that its encoding cannot store.
    """
    layers = {
        operation.output: factors_of(operation, program)
        for operation in program.operations
        if isinstance(operation, Convolution | Linear)
    }
    check_kind("encoding", encoding, str | Mapping, "a name, or names by layer,")
    if not isinstance(encoding, str):
        _check_layers(encoding, layers)
        return {name: encoding.get(name, DENSE) for name in layers}
    if encoding in (SMALL, TINY):
        return little(layers, is_fast=encoding == SMALL)
    if encoding in CHOICES:
        return _smallest(layers, is_fast=encoding == AUTO)
    _check_name(encoding)
    return {name: _least(factors, (DENSE, encoding)) for name, factors in layers.items()}


def kernel_name(encoding: str, factors: Factors) -> str:
    """Return the kernel of a layer that has an encoding: another one for one of little code."""
    return encoding if encoding in KERNELS else _least(factors, (DENSE, "csr"))


def factors_of(layer: Convolution | Linear, program: Program) -> Factors:
    """Return a layer as its kernel sees it."""
    if isinstance(layer, Linear):
        weight = layer.weight[:, _columns(layer, program), None, None]
    else:
        weight = layer.weight
    kind = program.types[layer.inputs[0]].kind
    return Factors(layer=layer, weight=weight.transpose(0, 2, 3, 1), kind=kind, program=program)


def _columns(layer: Linear, program: Program) -> NDArray[np.intp]:
    """Return which of a layer's columns lies at each place: a flattened image has its channels
    last."""
    (name,) = layer.inputs
    columns = np.arange(layer.weight.shape[1])
    if len(program.types[name].shape) != 1:
        return columns
    makers = {operation.output: operation for operation in program.operations}
    while isinstance(maker := makers.get(name), Reshape):
        (name,) = maker.inputs
    shape = program.types[name].shape
    return columns.reshape(shape).transpose(channels_last(shape)).reshape(-1)


def _check_name(name: str, place: str = "encoding") -> None:
    if name not in KERNELS:
        allowed = ", ".join([*CHOICES, *KERNELS] if place == "encoding" else KERNELS)
        hint = did_you_mean(name, [*CHOICES, *KERNELS])
        raise UsageError(f"{place}: '{name}' given, {allowed} allowed{hint}")


def _check_layers(encoding: Mapping[str, str], layers: Mapping[str, Factors]) -> None:
    for name, one in encoding.items():
        check_kind("encoding", name, str, "names of layers")
        check_kind(f"encoding['{name}']", one, str, "a name")
        if name not in layers:
            hint = did_you_mean(name, layers)
            raise UsageError(f"encoding: no layer makes '{name}'{hint}")
        _check_name(one, f"encoding['{name}']")
        reason = KERNELS[one].obstacle(layers[name])
        if reason is not None:
            raise UsageError(f"encoding['{name}']: '{one}' given, but {reason}")


def _least(factors: Factors, allowed: Sequence[str]) -> str:
    """Return the encoding of the fewest bytes, of several the first."""
    able = [name for name in allowed if KERNELS[name].obstacle(factors) is None]
    return min(able, key=lambda name: KERNELS[name].nbytes(factors))


def _smallest(layers: Mapping[str, Factors], *, is_fast: bool) -> dict[str, str]:
    """Return the encodings of the fewest bytes. is_fast: at hardly more instructions than the
    fastest.

    Functions are made anew for each type of input, so that layers of different types share only
    what these call, which those of the type with the most weights bring; depthwise layers have a
    function of their own in any case, which `smallest` gives weights in Rice codes.
    """
    found = dict.fromkeys(layers, DENSE)
    choosing = {name: factors for name, factors in layers.items() if not factors.is_depthwise}
    num_weights: Counter[IntegerType] = Counter()
    for factors in choosing.values():
        num_weights[factors.kind] += factors.weight.size
    files: frozenset[str] = frozenset()
    for kind, _ in num_weights.most_common():
        costs = {
            name: _costs(factors) for name, factors in choosing.items() if factors.kind == kind
        }
        best = _best(costs, files, is_fast)
        found |= best
        files |= _shared_code(best).keys()
    depthwise = {name: factors for name, factors in layers.items() if factors.is_depthwise}
    return found if is_fast else found | _unpacked(depthwise, files)


def _unpacked(layers: Mapping[str, Factors], files: frozenset[str]) -> dict[str, str]:
    """Return the depthwise layers that are smaller in Rice codes, if these save more bytes than
    what reads them takes: memory for the weights too, which is why `auto` leaves them dense."""
    rice, dense = KERNELS[RICE], KERNELS[DENSE]
    saved = {
        name: dense.nbytes(factors) - rice.nbytes(factors)
        for name, factors in layers.items()
        if rice.obstacle(factors) is None
    }
    smaller = {name: size for name, size in saved.items() if size > 0}
    code = UNPACKED_CODE * len({layers[name].kind for name in smaller})
    code += sum(size for file, size in UNPACKING.items() if file not in files)
    return dict.fromkeys(smaller, RICE) if sum(smaller.values()) > code else {}


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """Of a layer with an encoding."""

    nbytes: int
    instructions: float


_Costs = Mapping[str, Mapping[str, _Cost]]
"""By layer and encoding."""


def _costs(factors: Factors) -> dict[str, _Cost]:
    """Return the costs of a layer with each encoding that can store it."""
    return {
        kernel.encoding: _Cost(
            nbytes=kernel.nbytes(factors), instructions=kernel.instructions(factors)
        )
        for kernel in KERNELS.values()
        if kernel.obstacle(factors) is None
    }


def _best(costs: _Costs, files: frozenset[str], is_fast: bool) -> Mapping[str, str]:
    """Return the encoding of each layer. files: of shared code, which are there in any case."""
    dense = dict.fromkeys(costs, DENSE)
    most = _LEEWAY * sum(_fewest(own, own) for own in costs.values())
    smaller = [
        choice
        for choice in _choices(costs)
        if _weights(choice, costs) < _weights(dense, costs)
        and (not is_fast or _instructions(choice, costs) <= most)
    ]
    return min([dense, *smaller], key=lambda choice: _weights(choice, costs) + _code(choice, files))


def _choices(costs: _Costs) -> Iterator[dict[str, str]]:
    """Yield for each set of kernels that is enough the smallest encoding of each layer, and that
    among those which make no layer much slower than the fastest of the set; few kernels come first,
    and the dense one before others."""
    usable = [name for name in KERNELS if any(name in own for own in costs.values())]
    for count in range(1, len(usable) + 1):
        for allowed in combinations(usable, count):
            able = {name: [one for one in allowed if one in own] for name, own in costs.items()}
            if all(able.values()):
                yield {name: _first_least(able[name], own) for name, own in costs.items()}
                yield {name: _first_fast(able[name], own) for name, own in costs.items()}


def _first_least(able: Sequence[str], costs: Mapping[str, _Cost]) -> str:
    return min(able, key=lambda name: costs[name].nbytes)


def _first_fast(able: Sequence[str], costs: Mapping[str, _Cost]) -> str:
    most = _LEEWAY * _fewest(able, costs)
    return _first_least([name for name in able if costs[name].instructions <= most], costs)


def _fewest(able: Iterable[str], costs: Mapping[str, _Cost]) -> float:
    return min(costs[name].instructions for name in able)


def _weights(choice: Mapping[str, str], costs: _Costs) -> int:
    return sum(costs[layer][name].nbytes for layer, name in choice.items())


def _instructions(choice: Mapping[str, str], costs: _Costs) -> float:
    return sum(costs[layer][name].instructions for layer, name in choice.items())


def _code(choice: Mapping[str, str], files: frozenset[str]) -> int:
    shared = _shared_code(choice)
    kernels = [KERNELS[name] for name in set(choice.values())]
    own = sum(kernel.code_bytes - sum(kernel.shared_code.values()) for kernel in kernels)
    return own + sum(size for file, size in shared.items() if file not in files)


def _shared_code(choice: Mapping[str, str]) -> dict[str, int]:
    """Return the bytes of the files that kernels share, by file."""
    names = set(choice.values())
    return {file: size for name in names for file, size in KERNELS[name].shared_code.items()}
