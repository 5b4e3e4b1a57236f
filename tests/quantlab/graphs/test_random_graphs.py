"""What holds for every network: on random ones, written as people write networks.

A network is a list of instructions, each about values that came before. They overwrite, chunk, call
a layer again, and use functions as well as layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional

from quantlab.graphs.edit import Editor
from quantlab.graphs.equalize import equalize
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.harmonize import harmonize
from quantlab.graphs.match import Op, find
from quantlab.graphs.modularize import modularize
from quantlab.graphs.paths import callers
from quantlab.graphs.quantizers import insert_quantizers, quantizer_nodes, remove_quantizers
from quantlab.graphs.report import Pass
from quantlab.graphs.trace import trace
from quantlab.graphs.unshare import unshare
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import Grid, calls, difference, everything, run, settle

Shape = tuple[int, int, int]
CHANNELS = 4
SIDE = 8


@dataclass(frozen=True)
class Step:
    """One instruction: which layers it calls or what function, on which values."""

    do: Callable[..., Any]
    layers: tuple[str, ...]
    values: tuple[int, ...]


class Scribble(nn.Module):
    """Carries out instructions; the last value is pooled and classified."""

    def __init__(self, layers: dict[str, nn.Module], steps: Sequence[Step], last: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.head = nn.Sequential(nn.Linear(last[0], 6), nn.ReLU(), nn.Linear(6, 4))
        self._steps = steps

    def extra_repr(self) -> str:
        return "\n".join(f"{s.do.__name__} {s.layers} {s.values}" for s in self._steps)

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for step in self._steps:
            layers = [self.layers[name] for name in step.layers]
            result = step.do(*layers, *(values[v] for v in step.values))
            values += result if isinstance(result, list) else [result]
        return self.head(functional.adaptive_avg_pool2d(values[-1], 1).flatten(1))


def chain(*layers_and_value: Any) -> Tensor:
    *layers, value = layers_and_value
    for layer in layers:
        value = layer(value)
    return value


def add_to(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


def scale_in_place(a: Tensor) -> Tensor:
    a *= 0.75
    return a


def halves(a: Tensor) -> list[Tensor]:
    first, second = a.chunk(2, 1)
    return [first, second]


FUNCTIONS: list[Callable[..., Tensor]] = [
    functional.relu,
    lambda x: functional.relu(x, inplace=True),
    functional.relu6,
    torch.tanh,
    lambda x: x.sigmoid(),
    lambda x: x * 0.5 - 1,
    lambda x: 2 - x,
    scale_in_place,
]


@st.composite
def networks(draw: st.DrawFn) -> Scribble:
    layers: dict[str, nn.Module] = {}
    shapes: list[Shape] = [(CHANNELS, SIDE, SIDE)]
    steps: list[Step] = []
    again: list[tuple[tuple[str, ...], Shape]] = []

    def name(module: nn.Module) -> str:
        layers[f"m{len(layers)}"] = module
        return f"m{len(layers) - 1}"

    def conv(value: int) -> None:
        channels, *sides = shapes[value]
        if draw(st.booleans()):
            new, after = nn.Conv2d(channels, channels, 3, padding=1), sides
        else:
            out = (
                channels * draw(st.integers(1, 2))
                if draw(st.booleans())
                else draw(st.integers(1, 6))
            )
            divisors = [g for g in range(1, channels + 1) if channels % g == 0 and out % g == 0]
            kernel, dilation, stride = ([draw(st.integers(1, 2)) for _ in "HW"] for _ in range(3))
            padding, bias = draw(st.integers(0, 1)), draw(st.booleans())
            each = zip(sides, kernel, dilation, stride, strict=True)
            after = [(s + 2 * padding - d * (k - 1) - 1) // t + 1 for s, k, d, t in each]
            if min(after) < 1:
                return
            groups = draw(st.sampled_from(divisors))
            new = nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias)
        out = new.out_channels
        names = [name(new)]
        if draw(st.booleans()):
            names.append(name(nn.BatchNorm2d(out, affine=draw(st.booleans()))))
        activation = draw(st.sampled_from([nn.ReLU, nn.ReLU6, nn.LeakyReLU, None]))
        if activation is not None:
            names.append(name(activation(inplace=draw(st.booleans()))))
        if (channels, *sides) == (out, *after):
            again.append((tuple(names), shapes[value]))
        steps.append(Step(chain, tuple(names), (value,)))
        shapes.append((out, *after))

    def layer(value: int) -> None:
        channels, *sides = shapes[value]
        kinds = ["max", "avg", "norm", "dropout", "identity"]
        kind = draw(st.sampled_from(kinds))
        if kind in ("max", "avg"):
            if min(sides) < 2:
                return
            cls = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
            steps.append(Step(chain, (name(cls(2)),), (value,)))
            shapes.append((channels, sides[0] // 2, sides[1] // 2))
            return
        new: nn.Module = {
            "norm": nn.BatchNorm2d(channels),
            "dropout": nn.Dropout(0.5),
            "identity": nn.Identity(),
        }[kind]
        steps.append(Step(chain, (name(new),), (value,)))
        shapes.append(shapes[value])

    def function(value: int) -> None:
        steps.append(Step(draw(st.sampled_from(FUNCTIONS)), (), (value,)))
        shapes.append(shapes[value])

    def join(value: int) -> None:
        kind = draw(st.sampled_from(["add", "add_to", "cat"]))
        fits = [
            v
            for v, shape in enumerate(shapes)
            if shape[1:] == shapes[value][1:] and (kind == "cat" or shape == shapes[value])
        ]
        other = draw(st.sampled_from(fits))
        if kind == "cat":
            steps.append(Step(lambda a, b: torch.cat([a, b], 1), (), (value, other)))
            shapes.append((shapes[value][0] + shapes[other][0], *shapes[value][1:]))
            return
        do = add_to if kind == "add_to" else lambda a, b: a + b
        steps.append(Step(do, (), (value, other)))
        shapes.append(shapes[value])

    def split(value: int) -> None:
        channels, *sides = shapes[value]
        if channels % 2 == 0:
            steps.append(Step(halves, (), (value,)))
            shapes.extend([(channels // 2, sides[0], sides[1])] * 2)

    def reuse(value: int) -> None:
        fits = [names for names, shape in again if shape == shapes[value]]
        if fits:
            steps.append(Step(chain, draw(st.sampled_from(fits)), (value,)))
            shapes.append(shapes[value])

    kinds = [conv, conv, conv, layer, function, join, join, split, reuse, reuse]
    for _ in range(draw(st.integers(3, 12))):
        value = len(shapes) - 1 - draw(st.sampled_from([0, 0, 0, *range(min(4, len(shapes)))]))
        draw(st.sampled_from(kinds))(value)
    network = Scribble(layers, steps, shapes[-1])
    settle(network, draw(st.integers(0, 1000)))
    return network


def inputs() -> Tensor:
    return torch.randn(2, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()


def insert(gm: fx.GraphModule) -> Any:
    """Quantize what is not quantized behind all convolutions."""
    free = [
        node.name
        for node in gm.graph.nodes
        if node.op == "call_module"
        and isinstance(gm.get_submodule(node.target), nn.Conv2d)
        and not any(user in quantizer_nodes(gm) for user in node.users)
    ]
    return insert_quantizers(gm, free, lambda path: Grid())


PASSES: list[Pass] = [
    fold_batch_norm,
    equalize,
    lambda gm: harmonize(gm, lambda path: Grid()),
    insert,
    remove_quantizers,
]


def check(network: Scribble) -> None:
    x = inputs()
    expected = run(network, x)
    state = {key: value.clone() for key, value in network.state_dict().items()}

    plain = fx.symbolic_trace(network)
    before = run(plain, x)
    unshare(plain)
    assert torch.equal(run(plain, x), before)
    modularize(plain)
    assert torch.equal(run(plain, x), before)

    gm = trace(network, x)
    assert torch.equal(run(gm, x), expected)
    assert len(calls(gm)) == len(set(calls(gm)))
    assert all(len(nodes) == 1 for nodes in callers(gm).values())
    again = trace(gm)
    assert calls(again) == calls(gm)
    assert torch.equal(run(again, x), expected)
    assert set(state) <= set(gm.state_dict())

    editor = Editor(gm)
    history = [everything(gm)]
    for number, change in enumerate(PASSES):
        editor.apply(change)
        history.append(everything(gm))
        result = run(gm, x)
        if change in (fold_batch_norm, equalize):
            assert difference(result, expected) < 1e-9
            foldable = Op(nn.BatchNorm2d, Op(nn.Conv2d))
            assert not find(gm, foldable)
        if number == len(PASSES) - 1:
            assert difference(result, expected) < 1e-9
            assert not any(isinstance(m, Quantizer) for m in gm.modules())
    for _ in range(2):
        for step in range(len(PASSES), 0, -1):
            editor.undo()
            assert everything(gm) == history[step - 1]
        assert torch.equal(run(gm, x), expected)
        assert not editor.diff()
        for step in range(1, len(PASSES) + 1):
            editor.redo()
            assert everything(gm) == history[step]


@given(networks())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_some_random_networks(network: Scribble) -> None:
    check(network)


@pytest.mark.long
@given(networks())
@settings(max_examples=100, deadline=None)
def test_many_random_networks(network: Scribble) -> None:
    check(network)
