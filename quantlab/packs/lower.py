"""From a torch network to a pack.

The network is lowered to a float program (`quantlab.floats.lower`) with the codes of a weight in
the place of the weight: what becomes of each output's codes, by batch norms that are folded into
the layer, is then the factor of that output. All floats are rounded once.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.floats.lower.lower import lower
from quantlab.floats.operations import Elementwise, Operation, Product
from quantlab.generation.layers import MLGConv2d, MLGLinear, latents
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.packs.pack import Pack, Source
from quantlab.packs.weights import GeneratedWeight, Numbers, PlainWeight, Weight
from quantlab.quantizer import Quantizer

FloatName = Literal["float32", "float16"]
_NAMES: Sequence[FloatName] = get_args(FloatName)
_MOST_BITS = 8
_TOLERANCE = 1e-6  # of a product's weights against its codes times one factor an output


@dataclass(frozen=True, kw_only=True, eq=False)
class _Coded:
    """A weight, the layer that it is named after, and the sizes of its units, `[Co]` or `[1]`."""

    name: str
    weight: Weight
    sizes: NDArray[np.float64]


def make_pack(network: nn.Module, example: Tensor, *, floats: FloatName = "float32") -> Pack:
    """Return a network in its present state, as it evaluates, as a pack.

    network: with generated layers, layers with quantized weights and others, without quantizers
    of inputs and outputs. example: a batch of one sample or more, of which the shape counts.
    floats: how scales, biases and weights that no quantizer has are kept.

    Raises UsageError, with the layer, for what has no form.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    if floats not in _NAMES:
        raise UsageError(
            f"floats: {floats!r} given, {', '.join(_NAMES)} allowed"
            f"{did_you_mean(str(floats), _NAMES)}"
        )
    weights: dict[str, _Coded] = {}
    plain = _with_codes(copy.deepcopy(network).cpu(), weights)
    program = lower(plain, example)
    sources: dict[str, Source] = {}
    operations: list[Operation] = []
    orders: Mapping[str, NDArray[np.intp]] = {}
    for operation in program.operations:
        coded = _coded_of(operation.layer, plain, weights)
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


def _with_codes(network: nn.Module, weights: dict[str, _Coded]) -> nn.Module:
    """Return a network whose layers have codes for weights, and put what was there into
    `weights`."""
    made: dict[nn.Module, _Coded | None] = {}
    for path, module in list(network.named_modules(remove_duplicate=False)):
        coded = made[module] if module in made else _coded(path, module)
        made[module] = coded
        if coded is None:
            continue
        weights[path], plain = coded, _plain(module, coded.weight.unscaled())
        if not path:
            return plain
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, plain)
    return network


def _coded_of(layer: str, network: nn.Module, weights: Mapping[str, _Coded]) -> _Coded | None:
    """Return the codes of a layer of a program: of a module that is called several times, the calls
    after the first have names of their own there, with a number behind it."""
    is_module = any(layer == path for path, _ in network.named_modules(remove_duplicate=False))
    return weights.get(layer if is_module else re.sub(r"_\d+$", "", layer))


def _coded(path: str, layer: nn.Module) -> _Coded | None:
    """Return the weight of a layer, None for a layer without codes."""
    quantizer = layer._modules.get("weight_quantizer")
    if not isinstance(layer, MLGConv2d | MLGLinear) and quantizer is None:
        return None
    for slot in EDGE_SLOTS:
        if layer._modules.get(slot) is not None:
            raise UsageError(
                f"layer '{path}': {slot} given, but between the layers of a pack there are floats; "
                "without quantizers of inputs and outputs allowed"
            )
    if isinstance(layer, MLGConv2d | MLGLinear):
        return _generated(path, layer)
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        raise UsageError(
            f"layer '{path}': a {type(layer).__name__} with a weight_quantizer given, Conv1d, "
            "Conv2d, Linear allowed"
        )
    assert isinstance(quantizer, Quantizer)
    numbers, sizes = _numbers(f"{path}.weight", layer.weight, quantizer)
    return _Coded(name=path, weight=PlainWeight(numbers=numbers), sizes=sizes)


