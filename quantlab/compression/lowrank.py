"""Low-rank forms of a layer, as exact functions of their ranks.

    svd       Linear, Conv1d, Conv2d    k x k to R channels, 1x1
    tucker    Conv1d, Conv2d            1x1 to R_c channels, k x k to R_o, 1x1
    spatial   Conv2d                    k x 1 to R channels, 1 x k

Stride, padding and dilation stay with the axes of the kernel that they are of, the bias with the
last layer. A grouped convolution becomes grouped ones, with the same ranks in each group. With full
rank a form computes what the layer does.

Shapes: G groups, o outputs and c inputs of a group, K elements of a kernel of height H and width W,
r ranks. All is computed in float64 and given in the layer's type, on its device.

Sources: Denton et al. 2014 (svd); Kim et al. 2016, arXiv:1511.06530 (Tucker-2); Jaderberg,
Vedaldi, Zisserman 2014, arXiv:1405.3866 (spatial); De Lathauwer, De Moor, Vandewalle 2000 (HOOI).
"""

from collections.abc import Callable, Collection
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.compression.layers import Layer
from quantlab.compression.moments import Roots
from quantlab.errors import UsageError

Convolution = nn.Conv1d | nn.Conv2d
AnyLayer = TypeVar("AnyLayer", bound=Layer)

_SWEEPS = 5  # of HOOI


def svd(layer: Layer, rank: int, *, outputs_Goo: Tensor | None = None) -> nn.Sequential:
    """Return a layer to `rank` channels and one from these to the outputs.

    outputs_Goo: second moments of the outputs without bias; with them the error of the outputs on
    those samples is the least that any two such layers have, otherwise that of the weights. Raises
    UsageError for a rank beyond the smaller side of the weights' matrix.
    """
    w_Goi = grouped(layer).flatten(2)
    _check_rank("rank", rank, min(w_Goi.shape[1:]))
    basis_Gor = _leading(w_Goi if outputs_Goo is None else outputs_Goo, rank)
    first_Gri = basis_Gor.mT @ w_Goi
    if isinstance(layer, nn.Linear):
        return _sequence(layer, _linear(layer, first_Gri[0]), _linear(layer, basis_Gor[0]))
    kernel = layer.kernel_size
    first = _convolution(layer, first_Gri.unflatten(2, (-1, *kernel)), range(len(kernel)))
    return _sequence(layer, first, _pointwise(layer, basis_Gor))


def tucker(
    conv: Convolution, ranks: tuple[int, int], *, inputs: Roots | None = None
) -> nn.Sequential:
    """Return a 1x1 convolution, a core with the kernel, and a 1x1 convolution.

    ranks: of the outputs and the inputs of a group. inputs: roots of the second moments of the
    input channels; with them errors count as much as their inputs vary, otherwise those of all
    weights alike. Raises UsageError for ranks beyond the channels of a group.
    """
    w_GocK = grouped(conv).flatten(3)
    _check_rank("ranks[0]", ranks[0], w_GocK.shape[1])
    _check_rank("ranks[1]", ranks[1], w_GocK.shape[2])
    if inputs is not None:
        w_GocK = torch.einsum("gocK,gcd->godK", w_GocK, inputs.root_Gcc)
    out_Gor, in_Gcr = _tucker_bases(w_GocK, ranks)
    core_GrsK = torch.einsum("gocK,gor,gcs->grsK", w_GocK, out_Gor, in_Gcr)
    if inputs is not None:
        in_Gcr = inputs.inverse_Gcc @ in_Gcr
    kernel = conv.kernel_size
    core = _convolution(conv, core_GrsK.unflatten(3, kernel), range(len(kernel)))
    return _sequence(conv, _pointwise(conv, in_Gcr.mT), core, _pointwise(conv, out_Gor))


