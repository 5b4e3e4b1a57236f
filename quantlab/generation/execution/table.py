"""Steps that one call of the kernels computes; see `quantlab.backend.LayerTable`."""

from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.generation.execution.folded import Folded
from quantlab.generation.execution.rows import AddRow, ConcatRow, ConvolveRow, PoolRow, Row, Rows
from quantlab.generation.execution.weight_bytes import WeightBytes

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Table(nn.Module):
    """Takes images `[N, C, H, W]` or rows `[N, C]` of floats, without a copy where channels come
    last in memory, and returns those of its outputs, a tuple if there are several. An input of one
    sample beside others of N stands for N.

    It owns the codes of its weights in the order in which the kernels read them. precision: of the
    products, see `quantlab.backend.run_layers`. variant: of the kernels, None for the best one.
    """

    precision: Precision = "float32"
    variant: str | None = None

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._table = backend.LayerTable(rows.shapes[: rows.num_inputs])
        self.sizes: dict[str, WeightBytes] = {}
        values = list(range(rows.num_inputs))
        for row in rows.rows:
            values.append(self._add(row, values))
        self._outputs = [values[place] for place in rows.outputs]
        self._shapes = [rows.shapes[place] for place in rows.outputs]
        self._is_flat = [place in rows.flat for place in rows.outputs]

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        num_samples = max(map(len, inputs))
        images = [image_of(x.expand(num_samples, *x.shape[1:])) for x in inputs]
        made = [torch.empty(num_samples, *shape, dtype=torch.float32) for shape in self._shapes]
        outputs = [tensor.numpy() for tensor in made]
        backend.run_layers(
            self._table,
            images,
            self._outputs,
            outputs,
            precision=self.precision,
            variant=self.variant,
        )
        found = tuple(
            y.flatten(1) if is_flat else y.permute(0, 3, 1, 2)
            for y, is_flat in zip(made, self._is_flat, strict=True)
        )
        return found[0] if len(found) == 1 else found

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing of it changes

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UsageError(
            "pickle: a network compiled for inference given; keep the one that it was made of, or "
            "its pack, and compile it again"
        )

    def extra_repr(self) -> str:
        return f"{len(self.sizes)} layers"

    def _add(self, row: Row, values: list[int]) -> int:
        """Add a step to the table; return the number of what it makes."""
        table = self._table
        match row:
            case ConvolveRow():
                packed, low, high = packed_of(row.layer), *row.bounds
                residual = None if row.residual is None else values[row.residual]
                held = packed.num_bytes
                self.sizes[row.layer.name] = WeightBytes(held=held, read=held)
                return table.convolution(packed, values[row.input], residual, low, high)
            case PoolRow(kind="global_mean"):
                return table.mean(values[row.input])
            case PoolRow(kind="max"):
                return table.max_pool(values[row.input], row.kernel, row.stride, row.padding)
            case PoolRow():
                window = (row.kernel, row.stride, row.padding, row.counts_padding)
                return table.average_pool(values[row.input], *window)
            case AddRow():
                return table.add(values[row.left], values[row.right], *row.bounds)
            case ConcatRow():
                return table.concatenate([values[place] for place in row.inputs])


def packed_of(layer: Folded) -> backend.PackedConvolution:
    """Return a layer's codes, or floats, in the order in which the kernels read them."""
    window, factors = layer.window, layer.factors
    _, pad_columns, _, pad_rows = window.edges(tuple(factors.basis.shape[2:]))
    geometry: tuple[Any, ...] = (
        window.stride,
        (pad_rows, pad_columns),
        window.dilation,
        window.groups,
    )
    v, u, b = factors.coeff_out, factors.coeff_in, factors.basis
    one, ratio = (
        torch.ones(1, dtype=torch.float32),
        layer.ratio,
    )  # V has the outputs, else U, else B
    coeff_out = None if v is None else _with_scales(v, ratio)
    coeff_in = None if u is None else _with_scales(u, ratio if v is None else one)
    basis = _with_scales(b, ratio if layer.is_dense else one)
    bias = layer.bias.numpy()
    if layer.is_dense:
        return backend.PackedConvolution.dense(basis, bias, *geometry)
    return backend.PackedConvolution.factored(basis, coeff_in, coeff_out, bias, *geometry)


def _with_scales(tensor: Tensor, scales: Tensor) -> backend.Factor:
    """Return codes and what they are multiplied by, or floats times it."""
    if tensor.is_floating_point():
        return (tensor * scales.reshape(-1, *[1] * (tensor.ndim - 1))).contiguous().numpy()
    return np.ascontiguousarray(tensor.numpy()), scales.contiguous().numpy()


def image_of(x: Tensor) -> NDArray[np.float32]:
    """Return an image `[N, H, W, C]`."""
    last = x[:, None, None] if x.ndim == 2 else x.permute(0, 2, 3, 1)
    found: NDArray[np.float32] = last.detach().contiguous().numpy()
    return found
