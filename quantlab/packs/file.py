"""Packs in files, `.mlgpack`: one container of version 2 each (`quantlab.formats.compact`).

Its tensors, by the name of a layer:

    conv.basis conv.coeff_in conv.coeff_out    the factors of a generated weight
    conv.weight                                the codes of a quantized weight, or floats
    conv.scale conv.ratios                     what codes are multiplied by: of all, of each output
    conv.bias conv.constant conv.divisors      as operations have them

A second tensor of a name is `conv.bias#2`. `meta` is the program, see `plain`; of a weight of codes
it has `{"codes": [layer, name of the scale, name of the ratios, order, shape]}`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import DataError, VerificationError, check_kind
from quantlab.files import write_atomically
from quantlab.floats.operations import Operation, Product
from quantlab.floats.program import FloatProgram, FloatTensor, Result
from quantlab.formats import compact, container
from quantlab.formats.compact import Compact
from quantlab.packs import arrays, places
from quantlab.packs.check import check, checked_shape
from quantlab.packs.pack import WRONG, Pack, Source
from quantlab.packs.plain import operation_from, to_plain
from quantlab.packs.weights import GeneratedWeight, Numbers, PlainWeight, Weight

KIND = "mlgpack"


def to_bytes(pack: Pack, *, is_coded: bool = True) -> bytes:
    """Return a pack as a container; the same pack gives the same bytes.

    is_coded: codes and floats are entropy-coded where that is smaller.
    """
    check_kind("pack", pack, Pack, "a Pack")
    tensors: dict[str, Compact] = {}
    stored: dict[tuple[Any, ...], str] = {}

    def put(name: str, given: Compact) -> str:
        """Store a tensor under a name of its own; one that is there already under that."""
        values = given.values
        key = (values.dtype, values.shape, values.tobytes(), given.num_bits, given.is_odd)
        if key in stored:
            return stored[key]
        same = 1
        while (unique := name if same == 1 else f"{name}#{same}") in tensors:
            same += 1
        tensors[unique] = replace(given, is_coded=is_coded)
        stored[key] = unique
        return unique

    parts: dict[str, dict[str, list[Any]]] = {}
    for layer, weight in pack.weights.items():
        parts[layer] = {
            part: [put(f"{layer}.{part}", _stored(numbers)), numbers.num_bits, numbers.is_odd]
            for part, numbers in weight.parts.items()
        }
    program = pack.skeleton
    operations, order = arrays.to_numbers(
        [_operation(pack, one, put) for one in program.operations], list(program.inputs)
    )
    meta = {
        "inputs": {name: list(one.shape) for name, one in program.inputs.items()},
        "results": {
            name: [order.index(one.array), list(one.tensor.shape)]
            for name, one in program.results.items()
        },
        "sizes": [int(program.sizes[name]) for name in order[len(program.inputs) :]],
        "operations": operations,
        "weights": parts,
    }
    if pack.made_from:
        meta["made_from"] = pack.made_from
    return compact.pack(KIND, meta, tensors)


def from_bytes(data: bytes, source: str) -> Pack:
    """Return the pack of a container. source: its name, for errors.

    Raises VerificationError for damaged data, UsageError for a file of another kind or a newer
    version.
    """
    contents = container.unpack(data, KIND, source)
    try:
        return _pack(contents.meta, contents.tensors)
    except WRONG as error:
        raise VerificationError(f"{source}: no pack can be made of it: {error}") from error


def save(pack: Pack, path: Path | str, *, is_coded: bool = True) -> int:
    """Write a pack and return its bytes. is_coded: as of `to_bytes`."""
    data = to_bytes(pack, is_coded=is_coded)
    write_atomically(Path(path), data)
    return len(data)


def load(path: Path | str) -> Pack:
    """Return the pack in a file. Raises DataError for a file that cannot be read, and as
    `from_bytes`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return from_bytes(data, str(path))


def _stored(numbers: Numbers) -> Compact:
    return Compact(values=numbers.values, num_bits=numbers.num_bits, is_odd=numbers.is_odd)


