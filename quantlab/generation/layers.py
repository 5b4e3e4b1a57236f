"""Layers whose weight is generated.

They own the factors of their weight (see `shapes`), as parameters `basis`, `coeff_in` and
`coeff_out`, a quantizer of each, and the bias, but no weight: `weight` is computed whenever it is
read. A forward pass needs none in the modes `two_stage` and `factored` (see `modes`). In all else
they are layers of torch.nn that carry quantizers of their input and output (see
`quantlab.algorithms.layers`).
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar, get_args

import torch
from torch import Tensor, nn

from quantlab.algorithms.layers import QuantizedConv2d, QuantizedLinear, through
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.generation.factor_quantizers import factor_quantizer, set_scale
from quantlab.generation.factors import Factors
from quantlab.generation.fresh import fresh_factors
from quantlab.generation.generated_weight import GeneratedWeight
from quantlab.generation.modes import Mode, Window, convolution, linear
from quantlab.generation.precision import without_autocast
from quantlab.generation.projected import ProjectedFactors, projected_factors
from quantlab.generation.projection import Method
from quantlab.generation.shapes import FactorShapes, factor_shapes
from quantlab.generation.spec import FactorName, MLGSpec
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.graphs.weights import check_own_weight, weight_of
from quantlab.numerics.affine import widen
from quantlab.quantizer import Quantizer

L = TypeVar("L", bound=nn.Module)
FACTORS: tuple[FactorName, ...] = get_args(FactorName)


class GeneratedLayer(nn.Module):
    """What generated layers have in common; see the module.

    mode: in which it computes, see `modes`; `use_mode` sets those of a network. spec: of its
    factors. weight_decay: of the factors, whatever the optimizer's is for the rest.
    """

    has_open_edges: bool = False
    mode: Mode = "generated"
    weight_decay: float = 0.0
    spec: MLGSpec
    basis: nn.Parameter
    coeff_in: nn.Parameter | None
    coeff_out: nn.Parameter | None
    basis_quantizer: Quantizer | None
    coeff_in_quantizer: Quantizer | None
    coeff_out_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        if name == "weight":
            _refuse_weight()
        super().register_parameter(name, param)

    def own_decays(self) -> dict[nn.Parameter, float]:
        """Return the weight decay of each factor."""
        found = (self.basis, self.coeff_in, self.coeff_out)
        return {factor: self.weight_decay for factor in found if factor is not None}


class MLGConv2d(GeneratedLayer, nn.Conv2d):
    """A Conv2d whose weight is generated."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        spec: MLGSpec,
    ) -> None:
        """Make a layer whose weight has the variance 2 / fan_in (K. He et al. 2015,
        arXiv:1502.01852). Raises UsageError for a spec under which nothing is generated."""
        plain = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        check_smaller(plain, spec)
        make_generated(plain, spec, deviation=_usual_deviation(plain.weight, plain.weight.shape))
        vars(self).update(vars(plain))

    @classmethod
    def from_dense(
        cls, layer: nn.Conv2d, spec: MLGSpec, *, method: Method | None = "qals", seed: int = 0
    ) -> Self:
        """Return a generated layer in the place of a dense one, which stays as it is.

        method: how its weight is projected, see `quantlab.generation.projection`; None: it begins
            at random, with the variance of the dense one.
        seed: of `train`, the only method that draws.

        Raises UsageError for a spec under which nothing is generated, and for a layer with a
        forward pass of its own or a quantizer of its weight.
        """
        return _from_dense(cls, layer, spec, method, seed)

    @property
    def weight(self) -> Tensor:
        """The weight `[Co, Ci / groups, Kh, Kw]`, generated now; see `GeneratedWeight`."""
        return GeneratedWeight.of(_generated(self, present_factors(self)))

    @weight.setter
    def weight(self, value: object) -> None:
        _refuse_weight()

    def reset_parameters(self) -> None:
        """Draw the factors and the bias anew, and start the quantizers of the factors with them;
        also in memory that `to_empty` gave."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = convolution(x, factors_of(self), self.bias, Window.of(self), mode=self.mode)
        return y if self.has_open_edges else through(self.output_quantizer, y)

    def extra_repr(self) -> str:
        return f"{nn.Conv2d.extra_repr(self)}, {_described(self)}"


class MLGLinear(GeneratedLayer, nn.Linear):
    """A Linear whose weight is generated."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        spec: MLGSpec,
    ) -> None:
        """Make a layer whose weight has the variance 2 / fan_in; raises as MLGConv2d does."""
        plain = nn.Linear(in_features, out_features, bias, device, dtype)
        check_smaller(plain, spec)
        make_generated(plain, spec, deviation=_usual_deviation(plain.weight, plain.weight.shape))
        vars(self).update(vars(plain))

    @classmethod
    def from_dense(
        cls, layer: nn.Linear, spec: MLGSpec, *, method: Method | None = "qals", seed: int = 0
    ) -> Self:
        """Return a generated layer in the place of a dense one; see MLGConv2d."""
        return _from_dense(cls, layer, spec, method, seed)

    @property
    def weight(self) -> Tensor:
        """The weight `[out, in]`, generated now; see `GeneratedWeight`."""
        return GeneratedWeight.of(_generated(self, present_factors(self)))

    @weight.setter
    def weight(self, value: object) -> None:
        _refuse_weight()

    def reset_parameters(self) -> None:
        """Draw the factors and the bias anew, and start the quantizers of the factors with them;
        also in memory that `to_empty` gave."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = linear(x, factors_of(self), self.bias, mode=self.mode)
        return y if self.has_open_edges else through(self.output_quantizer, y)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {_described(self)}"


Generated = MLGConv2d | MLGLinear
GENERATED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: MLGConv2d,
    QuantizedConv2d: MLGConv2d,
    nn.Linear: MLGLinear,
    QuantizedLinear: MLGLinear,
}


def generated_layers(network: nn.Module) -> Iterator[tuple[str, Generated]]:
    """Yield the layers of a network whose weights are generated, each once, with their names."""
    for name, module in network.named_modules():
        if isinstance(module, MLGConv2d | MLGLinear):
            yield name, module


def latents(layer: Generated) -> Factors:
    """Return the parameters of a layer's factors."""
    return Factors(coeff_out=layer.coeff_out, coeff_in=layer.coeff_in, basis=layer.basis)


