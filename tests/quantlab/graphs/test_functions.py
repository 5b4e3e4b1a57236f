"""Every function of the table gives what its module gives."""

import operator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.nn import functional

from quantlab.graphs.functions import FUNCTIONS, IN_PLACE, Functional, Target
from quantlab.graphs.modularize import FOLLOWS_TRAINING, modularize
from quantlab.graphs.operations import (
    AddConstant,
    Clamp,
    DivideByConstant,
    MultiplyConstant,
    Negative,
    SubtractFromConstant,
)
from tests.quantlab.graphs.networks import functions, run

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))

# Arguments behind the inputs, by the name of the line; several lists are several cases.
ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "concat": [(1,), (-1,), ()],
    "mean": [([2, 3],), ([1], True)],
    "sum": [([2, 3],), ([1], True)],
    "stack": [(1,), (-1,), ()],
    "clamp": [(0.25,), (-0.5,)],
    "pad": [([1, 0, 2, -1],), ([1, 2], 0.5)],
    "flatten": [(1,), (2, 3), ()],
    "hardtanh": [(-0.5, 0.25)],
    "leaky_relu": [(0.3,), ()],
    "celu": [(0.5,)],
    "threshold": [(0.25, -1.5)],
    "rrelu": [(0.1, 0.5, False)],
    "softshrink": [(0.25,)],
    "hardshrink": [(0.25,)],
    "elu": [(0.5,), ()],
    "gelu": [()],
    "softplus": [(2, 10)],
    "softmax": [(1,)],
    "log_softmax": [(-1,)],
    "dropout": [(0.5, False)],
    "dropout2d": [(0.5, False)],
    "dropout1d": [(0.5, False)],
    "alpha_dropout": [(0.5, False)],
    "max_pool1d": [(2,), (3, 2, 1)],
    "max_pool2d": [(2,), ([3, 3], [2, 1], [1, 0]), (3, 2, 1, 1, True)],
    "avg_pool1d": [(2,), (3, 2, 1, False, False)],
    "avg_pool2d": [(2,), ([3, 2], [2, 2], [1, 1], True, False)],
    "adaptive_avg_pool1d": [(3,)],
    "adaptive_avg_pool2d": [([1, 1],), ([2, 3],)],
    "adaptive_max_pool1d": [(3,)],
    "adaptive_max_pool2d": [((2, 3),)],
    "upsample": [(None, 2.0)],
    "pixel_shuffle": [(2,)],
    "pixel_unshuffle": [(2,)],
    "channel_shuffle": [(2,)],
}


def name_of(target: Target) -> str:
    """Its name without an address in memory, which differs between processes."""
    if isinstance(target, str):
        return f".{target}"
    if isinstance(target, OpOverload):
        return str(target)
    return f"{target.__module__}.{target.__name__}"


CASES = [
    pytest.param(line, target, arguments, id=f"{line.name}-{name_of(target)}-{arguments}")
    for line in FUNCTIONS
    for target in line.targets
    if target is not torch.ops.aten.rsub.Scalar  # of a number, see below
    for arguments in ARGUMENTS.get(line.name, [()])
]


def graph_of(target: Target, num_inputs: int | None, arguments: tuple[Any, ...]) -> fx.GraphModule:
    graph = fx.Graph()
    inputs = [graph.placeholder(f"x{i}") for i in range(num_inputs or 2)]
    first: tuple[Any, ...] = (inputs,) if num_inputs is None else tuple(inputs)
    if isinstance(target, str):
        node = graph.call_method(target, (*first, *arguments))
    else:
        node = graph.call_function(target, (*first, *arguments))
    node.meta[FOLLOWS_TRAINING] = True
    graph.output(node)
    return fx.GraphModule(nn.Module(), graph)


