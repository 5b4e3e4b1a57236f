"""From a torch network to a pack.

The network is lowered to a float program (`quantlab.floats.lower`) with the codes of a weight in
the place of the weight: what becomes of each output's codes, by batch norms that are folded into
the layer, is then the factor of that output. All floats are rounded once.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.floats.lower.lower import lower
from quantlab.floats.operations import Elementwise, Operation, Product
from quantlab.formats.steps import on_steps
from quantlab.packs.lower.codes import Coded, coded_of, with_codes
from quantlab.packs.pack import Pack, Source
from quantlab.packs.weights import Weight

FloatName = Literal["float32", "float16", "int8"]
_NAMES: Sequence[FloatName] = get_args(FloatName)
_TOLERANCE = 1e-6  # of a product's weights against its codes times one factor an output


def make_pack(network: nn.Module, example: Tensor, *, floats: FloatName = "float32") -> Pack:
    """Return a network in its present state, as it evaluates, as a pack.

    network: with generated layers, layers with quantized weights and others; quantizers of inputs
    and outputs have one scale and evenly spaced codes.
    example: a batch of one sample or more, of which the shape counts.
    floats: how scales, biases and weights that no quantizer has are kept; int8: as integers of 8
    bits times a step for each tensor.

    Raises UsageError, with the layer, for what has no form.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    if floats not in _NAMES:
        raise UsageError(
            f"floats: {floats!r} given, {', '.join(_NAMES)} allowed"
            f"{did_you_mean(str(floats), _NAMES)}"
        )
    weights: dict[str, Coded] = {}
    plain = _of_one_type(with_codes(copy.deepcopy(network).cpu(), weights))
    program = lower(plain, example)
    sources: dict[str, Source] = {}
    operations: list[Operation] = []
    orders: Mapping[str, NDArray[np.intp]] = {}
    for operation in program.operations:
        coded = coded_of(operation.layer, plain, weights)
        if isinstance(operation, Product) and coded is not None:
            order, factors = None, _factors(operation, coded.weight, None)
            if factors is None:
                orders = orders or _orders(plain, example, weights)
                order = orders.get(operation.output)
                factors = _factors(operation, coded.weight, order)
            if factors is None:
                raise UsageError(
                    f"layer '{operation.layer}': its weight becomes another one than its codes "
                    "times a factor of each output, which has no form in a pack"
                )
            sources[operation.output] = _source(coded, factors, order, floats)
            nothing = np.broadcast_to(np.float32(0), operation.weight.shape)
            operations.append(_rounded(replace(operation, weight=nothing), floats))
        else:
            operations.append(_rounded(operation, floats))
    used = {source.name for source in sources.values()}
    return Pack(
        skeleton=replace(program, operations=operations),
        weights={coded.name: coded.weight for coded in weights.values() if coded.name in used},
        sources=sources,
    )


def _of_one_type(network: nn.Module) -> nn.Module:
    """Return a network whose codes of 32 bits are among floats of 32 bits; with others everything
    is of 64, which have all numbers of both. The network is changed."""
    types = {tensor.dtype for tensor in network.state_dict().values() if tensor.is_floating_point()}
    return network if types <= {torch.float32} else network.double()


def _factors(
    product: Product, weight: Weight, order: NDArray[np.intp] | None
) -> NDArray[np.float64] | None:
    """Return the factor `[O]` of each output's codes in a product, None if it has others. Of an
    output whose codes are 0 any will do: that of another one, since equal factors are stored once.
    """
    outputs, rows, columns, inputs = product.weight.shape
    kernels = weight.unscaled().reshape(outputs, inputs, rows, columns).transpose(0, 2, 3, 1)
    codes = (kernels if order is None else kernels[..., order]).reshape(outputs, -1)
    given = product.weight.reshape(outputs, -1).astype(np.float64)
    squares = (codes * codes).sum(1)
    has_codes = squares > 0
    factors: NDArray[np.float64] = (given * codes).sum(1) / np.where(has_codes, squares, 1)
    if has_codes.any():
        factors = np.where(has_codes, factors, factors[has_codes][0])
    largest = np.abs(given).max(1, initial=0)
    errors = np.abs(given - factors[:, None] * codes).max(1, initial=0)
    return factors if (errors <= _TOLERANCE * largest).all() else None


def _orders(
    network: nn.Module, example: Tensor, weights: Mapping[str, Coded]
) -> dict[str, NDArray[np.intp]]:
    """Return the order in which each product, by its output, has the inputs of a Linear: that of
    numbers 1, 2, ... in the place of each output's weights."""
    probed = copy.deepcopy(network)
    for path in weights:
        layer = probed.get_submodule(path)
        if isinstance(layer, nn.Linear):
            counts = torch.arange(1, layer.in_features + 1).to(layer.weight)
            layer.weight = nn.Parameter(counts.expand(layer.out_features, -1).clone())
    orders = {}
    for operation in lower(probed, example).operations:
        if isinstance(operation, Product) and operation.windows.kernel == (1, 1):
            rows = operation.weight.reshape(len(operation.weight), -1).astype(np.float64)
            row = rows[np.abs(rows).max(1).argmax()]
            numbers = np.round(row / (row[np.abs(row).argmin()] or 1)).astype(np.intp) - 1
            if np.array_equal(np.sort(numbers), np.arange(len(row))):
                orders[operation.output] = numbers
    return orders


def _source(
    coded: Coded,
    factors: NDArray[np.float64],
    order: NDArray[np.intp] | None,
    floats: FloatName,
) -> Source:
    """Return what the codes of a product are multiplied by, rounded."""
    scales = factors * coded.sizes
    if (scales == scales[0]).all():
        scale, ratios = scales[0], np.ones(1)
    else:
        scale = np.abs(scales).max()
        ratios = scales / scale
    return Source(
        name=coded.name,
        scale=np.array(scale, np.float32),
        ratios=_as(ratios, floats),
        order=order,
    )


def _rounded(operation: Operation, floats: FloatName) -> Operation:
    """Return an operation whose weights and biases are floats of some bits, as those of 32."""
    match operation:
        case Product():
            bias, name = operation.bias, operation.layer
            return replace(
                operation,
                weight=_floats(operation.weight, floats, f"{name}.weight"),
                bias=None if bias is None else _floats(bias, floats, f"{name}.bias"),
            )
        case Elementwise() if operation.constant is not None:
            name = f"{operation.layer}.constant"
            return replace(operation, constant=_floats(operation.constant, floats, name))
    return operation


def _floats(values: NDArray[Any], floats: FloatName, name: str) -> NDArray[Any]:
    most = float(np.finfo(np.float16 if floats == "float16" else np.float32).max)
    if np.abs(values).max(initial=0) > most:
        raise UsageError(
            f"{name}: {np.abs(values).max():.4g} given, at most {most:.4g} allowed as {floats}"
        )
    return _as(values, floats)


def _as(values: NDArray[Any], floats: FloatName) -> NDArray[Any]:
    return on_steps(values) if floats == "int8" else values.astype(floats)