def factors_of(layer: Generated) -> Factors:
    """Return the factors of a layer as its quantizers let them pass in a forward pass: in training
    scales may follow them."""
    return _behind(layer, through)


def present_factors(layer: Generated) -> Factors:
    """Return the factors of a layer on the grids that its quantizers have now, and change none."""
    return _behind(layer, _present)


def weight_shape(layer: nn.Conv2d | nn.Linear) -> tuple[int, ...]:
    """Return the shape of a layer's weight."""
    if isinstance(layer, nn.Linear):
        return (layer.out_features, layer.in_features)
    return (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)


def viewed_shape(layer: nn.Conv2d | nn.Linear, spec: MLGSpec) -> tuple[int, ...]:
    """Return the shape of a layer's weight as its factors have it: of a Linear `[out, in / s, s]`
    with blocks of s inputs. Raises UsageError for blocks that do not divide the inputs."""
    shape = weight_shape(layer)
    if isinstance(layer, nn.Conv2d):
        return shape
    if layer.in_features % spec.linear_block:
        raise UsageError(
            f"linear_block: {spec.linear_block} given, a divisor of the {layer.in_features} inputs "
            "allowed"
        )
    return (shape[0], shape[1] // spec.linear_block, spec.linear_block)


def checked_shapes(layer: nn.Module, spec: MLGSpec) -> FactorShapes:
    """Return the shapes of the factors that a layer is to have. Raises UsageError for a layer that
    cannot be generated, and for a spec under which nothing is."""
    check_kind("spec", spec, MLGSpec, "an MLGSpec")
    check_kind("layer", layer, nn.Module, "a torch.nn.Module")
    check_own_weight(layer, "")
    if type(layer) not in GENERATED:
        given, allowed = type(layer).__name__, ["Conv2d", "Linear"]
        raise UsageError(f"a {given} given, Conv2d, Linear allowed{did_you_mean(given, allowed)}")
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    if layer._modules.get("weight_quantizer") is not None:
        raise UsageError(
            "a layer with a weight_quantizer given, but generated weights have quantizers of their "
            "factors; generate first, and quantize inputs and outputs then"
        )
    shapes = factor_shapes(viewed_shape(layer, spec), spec)
    sides = "x".join(map(str, weight_shape(layer)))
    if shapes.is_dense:
        raise UsageError(
            f"base_in {spec.base_in}, base_out {spec.base_out} given for a weight of {sides}, of "
            f"which no level then has fewer terms; smaller ones above 0 allowed"
        )
    return shapes


def dense_bits(layer: nn.Module) -> int:
    """Return the bits of a layer's weight as it is."""
    weight = weight_of(layer)
    return 8 * weight.element_size() * weight.numel()


def check_smaller(layer: nn.Module, spec: MLGSpec) -> None:
    """Raise UsageError if the factors of a layer would have more bits than its weight."""
    bits, allowed = checked_shapes(layer, spec).num_bits(spec), dense_bits(layer)
    if bits > allowed:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        sides = "x".join(map(str, weight_shape(layer)))
        raise UsageError(
            f"base_in {spec.base_in}, base_out {spec.base_out} given for a weight of {sides}: its "
            f"factors have {bits:,} bits, at most the weight's {allowed:,} allowed"
        )


def stays_dense(layer: nn.Module, spec: MLGSpec) -> bool:
    """Return whether the published rules leave a layer as it is, since no level of its weight would
    have fewer terms."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return False
    return factor_shapes(viewed_shape(layer, spec), spec).is_dense


def make_generated(layer: nn.Module, spec: MLGSpec, *, deviation: Tensor | None = None) -> None:
    """Make a layer generate its weight from random factors, in place: it changes its class, and its
    weight goes.

    deviation: standard deviation of the weight, []; None: that of the dense one. Raises UsageError;
    see `checked_shapes`.
    """
    shapes = checked_shapes(layer, spec)
    dense = layer.get_parameter("weight")
    size = _deviation(dense) if deviation is None else deviation
    put_factors(layer, spec, fresh_factors(shapes, spec, size))


@torch.no_grad()
def projection_for(
    layer: nn.Conv2d | nn.Linear, dense: Tensor, spec: MLGSpec, *, method: Method, seed: int = 0
) -> ProjectedFactors:
    """Return the factors that a layer is to have in the place of a weight, and change nothing.
    Raises UsageError for a weight that is not finite, or too large for its quantizers."""
    view = dense.detach().reshape(viewed_shape(layer, spec))
    return projected_factors(view, spec, method, seed)


@torch.no_grad()
def put_projection(layer: nn.Module, spec: MLGSpec, made: ProjectedFactors) -> float:
    """Put projected factors in the place of a layer's weight; return the relative error
    |W - generated| / |W|, 0 for a weight of zeros."""
    dense = layer.get_parameter("weight").detach()
    put_factors(layer, spec, made.latent, made.scales)
    return _error(layer, dense)


def project_layer(layer: nn.Module, spec: MLGSpec, *, method: Method, seed: int = 0) -> float:
    """Make a layer generate its weight from factors that were projected, in place; return the
    relative error |W - generated| / |W|, 0 for a weight of zeros. See `make_generated`."""
    checked_shapes(layer, spec)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    dense = layer.get_parameter("weight")
    made = projection_for(layer, dense, spec, method=method, seed=seed)
    return put_projection(layer, spec, made)


@torch.no_grad()
def set_projection(layer: Generated, dense: Tensor, made: ProjectedFactors) -> float:
    """Set the factors of a layer to projected ones of a weight, in place; they stay the parameters
    that they are. See `project_layer`."""
    for name, latent in made.latent.by_name.items():
        if latent is not None:
            parameter = layer.get_parameter(name)
            parameter.copy_(latent)
            _start(layer._modules[f"{name}_quantizer"], parameter, made.scales.get(name))
    return _error(layer, dense.to(layer.basis))


def share_factors(layer: nn.Module, owner: Generated) -> None:
    """Make a layer generate its weight from the factors of another one, whose weight it had."""
    checked_shapes(layer, owner.spec)
    layer._parameters.pop("weight")
    layer.__class__ = type(owner)
    layer._modules.pop("weight_quantizer", None)
    vars(layer)["spec"] = owner.spec
    for name in FACTORS:
        layer.register_parameter(name, owner._parameters[name])
        layer.register_module(f"{name}_quantizer", owner._modules[f"{name}_quantizer"])
    _add_slots(layer)


@torch.no_grad()
def put_factors(
    layer: nn.Module,
    spec: MLGSpec,
    factors: Factors,
    scales: Mapping[FactorName, Tensor] | None = None,
) -> None:
    """Put factors in the place of a layer's weight; see `make_generated`.

    factors: latent ones. scales: of their quantizers, where they do not follow from the factors.
    """
    dense = layer._parameters.pop("weight")
    assert dense is not None
    layer.__class__ = GENERATED[type(layer)]
    layer._modules.pop("weight_quantizer", None)
    vars(layer)["spec"] = spec
    for name, latent in factors.by_name.items():
        parameter = quantizer = None
        if latent is not None:
            parameter = nn.Parameter(latent.to(dense).contiguous(), dense.requires_grad)
            quantizer = factor_quantizer(spec, name, parameter)
            if quantizer is not None and scales is not None:
                set_scale(quantizer, scales[name])
        layer.register_parameter(name, parameter)
        layer.register_module(
            f"{name}_quantizer", None if quantizer is None else quantizer.train(layer.training)
        )
    _add_slots(layer)


def _add_slots(layer: nn.Module) -> None:
    for slot in EDGE_SLOTS:
        if slot not in layer._modules:
            layer.register_module(slot, None)


def _error(layer: nn.Module, dense: Tensor) -> float:
    """Return |W - generated| / |W|, 0 for a weight of zeros."""
    assert isinstance(layer, MLGConv2d | MLGLinear)
    size = float(torch.linalg.vector_norm(dense))
    difference = _generated(layer, present_factors(layer)).sub_(dense)
    return float(torch.linalg.vector_norm(difference)) / size if size else 0.0


def _start(quantizer: nn.Module | None, factor: Tensor, scale: Tensor | None) -> None:
    if isinstance(quantizer, Quantizer):
        quantizer.observe(factor)
        if scale is not None:
            set_scale(quantizer, scale)


def _from_dense(
    cls: type[L], layer: nn.Module, spec: MLGSpec, method: Method | None, seed: int
) -> L:
    check_smaller(layer, spec)
    if GENERATED[type(layer)] is not cls:
        raise UsageError(f"layer: a {type(layer).__name__} given for a {cls.__name__}")
    made = copy.copy(layer)
    tables = {name: copy.copy(x) for name, x in vars(layer).items() if isinstance(x, dict | set)}
    vars(made).update(tables)
    for name, child in layer._modules.items():
        made._modules[name] = copy.deepcopy(child)
    if layer._parameters["bias"] is not None:
        made.register_parameter("bias", copy.deepcopy(layer._parameters["bias"]))
    if method is None:
        make_generated(made, spec)
    else:
        project_layer(made, spec, method=method, seed=seed)
    assert isinstance(made, cls)
    return made


@torch.no_grad()
def _reset(layer: Generated) -> None:
    shape, sides = viewed_shape(layer, layer.spec), weight_shape(layer)
    deviation = _usual_deviation(layer.basis, sides)
    fresh = fresh_factors(factor_shapes(shape, layer.spec), layer.spec, deviation)
    for name, latent in fresh.by_name.items():
        if latent is not None:
            layer.get_parameter(name).copy_(latent)
            quantizer = factor_quantizer(layer.spec, name, latent.to(layer.basis))
            if quantizer is not None:
                # All of its state: memory that is new holds none.
                layer.get_submodule(f"{name}_quantizer").load_state_dict(quantizer.state_dict())
    if layer.bias is not None:
        bound = 1 / math.sqrt(math.prod(sides[1:]))
        nn.init.uniform_(layer.bias, -bound, bound)


def _generated(layer: Generated, factors: Factors) -> Tensor:
    """Return the weight of a layer, in the type of its factors under any autocast."""
    with without_autocast(factors.basis):
        return factors.generate().reshape(weight_shape(layer))


def _behind(layer: Generated, passes: Callable[[Quantizer | None, Tensor], Tensor]) -> Factors:
    v, u = layer.coeff_out, layer.coeff_in
    return Factors(
        coeff_out=None if v is None else passes(layer.coeff_out_quantizer, v),
        coeff_in=None if u is None else passes(layer.coeff_in_quantizer, u),
        basis=passes(layer.basis_quantizer, layer.basis),
    )


def _present(quantizer: Quantizer | None, factor: Tensor) -> Tensor:
    if quantizer is None or not quantizer.is_enabled:
        return factor
    return quantizer.fake_quantize(factor)  # whose numbers all share a scale


def _deviation(weight: Tensor) -> Tensor:
    """Return the root of the mean square of a weight; of one of zeros the usual deviation."""
    size = widen(weight.detach()).square().mean().sqrt()  # squares of 16 bits would vanish
    return torch.where(size > 0, size, _usual_deviation(size, weight.shape))


def _usual_deviation(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Return sqrt(2 / fan_in) as a tensor like another."""
    return like.new_tensor(math.sqrt(2.0 / math.prod(shape[1:])))


def _described(layer: Generated) -> str:
    spec = layer.spec
    bits = "-".join(str(spec.bits[name]) for name in FACTORS)
    return f"bases {spec.base_in}-{spec.base_out} of bits {bits}, {spec.quantizer}, {layer.mode}"


def _refuse_weight() -> None:
    raise UsageError(
        "weight: given for a layer that generates it; set basis, coeff_in and coeff_out instead"
    )