def _generated(path: str, layer: MLGConv2d | MLGLinear) -> _Coded:
    found: dict[str, Numbers | None] = {}
    size = np.ones(1)
    for name, latent in latents(layer).by_name.items():
        found[name] = None
        if latent is not None:
            quantizer = layer._modules[f"{name}_quantizer"]
            assert quantizer is None or isinstance(quantizer, Quantizer)
            found[name], sizes = _numbers(f"{path}.{name}", latent, quantizer)
            if sizes.size != 1:
                raise UsageError(f"{path}.{name}: {sizes.size} scales given, 1 allowed")
            size = size * sizes
    basis = found["basis"]
    assert basis is not None
    weight = GeneratedWeight(coeff_out=found["coeff_out"], coeff_in=found["coeff_in"], basis=basis)
    return _Coded(name=path, weight=weight, sizes=size)


def _numbers(
    name: str, latent: Tensor, quantizer: Quantizer | None
) -> tuple[Numbers, NDArray[np.float64]]:
    """Return what a tensor is on its grid, and the sizes of its units, `[Co]` or `[1]`."""
    if quantizer is None or not quantizer.is_enabled:
        return Numbers(values=_array(latent)), np.ones(1)
    scale = _array(quantizer.scale).astype(np.float64)
    is_by_rows = scale.shape == (len(latent), *[1] * (latent.ndim - 1))
    if quantizer.zero_point.any() or (scale.size != 1 and not is_by_rows):
        raise UsageError(
            f"{name}: {quantizer.spec} with {scale.size} scales given; zero points of 0 and one "
            "scale, or one of each output, allowed"
        )
    codes, levels = quantizer.codes(latent).numpy(), quantizer.spec.codes
    is_odd = all(code % 2 for code in levels)
    half = [(code - 1) // 2 for code in levels] if is_odd else levels
    bits = max(1 if is_odd else 2, *(_signed_bits(code) for code in (min(half), max(half))))
    if bits > _MOST_BITS:
        raise UsageError(f"{name}: codes {min(levels)} to {max(levels)} given, 8 bits allowed")
    dtype = np.int8 if np.abs(levels).max() < 128 or min(levels) == -128 else np.int16
    return Numbers(values=codes.astype(dtype), num_bits=bits, is_odd=is_odd), scale.reshape(-1)


def _signed_bits(code: int) -> int:
    return (code if code >= 0 else -code - 1).bit_length() + 1


def _plain(layer: nn.Module, weight: NDArray[Any]) -> nn.Module:
    """Return a layer of torch.nn with another weight."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    plain: nn.Module
    if isinstance(layer, nn.Linear):
        plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    else:
        cls: Any = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Conv1d
        plain = cls(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
            layer.dilation, layer.groups, layer.bias is not None, layer.padding_mode,
        )  # fmt: skip
    dense = torch.from_numpy(weight.astype(np.float32)).reshape(plain.get_parameter("weight").shape)
    plain.weight = nn.Parameter(dense, requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
    return plain.train(layer.training)


def _factors(
    product: Product, weight: Weight, order: NDArray[np.intp] | None
) -> NDArray[np.float64] | None:
    """Return the factor `[O]` of each output's codes in a product, None if it has others."""
    outputs, rows, columns, inputs = product.weight.shape
    kernels = weight.unscaled().reshape(outputs, inputs, rows, columns).transpose(0, 2, 3, 1)
    codes = (kernels if order is None else kernels[..., order]).reshape(outputs, -1)
    given = product.weight.reshape(outputs, -1).astype(np.float64)
    squares = (codes * codes).sum(1)
    factors: NDArray[np.float64] = (given * codes).sum(1) / np.where(squares > 0, squares, 1)
    largest = np.abs(given).max(1, initial=0)
    errors = np.abs(given - factors[:, None] * codes).max(1, initial=0)
    return factors if (errors <= _TOLERANCE * largest).all() else None


def _orders(
    network: nn.Module, example: Tensor, weights: Mapping[str, _Coded]
) -> dict[str, NDArray[np.intp]]:
    """Return the order in which each product, by its output, has the inputs of a Linear: that of
    numbers 1, 2, ... in the place of each output's weights."""
    probed = copy.deepcopy(network)
    for path in weights:
        layer = probed.get_submodule(path)
        if isinstance(layer, nn.Linear):
            counts = torch.arange(1.0, layer.in_features + 1)
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
    coded: _Coded,
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
        ratios=ratios.astype(floats),
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
    most = float(np.finfo(floats).max)
    if np.abs(values).max(initial=0) > most:
        raise UsageError(
            f"{name}: {np.abs(values).max():.4g} given, at most {most:.4g} allowed as {floats}"
        )
    return values.astype(floats)


def _array(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.detach().float().numpy()
    return found
