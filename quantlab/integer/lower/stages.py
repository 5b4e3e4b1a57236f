"""The layers of plain weights that a layer of generated weights is: one for each of its factors.

With factors U, B and V (see `quantlab.generation.shapes`), of one group of a convolution,

    u[r, l] = sum_i U[r, i, l] x[i]                a 1x1 convolution
    t[r]    = sum_l B[r, l] * u[r, l]              R groups of L inputs each
    y[c]    = sum_r V[c, r] t[r]                   a 1x1 convolution

The groups of the layer share their bases, so each has U and B once more. Without V there are as
many bases as outputs, and the groups divide them. Without U a basis reads the inputs themselves.
A Linear with blocks of s inputs is this convolution over images `[I / s, rows, s]`; one without U
is two products of matrices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError
from quantlab.generation.layers import Generated, MLGConv2d, MLGLinear, latents
from quantlab.generation.spec import FactorName
from quantlab.graphs.slots import applied
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.windows import windows_of
from quantlab.integer.operations import Windows
from quantlab.integer.tensor_type import S8
from quantlab.quantizer import Quantizer

GENERATED_LAYERS = (MLGConv2d, MLGLinear)
_POINT = Windows(kernel=(1, 1))
Codes = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """The layer of one factor.

    weight: codes, `[O, I / groups, height, width]`, of a product of matrices `[O, I]`.
    scale: what a code stands for.
    """

    factor: FactorName
    weight: Codes
    scale: float
    windows: Windows = _POINT
    groups: int = 1

    @property
    def is_matrix(self) -> bool:
        return self.weight.ndim == 2


def stages_of(layer: Generated, path: str) -> list[Stage]:
    """Return the layers that a generated one is, in order.

    Raises UsageError, with the layer, for factors without codes of 8 bits.
    """
    for reason in refusals_of(layer):
        raise UsageError(f"layer '{path}': {reason}")
    codes: dict[FactorName, Codes] = {}
    scales: dict[FactorName, float] = {}
    for name, latent, quantizer in _factors(layer):
        assert quantizer is not None
        if not quantizer.is_complete:
            raise UsageError(
                f"layer '{path}': its {name} has a quantizer that has not started; train for more "
                "epochs"
            )
        finite(latent, f"{path}.{name}")
        codes[name] = quantizer.codes(latent).cpu().numpy().astype(np.int8)
        scales[name] = float(finite(quantizer.scale, f"{path}.{name}_quantizer.scale").item())
    make = _of_convolution if isinstance(layer, MLGConv2d) else _of_linear
    return list(make(layer, codes, scales))


def refusals_of(layer: Generated) -> Iterator[str]:
    """Yield why factors of a layer are no weights of a program, however they are trained."""
    for name, _, quantizer in _factors(layer):
        if quantizer is None:
            yield (
                f"its {name} has no quantizer, 8 bits or fewer allowed; {name}_bit: 8 instead of "
                "32 gives it one"
            )
        elif not S8.holds(quantizer.quant_min, quantizer.quant_max):
            yield (
                f"its {name} has codes from {quantizer.quant_min} to {quantizer.quant_max}, -128 "
                f"to 127 allowed; quantizer: midtread has 8 bits within them, or {name}_bit: 7"
            )


@torch.no_grad()
def between(
    layer: Generated, stages: Sequence[Stage], x: Tensor
) -> Iterator[tuple[FactorName, Tensor]]:
    """Yield what each stage but the last makes of the input of a layer, in real numbers.

    x: `[N, ...]`, as the layer is given it.
    """
    quantizer = applied(layer).get("input_quantizer")
    x = x if quantizer is None else quantizer(x)
    if isinstance(layer, MLGLinear) and not stages[0].is_matrix:
        x = x.reshape(len(x), -1, *blocks_of(layer)).transpose(1, 2)
    for stage in stages[:-1]:
        weight = torch.from_numpy(stage.weight).to(x) * stage.scale
        if stage.is_matrix:
            x = functional.linear(x, weight)
        else:
            top, left, bottom, right = stage.windows.padding
            x = functional.conv2d(
                functional.pad(x, (left, right, top, bottom)),
                weight,
                stride=stage.windows.stride,
                dilation=stage.windows.dilation,
                groups=stage.groups,
            )
        yield stage.factor, x


def blocks_of(layer: MLGLinear) -> tuple[int, int]:
    """Return how many blocks the inputs of a layer are, and the inputs of one."""
    return layer.in_features // layer.spec.linear_block, layer.spec.linear_block


def _factors(layer: Generated) -> Iterator[tuple[FactorName, Tensor, Quantizer | None]]:
    for name, latent in latents(layer).by_name.items():
        if latent is not None:
            quantizer = layer._modules[f"{name}_quantizer"]
            assert quantizer is None or isinstance(quantizer, Quantizer)
            yield name, latent, quantizer


def _of_convolution(
    layer: nn.Module, codes: dict[FactorName, Codes], scales: dict[FactorName, float]
) -> Iterator[Stage]:
    assert isinstance(layer, MLGConv2d)
    basis, given = codes["basis"], layer.groups
    copies = given if "coeff_out" in codes else 1
    groups = given
    if "coeff_in" in codes:
        inputs = codes["coeff_in"].transpose(0, 2, 1)
        weight = np.tile(inputs.reshape(-1, inputs.shape[2], 1, 1), (copies, 1, 1, 1))
        yield Stage(factor="coeff_in", weight=weight, scale=scales["coeff_in"], groups=given)
        groups = len(basis) * copies
    yield Stage(
        factor="basis",
        weight=np.tile(basis, (copies, 1, 1, 1)),
        scale=scales["basis"],
        windows=windows_of(layer),
        groups=groups,
    )
    if "coeff_out" in codes:
        weight = codes["coeff_out"][:, :, None, None]
        yield Stage(factor="coeff_out", weight=weight, scale=scales["coeff_out"], groups=given)


def _of_linear(
    layer: nn.Module, codes: dict[FactorName, Codes], scales: dict[FactorName, float]
) -> Iterator[Stage]:
    basis = codes["basis"]
    if "coeff_in" in codes:
        inputs = codes["coeff_in"].transpose(0, 2, 1)
        weight = inputs.reshape(-1, inputs.shape[2], 1, 1)
        yield Stage(factor="coeff_in", weight=weight, scale=scales["coeff_in"])
        yield Stage(
            factor="basis",
            weight=basis[:, :, None],
            scale=scales["basis"],
            windows=Windows(kernel=(1, basis.shape[2])),
            groups=len(basis),
        )
    else:
        yield Stage(factor="basis", weight=basis.reshape(len(basis), -1), scale=scales["basis"])
    if "coeff_out" in codes:
        yield Stage(factor="coeff_out", weight=codes["coeff_out"], scale=scales["coeff_out"])