@pytest.mark.parametrize(("line", "target", "arguments"), CASES)
def test_a_module_computes_what_the_function_does(
    line: Functional, target: Target, arguments: tuple[Any, ...]
) -> None:
    x = X[0] if line.name.endswith("1d") else X
    if (line.name, target) == ("matmul", torch.bmm) or target in (
        "bmm",
        torch.ops.aten.bmm.default,
    ):
        x = X[0]
    if target in (torch.ops.aten.mean.default, torch.ops.aten.sum.default):
        arguments = ()
    if target is functional.pad and len(arguments) > 1:
        arguments = (arguments[0], "constant", *arguments[1:])
    if target in (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d):
        arguments = (*arguments, False)
    inputs = [x, x.flip(-1)] if line.num_inputs in (2, None) else [x]
    gm = graph_of(target, line.num_inputs, arguments).eval()
    expected = gm(*(tensor.clone() for tensor in inputs))
    report = modularize(gm)
    assert not functions(gm)
    assert report.lines[0].startswith(f"{line.name}: {line.cls.__name__} instead of")
    kept = [tensor.clone() for tensor in inputs]
    assert torch.equal(gm(*kept), expected)
    assert all(torch.equal(a, b) for a, b in zip(kept, inputs, strict=True))  # nothing overwritten


def test_what_overwrites_is_known() -> None:
    """A name that ends in an underscore overwrites; so do Python's `+=` and its like."""
    for line in FUNCTIONS:
        for target in line.targets:
            if isinstance(target, OpOverload):
                name = target._overloadpacket.__name__
            else:
                name = target if isinstance(target, str) else target.__name__
            overwrites = name.endswith("_") or target in (
                operator.iadd,
                operator.isub,
                operator.imul,
                operator.itruediv,
            )
            assert (target in IN_PLACE) == overwrites, name


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.add(x, x, alpha=2),
        lambda x: torch.div(x, x, rounding_mode="floor"),
        lambda x: functional.softmax(x, 1, dtype=torch.float64),
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[0],
        lambda x: functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
        lambda x: x.mean(1, dtype=torch.float64),
        lambda x: 1 / x,
        lambda x: x.flatten(x.dim() - 3),
        lambda x: x * True,
    ],
)
def test_what_a_module_cannot_do_stays_a_function(function: Any) -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    network = Network()
    gm = fx.symbolic_trace(network)
    before = functions(gm)
    assert not modularize(gm).lines
    assert functions(gm) == before
    assert torch.equal(run(gm, X), run(network, X))


@pytest.mark.parametrize(
    ("function", "cls"),
    [
        (lambda x: x + 0.3, AddConstant),
        (lambda x: 0.3 + x, AddConstant),
        (lambda x: x - 0.3, AddConstant),
        (lambda x: 0.3 - x, SubtractFromConstant),
        (lambda x: torch.rsub(x, 0.3), SubtractFromConstant),
        (lambda x: torch.ops.aten.rsub.Scalar(x, 0.3), SubtractFromConstant),
        (lambda x: 0.3 * x, MultiplyConstant),
        (lambda x: x / 0.3, DivideByConstant),
        (lambda x: -x, Negative),
        (lambda x: x.clamp(max=0.3), Clamp),
        (lambda x: torch.clip(input=x, min=-0.3, max=0.3), Clamp),
    ],
)
def test_numbers_are_part_of_the_module(function: Any, cls: type[nn.Module]) -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    network = Network()
    gm = fx.symbolic_trace(network)
    assert len(modularize(gm).lines) == 1
    assert not functions(gm)
    assert [type(m) for m in gm.children()] == [cls]
    assert torch.equal(run(gm, X), run(network, X))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.cat(tensors=[x, x], axis=1),
        lambda x: torch.cat((x, x), dim=1),
        lambda x: torch.mean(input=x, axis=(2, 3), keepdims=True),
        lambda x: x.mean(axis=1, keepdim=True),
        lambda x: x.sum(dim=1, keepdims=True),
        lambda x: torch.softmax(x, axis=1),
        lambda x: x.softmax(dim=1),
        lambda x: torch.flatten(x, start_dim=1, end_dim=2),
        lambda x: torch.add(x1=x, x2=x),
        lambda x: torch.stack(tensors=[x, x], axis=1),
    ],
)
def test_arguments_have_the_names_that_torch_takes(function: Any) -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    network = Network()
    gm = fx.symbolic_trace(network)
    assert len(modularize(gm).lines) == 1
    assert torch.equal(run(gm, X), run(network, X))
