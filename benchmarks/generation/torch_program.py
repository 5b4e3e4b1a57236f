"""Float programs in torch, on any device: fast where NumPy's pack takes minutes.

It knows what the programs of residual networks are made of; all else is refused by name. Sums are
torch's, in no stated order.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from quantlab.errors import UsageError
from quantlab.floats.functions import Function
from quantlab.floats.layout import places_of
from quantlab.floats.operations import Elementwise, Operation, Pool, Product
from quantlab.floats.program import FloatProgram

_FUNCTIONS: dict[str, Callable[[Tensor, Tensor, tuple[float, ...]], Tensor]] = {
    "add": lambda x, other, _: x + other,
    "at_least": lambda x, _, constants: x.clamp(min=constants[0]),
}


def scores(program: FloatProgram, x: Tensor) -> Tensor:
    """Return the only result `[N, ...]` of a batch `[N, ...]` of float32, on its device. Raises
    UsageError for a program of other operations."""
    ((name, tensor),) = program.inputs.items()
    flat = x.flatten(1)
    arrays = {name: torch.empty_like(flat)}
    arrays[name][:, torch.from_numpy(places_of(tensor.shape).reshape(-1)).to(x.device)] = flat
    for operation in program.operations:
        arrays[operation.output] = _result(operation, arrays, program)
    (result,) = program.results.values()
    return arrays[result.array][:, torch.from_numpy(places_of(result.tensor.shape)).to(x.device)]


def _result(operation: Operation, arrays: dict[str, Tensor], program: FloatProgram) -> Tensor:
    x = arrays[operation.inputs[0]]
    match operation:
        case Product():
            return _product(operation, x)
        case Elementwise(constant=None):
            other = None if operation.other is None else arrays[operation.other]
            return _elementwise(operation, x, other, program.sizes[operation.output])
        case Pool(divisors=None):
            raise UsageError(f"{operation.layer}: the largest of windows given, means allowed")
        case Pool():
            return _means(operation, x)
    raise UsageError(f"{operation.layer}: {type(operation).__name__} given, products, additions, "
                     "rectifiers and means allowed")  # fmt: skip


def _product(operation: Product, x: Tensor) -> Tensor:
    if operation.pooled is not None:
        raise UsageError(f"{operation.layer}: a pooling given, none allowed")
    windows = operation.windows
    image = x.view(len(x), *operation.size, -1).permute(0, 3, 1, 2)
    top, left, bottom, right = windows.padding
    weight = torch.from_numpy(operation.weight).to(x.device).permute(0, 3, 1, 2)
    bias = None if operation.bias is None else torch.from_numpy(operation.bias).to(x)
    y = functional.conv2d(
        functional.pad(image, (left, right, top, bottom)),
        weight.contiguous(memory_format=torch.channels_last),
        bias,
        windows.stride,
        dilation=windows.dilation,
        groups=operation.groups,
    )
    rows, columns = operation.places
    y = y[:, :, :rows, :columns].permute(0, 2, 3, 1).flatten(1)
    return y if operation.function is None else _of(operation.function, y, y, operation)


def _elementwise(operation: Elementwise, x: Tensor, other: Tensor | None, size: int) -> Tensor:
    def taken(array: Tensor, places: object) -> Tensor:
        return array[:, torch.as_tensor(places, device=array.device)]

    first = taken(x, operation.places)
    second = first if other is None else taken(other, operation.other_places)
    y = x.new_zeros(len(x), size)
    to = torch.as_tensor(operation.to_places, device=x.device)
    y[:, to] = _of(operation.function, first, second, operation)
    return y


def _means(operation: Pool, x: Tensor) -> Tensor:
    assert operation.divisors is not None
    image = x.view(len(x), *operation.size)
    sums = [
        image[:, top:bottom, left:right].sum((1, 2))
        for top, bottom in operation.rows
        for left, right in operation.columns
    ]
    divisors = torch.from_numpy(operation.divisors.reshape(-1)).to(x)
    return (torch.stack(sums, 1) / divisors[:, None]).flatten(1)


def _of(function: Function, x: Tensor, other: Tensor, operation: Operation) -> Tensor:
    if function.name not in _FUNCTIONS:
        allowed = ", ".join(_FUNCTIONS)
        raise UsageError(f"{operation.layer}: function '{function.name}' given, {allowed} allowed")
    return _FUNCTIONS[function.name](x, other, function.constants)