def spatial(conv: nn.Conv2d, rank: int, *, inputs: Roots | None = None) -> nn.Sequential:
    """Return a convolution over the rows and one over the columns.

    inputs: as of `tucker`. Raises UsageError for a rank beyond the smaller side of the matrix of
    inputs and rows by outputs and columns.
    """
    w_GcHoW = grouped(conv).permute(0, 2, 3, 1, 4)
    (channels, height), (outputs, width) = w_GcHoW.shape[1:3], w_GcHoW.shape[3:]
    _check_rank("rank", rank, min(channels * height, outputs * width))
    if inputs is not None:
        w_GcHoW = torch.einsum("gcHoW,gcd->gdHoW", w_GcHoW, inputs.root_Gcc)
    u, values, v = torch.linalg.svd(w_GcHoW.flatten(3).flatten(1, 2), full_matrices=False)
    share = values[:, None, :rank].sqrt()
    rows_GcHr = (u[:, :, :rank] * share).unflatten(1, (channels, height))
    columns_GoWr = (v.mT[:, :, :rank] * share).unflatten(1, (outputs, width))
    if inputs is not None:
        rows_GcHr = torch.einsum("gcHr,gdc->gdHr", rows_GcHr, inputs.inverse_Gcc)
    first = _convolution(conv, rows_GcHr.permute(0, 3, 1, 2).unsqueeze(4), [0])
    last = _convolution(conv, columns_GoWr.permute(0, 1, 3, 2).unsqueeze(3), [1])
    return _sequence(conv, first, last)


def grouped(layer: Layer) -> Tensor:
    """Return a layer's weights by groups, `[G, o, c, ...]`, in float64."""
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    weight: Tensor = layer.weight.detach().double()
    return weight.reshape(groups, -1, *weight.shape[1:])


def _check_rank(name: str, rank: int, most: int) -> None:
    if not 1 <= rank <= most:
        raise UsageError(f"{name}: {rank} given, 1 to {most} allowed for this layer")


def _leading(matrix_Gmn: Tensor, rank: int) -> Tensor:
    """Return the first left singular vectors `[G, m, rank]`, of m at most."""
    missing = max(matrix_Gmn.shape[1] - matrix_Gmn.shape[2], 0)
    vectors, _, _ = torch.linalg.svd(functional.pad(matrix_Gmn, (0, missing)), full_matrices=False)
    leading: Tensor = vectors[:, :, :rank]
    return leading


def _tucker_bases(w_GocK: Tensor, ranks: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return bases of outputs and inputs: those of HOSVD, improved in turn."""
    w_GcoK = w_GocK.transpose(1, 2)
    in_Gcr = _leading(w_GcoK.flatten(2), ranks[1])
    for _ in range(_SWEEPS):
        out_Gor = _leading(torch.einsum("gocK,gcr->gorK", w_GocK, in_Gcr).flatten(2), ranks[0])
        in_Gcr = _leading(torch.einsum("gcoK,gor->gcrK", w_GcoK, out_Gor).flatten(2), ranks[1])
    return out_Gor, in_Gcr


def _linear(like: nn.Linear, weight: Tensor) -> nn.Linear:
    outputs, inputs = weight.shape
    return _with_weight(nn.Linear(inputs, outputs, bias=False, device="meta"), weight, like)


def _pointwise(like: Convolution, weight_Goc: Tensor) -> Convolution:
    kernel = (1,) * len(like.kernel_size)
    return _convolution(like, weight_Goc.unflatten(2, (-1, *kernel)), [])


def _convolution(like: Convolution, weight: Tensor, axes: Collection[int]) -> Convolution:
    """Return a convolution of weights `[G, o, c, ...]`, with another's settings along some axes."""
    groups, outputs, inputs, *kernel = weight.shape
    padding = like.padding
    build: Callable[..., Convolution] = type(like)
    conv = build(
        groups * inputs,
        groups * outputs,
        tuple(kernel),
        stride=_along(axes, like.stride, 1),
        padding=padding if isinstance(padding, str) else _along(axes, padding, 0),
        dilation=_along(axes, like.dilation, 1),
        groups=groups,
        bias=False,
        padding_mode=like.padding_mode if axes else "zeros",
        device="meta",
    )
    return _with_weight(conv, weight.flatten(0, 1), like)


def _along(axes: Collection[int], setting: tuple[int, ...], usual: int) -> tuple[int, ...]:
    return tuple(value if axis in axes else usual for axis, value in enumerate(setting))


def _with_weight(layer: AnyLayer, weight: Tensor, like: Layer) -> AnyLayer:
    layer.weight = nn.Parameter(
        weight.to(like.weight.dtype).contiguous(), requires_grad=like.weight.requires_grad
    )
    return layer


def _sequence(like: Layer, *layers: Layer) -> nn.Sequential:
    """Return layers one after the other, the last with the bias of the one that they stand for."""
    if like.bias is not None:
        layers[-1].bias = nn.Parameter(
            like.bias.detach().clone(), requires_grad=like.bias.requires_grad
        )
    return nn.Sequential(*layers).train(like.training)
