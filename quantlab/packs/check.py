"""What a pack in a file may say: checked before anything is computed, so that neither its weights
nor a batch take more memory than its arrays have, or run into what is not there."""

from collections.abc import Sequence
from math import prod

from quantlab.floats.operations import Elementwise, Places, Pooled, Product
from quantlab.floats.program import FloatProgram
from quantlab.packs.pack import Pack, Source
from quantlab.packs.weights import GeneratedWeight, Weight

_MOST = 1 << 28  # numbers of one array or weight


def checked_shape(shape: Sequence[int], what: str) -> tuple[int, ...]:
    """Return a shape as it stands in a file. Raises ValueError, with `what` has it, unless all of
    its sizes are whole numbers from 1 and it has at most 2^28 elements."""
    sizes = tuple(shape)
    if any(type(size) is not int or size < 1 for size in sizes) or prod(sizes) > _MOST:
        raise ValueError(f"{what}: a shape of {list(sizes)}, at most {_MOST:,} elements allowed")
    return sizes


def check(pack: Pack) -> None:
    """Raise ValueError, or what its wrong types raise, for a pack that cannot be run."""
    program = pack.skeleton
    if len(program.inputs) != 1:
        raise ValueError(f"{len(program.inputs)} inputs, one allowed")
    if not isinstance(pack.made_from, str):
        raise TypeError(f"made from {pack.made_from}")
    written = set(program.inputs)
    for operation in program.operations:
        for name in operation.inputs:
            if name not in written:
                raise ValueError(f"'{name}' is read before it is written")
        if operation.output not in program.sizes:
            raise ValueError(f"'{operation.output}' has no size")
        written.add(operation.output)
        if isinstance(operation, Elementwise):
            _check_elementwise(operation, program)
        if isinstance(operation, Product):
            _check_product(operation, program)
            source = pack.sources.get(operation.output)
            if source is not None:
                _check_source(source, pack.weights[source.name], operation.weight.shape)
    for result in program.results.values():
        if result.array not in written:
            raise ValueError(f"'{result.array}' is read before it is written")
        _same(program.size(result.array), prod(result.tensor.shape), result.array)


def _check_elementwise(operation: Elementwise, program: FloatProgram) -> None:
    _check_places(operation.places, program.size(operation.input), operation.input)
    _check_places(operation.to_places, program.size(operation.output), operation.output)
    _same(operation.places.size, operation.to_places.size, operation.output)
    if operation.other_places is not None:
        constant, name = operation.constant, str(operation.other)
        size = program.size(name) if constant is None else constant.size
        _check_places(operation.other_places, size, name)
        _same(operation.other_places.size, operation.to_places.size, operation.output)


def _check_places(given: Places, size: int, array: str) -> None:
    if given.size and not 0 <= given.min() <= given.max() < size:
        raise ValueError(f"places {given.min()} to {given.max()} of the {size} in '{array}'")


def _check_product(product: Product, program: FloatProgram) -> None:
    name, windows = product.layer, product.windows
    outputs, *kernel, inputs = product.weight.shape
    (height, width), groups = checked_shape(product.size, name), product.groups
    checked_shape([groups], name)
    if tuple(kernel) != tuple(windows.kernel) or outputs % groups:
        raise ValueError(f"'{name}': windows of {windows.kernel}, a weight of {kernel}")
    _same(program.size(product.input), height * width * inputs * groups, name)
    top, left, bottom, right = windows.padding
    spans = [d * (k - 1) + 1 for d, k in zip(windows.dilation, windows.kernel, strict=True)]
    padded = [height + top + bottom + spans[0], width + left + right + spans[1]]
    checked_shape([*padded, inputs * groups], name)
    places: tuple[int, ...] = product.places
    if product.pooled is not None:
        places = _pooled(product.pooled, product.places, name)
    _same(program.size(product.output), prod(places) * outputs, name)
    if product.bias is not None:
        _same(product.bias.size, outputs, name)


def _pooled(pooled: Pooled, places: tuple[int, int], name: str) -> tuple[int, ...]:
    size, stride = checked_shape(pooled.size, name), checked_shape(pooled.stride, name)
    if len(size) != 2 or len(stride) != 2 or size[0] > places[0] or size[1] > places[1]:
        raise ValueError(f"'{name}': pooling of {list(size)} by {list(stride)}")
    return checked_shape(pooled.count, name)


def _check_source(source: Source, weight: Weight, shape: tuple[int, ...]) -> None:
    """Compare what a weight will be with the product's before it is computed."""
    outputs, *rest = weight.shape
    if (outputs, prod(rest)) != (shape[0], prod(shape[1:])):
        raise ValueError(f"'{source.name}': a weight of {[outputs, *rest]} for {list(shape)}")
    if isinstance(weight, GeneratedWeight) and len(weight.basis.values) > outputs:
        raise ValueError(f"'{source.name}': {len(weight.basis.values)} bases for {outputs} outputs")
    _same(source.scale.size, 1, source.name)
    if source.ratios.size != 1:
        _same(source.ratios.size, outputs, source.name)
    if source.order is not None:
        _same(source.order.size, shape[3], source.name)
        _check_places(source.order, shape[3], source.name)


def _same(given: int, expected: int, name: str) -> None:
    if given != expected:
        raise ValueError(f"'{name}': {given:,} numbers, {expected:,} needed")
