"""Layers as they are run: codes of factors, and what each output's sum is multiplied by.

    y[c] = ratio[c] * (sum of inputs times the codes' weight) + bias[c]

The scales of all factors and the batch norm behind a layer are in `ratio` and `bias`, so that codes
stay the integers that they are. A dense layer is one whose basis is its weight. A Linear is a
convolution over one pixel, or over all pixels if a Flatten stands before it.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation.execution.codes import codes_of
from quantlab.generation.factors import Factors
from quantlab.generation.layers import MLGConv2d, MLGLinear, latents
from quantlab.generation.modes import Window
from quantlab.generation.spec import FactorName
from quantlab.graphs.weights import weight_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """See the module.

    name: path of the layer. factors: codes, int8 or int16, or floats of 32 bits; of a dense layer
    the basis alone, `[Co, Ci / groups, Kh, Kw]`. ratio, bias: `[Co]`, float32.
    """

    name: str
    factors: Factors
    ratio: Tensor
    bias: Tensor
    window: Window

    @property
    def is_dense(self) -> bool:
        """Whether nothing is generated."""
        return self.factors.coeff_out is None and self.factors.coeff_in is None

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that the layer owns, by name."""
        given: dict[str, Tensor] = {"ratio": self.ratio, "bias": self.bias}
        for name, factor in self.factors.by_name.items():
            if factor is not None:
                given[name] = factor
        return given

    @property
    def nbytes(self) -> int:
        """The bytes of codes, ratios and biases."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def behind(self, factor: Tensor, offset: Tensor) -> "Folded":
        """Return the layer with `factor * y + offset` behind it; both `[Co]`, float64."""
        ratio, bias = self.ratio.double() * factor, self.bias.double() * factor + offset
        return replace(self, ratio=ratio.float(), bias=bias.float())

    def floats(self) -> Factors:
        """Return factors of floats whose weight has the ratios in it."""
        floats = {
            name: None if one is None else one.float() for name, one in self.factors.by_name.items()
        }
        # V, or what has the outputs where V is absent.
        names: tuple[FactorName, ...] = ("coeff_out", "coeff_in", "basis")
        name = next(name for name in names if floats[name] is not None)
        last = floats[name]
        assert last is not None
        floats[name] = last * self.ratio.reshape(-1, *[1] * (last.ndim - 1))
        return Factors.of(floats)


def fold_convolution(name: str, layer: nn.Conv2d) -> Folded:
    """Return a convolution, without what its input and output pass through."""
    factors, ratio = _factors(layer)
    bias = _bias(layer, len(ratio))
    return Folded(name=name, factors=factors, ratio=ratio, bias=bias, window=Window.of(layer))


def fold_linear(name: str, layer: nn.Linear, pixels: tuple[int, int] = (1, 1)) -> Folded:
    """Return a Linear as a convolution over all pixels of its input.

    pixels: height and width of what was flattened. Raises UsageError for a generated layer with
    blocks of inputs, since these are no pixels.
    """
    if isinstance(layer, MLGLinear) and layer.spec.linear_block > 1:
        block = layer.spec.linear_block
        raise UsageError(f"layer '{name}': linear_block {block} given, 1 allowed")
    given, ratio = _factors(layer)
    basis = given.basis.reshape(len(given.basis), -1, *pixels)
    factors = Factors(coeff_out=given.coeff_out, coeff_in=None, basis=basis)
    bias = _bias(layer, len(ratio))
    return Folded(name=name, factors=factors, ratio=ratio, bias=bias, window=Window())


def fold_norm(name: str, factor: Tensor, offset: Tensor) -> Folded:
    """Return a batch norm, `factor * x + offset`, as a convolution of each channel alone."""
    ones = torch.ones(len(factor), 1, 1, 1, dtype=torch.float32)
    return Folded(
        name=name,
        factors=Factors(coeff_out=None, coeff_in=None, basis=ones),
        ratio=factor.float(),
        bias=offset.float(),
        window=Window(groups=len(factor)),
    )


def _factors(layer: nn.Conv2d | nn.Linear) -> tuple[Factors, Tensor]:
    """Return what is kept of a layer's factors, and the ratio of each output."""
    if not isinstance(layer, MLGConv2d | MLGLinear):
        kept, scale = codes_of(weight_of(layer), layer._modules.get("weight_quantizer"))
        return Factors(coeff_out=None, coeff_in=None, basis=kept), scale.expand(len(kept)).clone()
    kept_parts: dict[FactorName, Tensor | None] = {}
    ratio = torch.ones((), dtype=torch.float64)
    for name, latent in latents(layer).by_name.items():
        kept_parts[name] = None
        if latent is not None:
            kept_parts[name], scale = codes_of(latent, layer._modules[f"{name}_quantizer"])
            assert not scale.ndim  # quantizers of factors have one scale
            ratio = ratio * scale
    factors = Factors.of(kept_parts)
    outputs = len(factors.basis if factors.coeff_out is None else factors.coeff_out)
    return factors, ratio.float().expand(outputs).clone()


def _bias(layer: nn.Module, num_outputs: int) -> Tensor:
    bias = layer._parameters.get("bias")
    if bias is None:
        return torch.zeros(num_outputs, dtype=torch.float32)
    return bias.detach().float().clone()
