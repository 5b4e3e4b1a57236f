"""Functions of torch that are layers, with weights that depend on no input, or row functions."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_aten = torch.ops.aten
_CONVOLUTIONS: Mapping[int, Callable[..., nn.Module]] = {3: nn.Conv1d, 4: nn.Conv2d}

OF_ONE: Mapping[Any, str] = {
    **dict.fromkeys((torch.abs, "abs", _aten.abs.default), "absolute"),
    **dict.fromkeys((torch.exp, "exp", _aten.exp.default), "exponential"),
}
OF_TWO: Mapping[Any, str] = {
    **dict.fromkeys((torch.maximum, "maximum", _aten.maximum.default), "maximum"),
    **dict.fromkeys((torch.minimum, "minimum", _aten.minimum.default), "minimum"),
}


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    outputs, inputs = weight.shape
    return _with(nn.Linear(inputs, outputs, bias is not None), weight=weight, bias=bias)


def _convolution(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> nn.Module:
    outputs, inputs, *kernel = weight.shape
    layer = _CONVOLUTIONS[weight.ndim](
        inputs * groups,
        outputs,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias is not None,
    )
    return _with(layer, weight=weight, bias=bias)


def _batch_norm(
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> nn.Module:
    norm = nn.BatchNorm2d(len(running_mean), eps=eps, affine=weight is not None)
    norm.running_mean, norm.running_var = running_mean, running_var
    return _with(norm, weight=weight, bias=bias)


def _prelu(weight: Tensor) -> nn.Module:
    return _with(nn.PReLU(weight.numel()), weight=weight)


def _with(layer: nn.Module, **parameters: Tensor | None) -> nn.Module:
    for name, tensor in parameters.items():
        if tensor is not None:
            layer.register_parameter(name, nn.Parameter(tensor.detach(), requires_grad=False))
    return layer


LAYERS: Mapping[Any, Callable[..., nn.Module]] = {
    **dict.fromkeys((functional.linear, _aten.linear.default), _linear),
    **dict.fromkeys(
        (functional.conv1d, functional.conv2d, _aten.conv1d.default, _aten.conv2d.default),
        _convolution,
    ),
    functional.batch_norm: _batch_norm,
    **dict.fromkeys((functional.prelu, torch.prelu, _aten.prelu.default), _prelu),
}
