"""Which module computes what a function computes: the table behind `modularize`.

A line names the new module, the functions and tensor methods that it stands for (Python's,
torch's and, for exported graphs, aten's), its class, and the names of the arguments behind the
inputs, in order. An argument is passed on to the class unless it has no meaning there; one that
changes the result in a way that the class does not know keeps the function.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from quantlab.graphs import operations

aten = torch.ops.aten

Target = Callable[..., object] | str


@dataclass(frozen=True, kw_only=True)
class Functional:
    """A line of the table.

    parameters: the arguments behind the inputs, by position; they may also be given by name.
    needed: what some arguments must be, if given; they are not passed on.
    defaults: what arguments are that are not given, where the class has another idea.
    renamed: arguments that the class calls otherwise.
    num_inputs: how many tensors come first; None: one list of any number.
    is_reversed: whether the second of two tensors is the class's first.
    with_constant: the class for a tensor and a number, which is negated if `is_negated`.
    from_constant: the class for a number and a tensor.
    """

    name: str
    cls: type[nn.Module]
    targets: tuple[Target, ...]
    parameters: tuple[str, ...] = ()
    needed: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    num_inputs: int | None = 1
    is_reversed: bool = False
    with_constant: type[nn.Module] | None = None
    from_constant: type[nn.Module] | None = None
    is_negated: bool = False


# What means nothing to a module, or what it follows by itself.
IGNORED = ("inplace", "training", "_stacklevel")

_POOL = ("kernel_size", "stride", "padding")

FUNCTIONS = (
    Functional(
        name="add",
        cls=operations.Add,
        targets=(
            operator.add,
            operator.iadd,
            torch.add,
            "add",
            "add_",
            aten.add.Tensor,
            aten.add_.Tensor,
        ),
        needed={"alpha": 1},
        num_inputs=2,
        with_constant=operations.AddConstant,
        from_constant=operations.AddConstant,
    ),
    Functional(
        name="subtract",
        cls=operations.Subtract,
        targets=(
            operator.sub,
            operator.isub,
            torch.sub,
            torch.subtract,
            "sub",
            "sub_",
            aten.sub.Tensor,
            aten.sub_.Tensor,
        ),
        needed={"alpha": 1},
        num_inputs=2,
        with_constant=operations.AddConstant,
        from_constant=operations.SubtractFromConstant,
        is_negated=True,
    ),
    Functional(
        name="subtract",
        cls=operations.Subtract,
        targets=(torch.rsub, aten.rsub.Tensor, aten.rsub.Scalar),
        needed={"alpha": 1},
        num_inputs=2,
        is_reversed=True,
        with_constant=operations.AddConstant,
        from_constant=operations.SubtractFromConstant,
        is_negated=True,
    ),
    Functional(
        name="negative",
        cls=operations.Negative,
        targets=(
            operator.neg,
            torch.neg,
            torch.negative,
            torch.neg_,
            "neg",
            "negative",
            "neg_",
            aten.neg.default,
            aten.neg_.default,
        ),
    ),
    Functional(
        name="multiply",
        cls=operations.Multiply,
        targets=(
            operator.mul,
            operator.imul,
            torch.mul,
            torch.multiply,
            "mul",
            "mul_",
            aten.mul.Tensor,
            aten.mul_.Tensor,
        ),
        num_inputs=2,
        with_constant=operations.MultiplyConstant,
        from_constant=operations.MultiplyConstant,
    ),
    Functional(
        name="divide",
        cls=operations.Divide,
        targets=(
            operator.truediv,
            operator.itruediv,
            torch.div,
            torch.divide,
            torch.true_divide,
            "div",
            "div_",
            "divide",
            "true_divide",
            aten.div.Tensor,
            aten.div_.Tensor,
        ),
        needed={"rounding_mode": None},
        num_inputs=2,
        with_constant=operations.DivideByConstant,
    ),
    Functional(
        name="matmul",
        cls=operations.MatMul,
        targets=(
            operator.matmul,
            torch.matmul,
            torch.bmm,
            "matmul",
            "bmm",
            aten.matmul.default,
            aten.bmm.default,
        ),
        num_inputs=2,
    ),
    Functional(
        name="concat",
        cls=operations.Concat,
        targets=(torch.cat, torch.concat, torch.concatenate, aten.cat.default),
        parameters=("dim",),
        num_inputs=None,
    ),
    Functional(
        name="stack",
        cls=operations.Stack,
        targets=(torch.stack, aten.stack.default),
        parameters=("dim",),
        num_inputs=None,
    ),
    Functional(
        name="sum",
        cls=operations.Sum,
        targets=(torch.sum, "sum", aten.sum.dim_IntList, aten.sum.default),
        parameters=("dim", "keepdim", "dtype"),
        needed={"dtype": None},
        renamed={"dim": "dims"},
    ),
    Functional(
        name="clamp",
        cls=operations.Clamp,
        targets=(
            torch.clamp,
            torch.clamp_,
            torch.clip,
            torch.clip_,
            "clamp",
            "clamp_",
            "clip",
            "clip_",
            aten.clamp.default,
            aten.clamp_.default,
            aten.clip.default,
        ),
        parameters=("min", "max"),
    ),
    Functional(
        name="clamp",
        cls=operations.Clamp,
        targets=(
            torch.clamp_min,
            torch.clamp_min_,
            "clamp_min",
            "clamp_min_",
            aten.clamp_min.default,
        ),
        parameters=("min",),
    ),
    Functional(
        name="clamp",
        cls=operations.Clamp,
        targets=(
            torch.clamp_max,
            torch.clamp_max_,
            "clamp_max",
            "clamp_max_",
            aten.clamp_max.default,
        ),
        parameters=("max",),
    ),
    Functional(
        name="pad",
        cls=operations.Pad,
        targets=(functional.pad,),
        parameters=("pad", "mode", "value"),
    ),
    Functional(
        name="pad",
        cls=operations.Pad,
        targets=(aten.constant_pad_nd.default,),
        parameters=("pad", "value"),
    ),
    Functional(
        name="mean",
        cls=operations.Mean,
        targets=(torch.mean, "mean", aten.mean.dim, aten.mean.default),
        parameters=("dim", "keepdim", "dtype"),
        needed={"dtype": None},
        renamed={"dim": "dims"},
    ),
    Functional(
        name="flatten",
        cls=nn.Flatten,
        targets=(torch.flatten, "flatten", aten.flatten.using_ints),
        parameters=("start_dim", "end_dim"),
        defaults={"start_dim": 0},
    ),
    Functional(
        name="relu",
        cls=nn.ReLU,
        targets=(
            functional.relu,
            functional.relu_,
            torch.relu,
            torch.relu_,
            "relu",
            "relu_",
            aten.relu.default,
            aten.relu_.default,
        ),
        parameters=("inplace",),
    ),
    Functional(
        name="relu6",
        cls=nn.ReLU6,
        targets=(functional.relu6, aten.relu6.default, aten.relu6_.default),
        parameters=("inplace",),
    ),
    Functional(
        name="hardtanh",
        cls=nn.Hardtanh,
        targets=(functional.hardtanh, aten.hardtanh.default, aten.hardtanh_.default),
        parameters=("min_val", "max_val", "inplace"),
    ),
    Functional(
        name="leaky_relu",
        cls=nn.LeakyReLU,
        targets=(functional.leaky_relu, aten.leaky_relu.default, aten.leaky_relu_.default),
        parameters=("negative_slope", "inplace"),
    ),
    Functional(
        name="elu",
        cls=nn.ELU,
        targets=(functional.elu, aten.elu.default, aten.elu_.default),
        parameters=("alpha", "inplace"),
    ),
    Functional(
        name="celu",
        cls=nn.CELU,
        targets=(functional.celu, torch.celu, aten.celu.default),
        parameters=("alpha", "inplace"),
    ),
    Functional(
        name="threshold",
        cls=nn.Threshold,
        targets=(functional.threshold, aten.threshold.default),
        parameters=("threshold", "value", "inplace"),
    ),
    Functional(
        name="rrelu",
        cls=nn.RReLU,
        targets=(functional.rrelu,),
        parameters=("lower", "upper", "training", "inplace"),
    ),
    Functional(
        name="selu",
        cls=nn.SELU,
        targets=(functional.selu, torch.selu, aten.selu.default),
        parameters=("inplace",),
    ),
    Functional(
        name="log_sigmoid",
        cls=nn.LogSigmoid,
        targets=(functional.logsigmoid, aten.log_sigmoid.default),
    ),
    Functional(
        name="softsign",
        cls=nn.Softsign,
        targets=(functional.softsign,),
    ),
    Functional(
        name="softshrink",
        cls=nn.Softshrink,
        targets=(functional.softshrink, aten.softshrink.default),
        parameters=("lambd",),
    ),
    Functional(
        name="hardshrink",
        cls=nn.Hardshrink,
        targets=(functional.hardshrink, torch.hardshrink, aten.hardshrink.default),
        parameters=("lambd",),
    ),
    Functional(
        name="tanhshrink",
        cls=nn.Tanhshrink,
        targets=(functional.tanhshrink,),
    ),
    Functional(
        name="sigmoid",
        cls=nn.Sigmoid,
        targets=(functional.sigmoid, torch.sigmoid, "sigmoid", aten.sigmoid.default),
    ),
    Functional(
        name="tanh",
        cls=nn.Tanh,
        targets=(functional.tanh, torch.tanh, "tanh", aten.tanh.default),
    ),
    Functional(
        name="hardsigmoid",
        cls=nn.Hardsigmoid,
        targets=(functional.hardsigmoid, aten.hardsigmoid.default, aten.hardsigmoid_.default),
        parameters=("inplace",),
    ),
    Functional(
        name="hardswish",
        cls=nn.Hardswish,
        targets=(functional.hardswish, aten.hardswish.default, aten.hardswish_.default),
        parameters=("inplace",),
    ),
    Functional(
        name="silu",
        cls=nn.SiLU,
        targets=(functional.silu, aten.silu.default, aten.silu_.default),
        parameters=("inplace",),
    ),
    Functional(
        name="mish",
        cls=nn.Mish,
        targets=(functional.mish, aten.mish.default, aten.mish_.default),
        parameters=("inplace",),
    ),
    Functional(
        name="gelu",
        cls=nn.GELU,
        targets=(functional.gelu, aten.gelu.default),
        parameters=("approximate",),
    ),
    Functional(
        name="softplus",
        cls=nn.Softplus,
        targets=(functional.softplus, aten.softplus.default),
        parameters=("beta", "threshold"),
    ),
    Functional(
        name="softmax",
        cls=nn.Softmax,
        targets=(functional.softmax,),
        parameters=("dim", "_stacklevel", "dtype"),
        needed={"dtype": None},
    ),
    Functional(
        name="softmax",
        cls=nn.Softmax,
        targets=(torch.softmax, "softmax", aten.softmax.int),
        parameters=("dim", "dtype"),
        needed={"dtype": None},
    ),
    Functional(
        name="log_softmax",
        cls=nn.LogSoftmax,
        targets=(functional.log_softmax,),
        parameters=("dim", "_stacklevel", "dtype"),
        needed={"dtype": None},
    ),
    Functional(
        name="log_softmax",
        cls=nn.LogSoftmax,
        targets=(torch.log_softmax, "log_softmax", aten.log_softmax.int),
        parameters=("dim", "dtype"),
        needed={"dtype": None},
    ),
    Functional(
        name="dropout",
        cls=nn.Dropout,
        targets=(functional.dropout, torch.dropout, aten.dropout.default),
        parameters=("p", "training", "inplace"),
    ),
    Functional(
        name="dropout1d",
        cls=nn.Dropout1d,
        targets=(functional.dropout1d,),
        parameters=("p", "training", "inplace"),
    ),
    Functional(
        name="alpha_dropout",
        cls=nn.AlphaDropout,
        targets=(functional.alpha_dropout, torch.alpha_dropout, aten.alpha_dropout.default),
        parameters=("p", "training", "inplace"),
    ),
    Functional(
        name="dropout2d",
        cls=nn.Dropout2d,
        targets=(functional.dropout2d, torch.feature_dropout, aten.feature_dropout.default),
        parameters=("p", "training", "inplace"),
    ),
    Functional(
        name="max_pool1d",
        cls=nn.MaxPool1d,
        targets=(functional.max_pool1d, torch.max_pool1d, aten.max_pool1d.default),
        parameters=(*_POOL, "dilation", "ceil_mode", "return_indices"),
        needed={"return_indices": False},
    ),
    Functional(
        name="max_pool2d",
        cls=nn.MaxPool2d,
        targets=(functional.max_pool2d, torch.max_pool2d, aten.max_pool2d.default),
        parameters=(*_POOL, "dilation", "ceil_mode", "return_indices"),
        needed={"return_indices": False},
    ),
    Functional(
        name="avg_pool1d",
        cls=nn.AvgPool1d,
        targets=(functional.avg_pool1d, aten.avg_pool1d.default),
        parameters=(*_POOL, "ceil_mode", "count_include_pad"),
    ),
    Functional(
        name="avg_pool2d",
        cls=nn.AvgPool2d,
        targets=(functional.avg_pool2d, aten.avg_pool2d.default),
        parameters=(*_POOL, "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    Functional(
        name="adaptive_max_pool1d",
        cls=nn.AdaptiveMaxPool1d,
        targets=(functional.adaptive_max_pool1d,),
        parameters=("output_size", "return_indices"),
        needed={"return_indices": False},
    ),
    Functional(
        name="adaptive_avg_pool1d",
        cls=nn.AdaptiveAvgPool1d,
        targets=(functional.adaptive_avg_pool1d, aten.adaptive_avg_pool1d.default),
        parameters=("output_size",),
    ),
    Functional(
        name="adaptive_avg_pool2d",
        cls=nn.AdaptiveAvgPool2d,
        targets=(functional.adaptive_avg_pool2d, aten.adaptive_avg_pool2d.default),
        parameters=("output_size",),
    ),
    Functional(
        name="adaptive_max_pool2d",
        cls=nn.AdaptiveMaxPool2d,
        targets=(functional.adaptive_max_pool2d,),
        parameters=("output_size", "return_indices"),
        needed={"return_indices": False},
    ),
    Functional(
        name="upsample",
        cls=nn.Upsample,
        targets=(functional.interpolate,),
        parameters=("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
        needed={"antialias": False},
    ),
    Functional(
        name="pixel_shuffle",
        cls=nn.PixelShuffle,
        targets=(functional.pixel_shuffle, aten.pixel_shuffle.default),
        parameters=("upscale_factor",),
    ),
    Functional(
        name="pixel_unshuffle",
        cls=nn.PixelUnshuffle,
        targets=(functional.pixel_unshuffle, aten.pixel_unshuffle.default),
        parameters=("downscale_factor",),
    ),
    Functional(
        name="channel_shuffle",
        cls=nn.ChannelShuffle,
        targets=(functional.channel_shuffle, aten.channel_shuffle.default),
        parameters=("groups",),
    ),
)

BY_TARGET: Mapping[Target, Functional] = {
    target: line for line in FUNCTIONS for target in line.targets
}

# What torch, for users of NumPy, also takes for the names of its own.
NUMPY_NAMES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
}

# These overwrite their first input; others do if they are told so by `inplace=True`.
IN_PLACE: frozenset[Target] = frozenset(
    {
        operator.iadd,
        operator.isub,
        operator.imul,
        operator.itruediv,
        functional.relu_,
        torch.relu_,
        torch.neg_,
        torch.clamp_,
        torch.clip_,
        torch.clamp_min_,
        torch.clamp_max_,
        *(
            target
            for target in BY_TARGET
            if isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable
        ),
        *(target for target in BY_TARGET if isinstance(target, str) and target.endswith("_")),
    }
)
