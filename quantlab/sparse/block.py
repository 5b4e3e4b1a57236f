"""Convolution, batch norm, ReLU and max pooling in one, with the batch innermost between them.

Dense layers keep eight bytes of each number for the backward pass: the output of the convolution
in float for the batch norm, and that of the ReLU for the next convolution. A block keeps two: its
input and the normalized output of the convolution in eight bits, which also tell exactly where the
ReLU passed.

With z the convolution's output, of N numbers in each channel, n = (z - mean) / std, a = gamma n +
beta and y = pool(max(a, 0)): dL/dgamma = sum(dL/da n), dL/dbeta = sum(dL/da) and
dL/dz = gamma / std (dL/da - dL/dbeta / N - n dL/dgamma / N)
(Ioffe and Szegedy, "Batch normalization", 2015).
"""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply
from quantlab.errors import UsageError
from quantlab.sparse.compact import Compact, compact
from quantlab.sparse.convolution import SparseConv2d
from quantlab.sparse.functional import flat
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


class SparseBlock(nn.Module):
    """y = pool(relu(batch_norm(conv(x)))) for images `[B, C, H, W]`, float32, on the CPU.

    has_relu: without, a block ends with the batch norm. has_pool: max pooling of 2 x 2 with a
    stride of 2; odd rows and columns at the end are left out. In evaluation it computes what the
    layers do.
    """

    def __init__(
        self,
        conv: SparseConv2d,
        batch_norm: nn.BatchNorm2d,
        *,
        has_relu: bool = True,
        has_pool: bool = False,
    ) -> None:
        super().__init__()
        outputs = conv.pattern.shape[0]
        if batch_norm.num_features != outputs:
            raise UsageError(
                f"batch_norm: of {batch_norm.num_features} features given; {outputs} allowed"
            )
        if any(conv.extra_padding):
            raise UsageError(
                f"conv: padding_mode '{conv.padding_mode}' or uneven padding given; the same zeros "
                "on both sides allowed"
            )
        self.conv, self.batch_norm = conv, batch_norm
        self.has_relu, self.has_pool = has_relu, has_pool

    @classmethod
    def from_dense(
        cls, conv: nn.Conv2d, batch_norm: nn.BatchNorm2d, mask: Tensor | None = None, **ends: bool
    ) -> Self:
        """Return the block of dense layers; `ends` as in the constructor."""
        return cls(SparseConv2d.from_dense(conv, mask), batch_norm, **ends)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, `[B, O, H', W']`. Raises UsageError."""
        norm = self.batch_norm
        if not (self.training and norm.training and torch.is_grad_enabled()):
            return self._unfused(x)
        plan = self.conv.plan_for(x)
        outputs = self.conv.pattern.shape[0]
        ones, zeros = x.new_ones(outputs), x.new_zeros(outputs)
        moments = x.new_empty(2, outputs)
        y = apply(
            _Block,
            x,
            self.conv.weight,
            self.conv.bias,
            ones if norm.weight is None else norm.weight,
            zeros if norm.bias is None else norm.bias,
            plan,
            norm.eps,
            (self.has_relu, self.has_pool),
            moments,
        )
        _track(norm, moments, plan)
        return y

    def _unfused(self, x: Tensor) -> Tensor:
        y: Tensor = self.batch_norm(self.conv(x))
        if self.has_relu:
            y = F.relu(y)
        return F.max_pool2d(y, 2) if self.has_pool else y

    def extra_repr(self) -> str:
        """Return what printing shows."""
        return f"has_relu={self.has_relu}, has_pool={self.has_pool}"


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, moments: Tensor, plan: Plan) -> None:
    """Update running statistics as `nn.BatchNorm2d` does, with the unbiased variance."""
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    part = norm.momentum if norm.momentum is not None else 1 / norm.num_batches_tracked.item()
    batch, _, height, width = plan.out_shape
    count = batch * height * width
    norm.running_mean.lerp_(moments[0], part)
    norm.running_var.lerp_(moments[1] * (count / max(count - 1, 1)), part)


class _Block(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        values: Tensor,
        bias: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        plan: Plan,
        eps: float,
        ends: tuple[bool, bool],
        moments: Tensor,
    ) -> Tensor:
        has_relu, has_pool = ends
        batch, outputs, height, width = plan.out_shape
        planes = scratch("block inputs", plan.x_numbers, x.dtype)
        backend.lay_out(plan.x_layout, flat(x), planes.numpy())
        made = scratch("outputs", plan.product.out_size, x.dtype)
        start = None if bias is None else flat(bias)
        backend.sparse_product(plan.product, planes.numpy(), flat(values), start, made.numpy())
        codes = torch.empty(len(made), dtype=torch.uint8)
        constants = x.new_empty(6 * outputs)
        backend.normalize(
            made.numpy(),
            codes.numpy(),
            flat(gamma),
            flat(beta),
            eps=eps,
            has_relu=has_relu,
            constants=constants.numpy(),
        )
        moments.copy_(constants.view(6, outputs)[4:])
        place = None
        if has_pool:
            pooled, place = _pooled(made.view(outputs, height, width, batch))
            y = torch.movedim(pooled, -1, 0).contiguous()
        else:
            y = x.new_empty(plan.out_shape)
            backend.collect(plan.out_layout, flat(y), made.numpy())
        given = compact(x)
        ctx.save_for_backward(given.codes, codes, constants, values, gamma, beta, place)
        ctx.range, ctx.x_shape = (given.start, given.step), x.shape
        ctx.plan, ctx.has_relu = plan, has_relu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_codes, codes, constants, values, gamma, beta, place = ctx.saved_tensors
        plan: Plan = ctx.plan
        _, outputs, height, width = plan.out_shape
        y = scratch("outputs", plan.y_numbers, values.dtype)
        if place is not None:
            spread = _spread(torch.movedim(y_gradient, 0, -1), place, (height, width))
            y_gradient = torch.movedim(spread, -1, 0)
        backend.lay_out(plan.y_layout, flat(y_gradient), y.numpy())
        sums = gamma.new_empty(2 * outputs)
        backend.normalize_back(
            y.numpy(),
            codes.numpy(),
            flat(gamma),
            flat(beta),
            has_relu=ctx.has_relu,
            constants=constants.numpy(),
            begin=plan.y_begin,
            lines=plan.y_lines,
            sums=sums.numpy(),
        )
        x = Compact(x_codes, *ctx.range).restored()
        planes = scratch("block inputs", plan.x_numbers, values.dtype)
        backend.lay_out(plan.x_layout, x.numpy(), planes.numpy())
        wants_x, wants_values, wants_bias = ctx.needs_input_grad[:3]
        x_planes = scratch("inputs", plan.x_numbers, values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            planes.numpy(),
            y.numpy(),
            flat(values),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        x_gradient = None
        if x_planes is not None:
            x_gradient = values.new_empty(ctx.x_shape)
            backend.collect(plan.x_layout, flat(x_gradient), x_planes.numpy())
        bias = torch.zeros_like(beta) if wants_bias else None  # the batch norm takes it away
        return x_gradient, gradients, bias, sums[:outputs], sums[outputs:], None, None, None, None


def _pooled(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of each 2 x 2 of `[O, H, W, B]`, and which of the four that is, int8."""
    outputs, height, width, batch = images.shape
    rows, columns = height // 2, width // 2
    whole = images[:, : 2 * rows, : 2 * columns]
    fours = whole.reshape(outputs, rows, 2, columns, 2, batch).permute(0, 1, 3, 5, 2, 4)
    largest, place = fours.reshape(outputs, rows, columns, batch, 4).max(-1)
    return largest, place.to(torch.int8)


def _spread(gradient: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a gradient `[O, H / 2, W / 2, B]` where its numbers came from, zeros elsewhere."""
    outputs, rows, columns, batch = gradient.shape
    spread = gradient.new_zeros(outputs, *size, batch)
    for number in range(4):
        row, column = divmod(number, 2)
        part = spread[:, row : 2 * rows : 2, column : 2 * columns : 2]
        part.copy_(gradient * (place == number))
    return spread
