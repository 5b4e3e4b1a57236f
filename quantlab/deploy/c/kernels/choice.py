"""Which kernel multiplies each layer of a program.

A name gives its kernel to all layers that it can multiply and whose weights take fewer bytes then;
the others stay dense. `auto` makes the bytes of all weights and of the code of all kernels that are
needed as few as possible: a kernel that only one layer takes has to save more than its own code. A
mapping names the encoding of each layer, by the name of its output; layers that it lacks are dense.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from quantlab.deploy.c.kernels.kernel import Factors
from quantlab.deploy.c.kernels.table import AUTO, DENSE, KERNELS
from quantlab.errors import UsageError, did_you_mean
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program

Encoding = str | Mapping[str, str]


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
    if not isinstance(encoding, str):
        _check_layers(encoding, layers)
        return {name: encoding.get(name, DENSE) for name in layers}
    if encoding == AUTO:
        return _smallest(layers)
    _check_name(encoding)
    return {name: _least(factors, (DENSE, encoding)) for name, factors in layers.items()}


def factors_of(layer: Convolution | Linear, program: Program) -> Factors:
    """Return a layer as its kernel sees it, its channels in the program's order."""
    weight = layer.weight[:, :, None, None] if isinstance(layer, Linear) else layer.weight
    kind = program.types[layer.inputs[0]].kind
    return Factors(layer=layer, weight=weight.transpose(0, 2, 3, 1), kind=kind, program=program)


def _check_name(name: str, place: str = "encoding") -> None:
    if name not in KERNELS:
        allowed = ", ".join([AUTO, *KERNELS] if place == "encoding" else KERNELS)
        hint = did_you_mean(name, [AUTO, *KERNELS])
        raise UsageError(f"{place}: '{name}' given, {allowed} allowed{hint}")


def _check_layers(encoding: Mapping[str, str], layers: Mapping[str, Factors]) -> None:
    for name, one in encoding.items():
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


def _smallest(layers: Mapping[str, Factors]) -> dict[str, str]:
    """Return the encodings of the fewest bytes in all; functions are made anew for each type of
    input, so that layers of different types share none."""
    found: dict[str, str] = {}
    for kind in dict.fromkeys(factors.kind for factors in layers.values()):
        own = {name: factors for name, factors in layers.items() if factors.kind == kind}
        sizes = {
            name: {
                kernel.encoding: kernel.nbytes(factors)
                for kernel in KERNELS.values()
                if kernel.obstacle(factors) is None
            }
            for name, factors in own.items()
        }
        totals = [(_total(choice, sizes), choice) for choice in _choices(sizes)]
        _, best = min(totals, key=lambda one: one[0])
        found |= best
    return {name: found[name] for name in layers}


def _choices(sizes: Mapping[str, Mapping[str, int]]) -> Iterator[dict[str, str]]:
    """Yield for each set of kernels the smallest encoding of each layer; first for the dense one
    alone, which all layers can have."""
    others = [name for name in KERNELS if name != DENSE]
    for count in range(len(others) + 1):
        for more in combinations(others, count):
            allowed = (DENSE, *more)
            yield {
                layer: min((n for n in allowed if n in able), key=able.__getitem__)
                for layer, able in sizes.items()
            }


def _total(choice: Mapping[str, str], sizes: Mapping[str, Mapping[str, int]]) -> int:
    code = sum(KERNELS[name].code_bytes for name in set(choice.values()))
    return code + sum(sizes[layer][name] for layer, name in choice.items())