def _operation(pack: Pack, operation: Operation, put: Any) -> Any:
    def tensor(values: NDArray[Any], field: str) -> str:
        name: str = put(f"{operation.layer}.{field}", Compact(values=values))
        return name

    source = pack.sources.get(operation.output)
    if source is None or not isinstance(operation, Product):
        return to_plain(operation, tensor)
    order = None if source.order is None else places.to_plain(source.order)
    codes = [
        source.name,
        tensor(np.asarray(source.scale), "scale"),
        tensor(source.ratios, "ratios"),
        order,
        list(operation.weight.shape),
    ]
    shown = to_plain(
        replace(operation, weight=np.zeros(0)),
        lambda values, field: "" if field == "weight" else tensor(values, field),
    )
    place = [field.name for field in fields(Product)].index("weight")
    shown["Product"][place] = {"codes": codes}
    return shown


def _pack(meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Pack:
    weights = {name: _weight(parts, tensors) for name, parts in meta["weights"].items()}
    sources: dict[str, Source] = {}
    inputs = {
        name: FloatTensor(checked_shape(shape, name)) for name, shape in meta["inputs"].items()
    }
    plains, order = _operations(meta, list(inputs))
    sizes = {name: checked_shape([size], name)[0] for name, size in _sizes(meta, order)}
    most = max([*sizes.values(), *(prod(tensor.shape) for tensor in inputs.values())])
    operations = [_read(plain, tensors, sources, most) for plain in plains]
    skeleton = FloatProgram(
        inputs=inputs,
        operations=operations,
        results={
            name: Result(array=_array(array, order), tensor=FloatTensor(checked_shape(shape, name)))
            for name, (array, shape) in meta["results"].items()
        },
        sizes=sizes,
    )
    made_from = meta.get("made_from", "")
    pack = Pack(skeleton=skeleton, weights=weights, sources=sources, made_from=made_from)
    check(pack)
    return pack


def _operations(meta: Mapping[str, Any], inputs: list[str]) -> tuple[Sequence[Any], list[str]]:
    """Return plain operations with names for their arrays, and the arrays in their order; files of
    before have the names, and sizes by them."""
    if isinstance(meta["sizes"], dict):
        return meta["operations"], [*inputs, *meta["sizes"]]
    return arrays.to_names(meta["operations"], inputs)


def _sizes(meta: Mapping[str, Any], order: Sequence[str]) -> Iterator[tuple[str, Any]]:
    sizes = meta["sizes"]
    if isinstance(sizes, dict):
        return iter(sizes.items())
    return zip(order[len(order) - len(sizes) :], sizes, strict=True)


def _array(array: Any, order: Sequence[str]) -> str:
    """Return the name of a result's array."""
    if isinstance(array, str):
        return array
    if type(array) is not int or not 0 <= array < len(order):
        raise ValueError(f"array {array} of {len(order)}")
    return order[array]


def _read(
    plain: Any, tensors: Mapping[str, NDArray[Any]], sources: dict[str, Source], most: int
) -> Operation:
    """Return an operation. most: numbers of the largest array, and so places of an operation."""
    place = [field.name for field in fields(Product)].index("weight")
    given = plain.get("Product", [None] * (place + 1))[place]
    if not isinstance(given, dict) or "codes" not in given:
        return operation_from(plain, tensors, most)
    name, scale, ratios, order, shape = given["codes"]
    values = [*plain["Product"]]
    values[place] = None
    operation = operation_from({"Product": values}, tensors, most)
    assert isinstance(operation, Product)
    sources[operation.output] = Source(
        name=name,
        scale=tensors[scale],
        ratios=tensors[ratios],
        order=None if order is None else places.from_plain(order, most),
    )
    return replace(operation, weight=np.broadcast_to(np.float32(0), checked_shape(shape, name)))


def _weight(parts: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Weight:
    numbers = {
        part: Numbers(values=tensors[name], num_bits=num_bits, is_odd=is_odd)
        for part, (name, num_bits, is_odd) in parts.items()
    }
    if "weight" in numbers:
        return PlainWeight(numbers=numbers["weight"])
    return GeneratedWeight(
        coeff_out=numbers.get("coeff_out"), coeff_in=numbers.get("coeff_in"), basis=numbers["basis"]
    )
