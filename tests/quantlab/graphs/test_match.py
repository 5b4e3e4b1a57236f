from collections.abc import Iterator
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional

from quantlab.errors import UsageError
from quantlab.graphs.match import Any, Op, Pattern, find, inputs_of, match_at
from quantlab.graphs.operations import Add, Concat, Operation
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Residual


def names(gm: fx.GraphModule, pattern: Op, **options: bool) -> list[str]:
    return [match.root.name for match in find(gm, pattern, **options)]


def test_layers_by_type_where_names_differ() -> None:
    gm = trace(Residual())
    conv = Op(nn.Conv2d)
    norm = Op(nn.BatchNorm2d, conv)
    found = find(gm, norm)
    assert [(m[conv].name, m[norm].name) for m in found] == [
        (f"layer1_{i}_conv{j}", f"layer1_{i}_bn{j}") for i in range(2) for j in (1, 2)
    ]
    assert found[0].module(conv) is gm.get_submodule("layer1.0.conv1")
    assert [n.name for n in found[0].nodes] == ["layer1_0_conv1", "layer1_0_bn1"]
    assert len(find(gm, Op(nn.modules.batchnorm._NormBase))) == 4  # subclasses


def test_a_residual_block_with_its_shortcut() -> None:
    """The same wildcard in two places is the same tensor."""
    gm = trace(Residual())
    x = Any("shortcut")
    conv1 = Op(nn.Conv2d, x)
    relu = Op(nn.ReLU, Op(nn.BatchNorm2d, conv1))
    norm = Op(nn.BatchNorm2d, Op(nn.Conv2d, relu), name="last norm")
    block = Op(Add, x, norm, commutative=True)
    found = find(gm, block)
    assert [m.root.name for m in found] == ["layer1_0_add", "layer1_1_add"]
    assert [m["shortcut"].name for m in found] == ["relu", "layer1_0_relu_1"]
    assert found[1][x] is found[1]["shortcut"]
    assert found[1]["last norm"] is found[1][norm]
    assert len(found[0].nodes) == 6
    assert not find(gm, Op(Add, x, norm))  # the graph has it in the other order
    elsewhere = Op(Add, norm, Any("shortcut"))
    assert len(find(gm, elsewhere)) == 2  # another wildcard, any tensor


class Diamond(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top, self.left, self.right = (nn.Conv2d(1, 1, 1) for _ in range(3))
        self.leak = nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        top = functional.relu(self.top(x))
        return self.left(top) + self.right(top), self.leak(top)


def test_one_pattern_in_two_places_is_one_node() -> None:
    gm = trace(Diamond())
    top = Op(nn.ReLU, is_shared_allowed=True)
    left, right = Op(nn.Conv2d, top), Op(nn.Conv2d, top)
    (match,) = find(gm, Op(Add, left, right))
    assert (match[left].name, match[right].name) == ("left", "right")
    assert not find(gm, Op(Add, Op(nn.Conv2d, top), Op(nn.Conv2d, Op(nn.ReLU))))
    conv = Op(nn.Conv2d)
    assert not find(gm, Op(Add, conv, conv))  # two nodes cannot be one pattern


def test_what_is_used_outside_is_not_interior() -> None:
    gm = trace(Diamond())
    shared, closed = Op(nn.ReLU, is_shared_allowed=True), Op(nn.ReLU)
    both = [Op(Add, Op(nn.Conv2d, top), Op(nn.Conv2d, top)) for top in (shared, closed)]
    assert [len(find(gm, pattern)) for pattern in both] == [1, 0]
    assert names(gm, Op(nn.Conv2d, shared)) == ["left", "right"]
    assert names(gm, Op(nn.Conv2d, closed)) == []
    assert names(gm, closed) == ["relu"]  # the last operation may be used anywhere


def test_conditions_functions_and_methods() -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = torch.sin(x).chunk(2)
            return torch.cat([a.view(-1), torch.cos(b), b])

    gm = trace(Network())
    assert names(gm, Op(torch.sin)) == ["sin"]
    assert names(gm, Op("chunk", Op(torch.sin))) == ["chunk"]
    assert names(gm, Op((torch.sin, "view"))) == ["sin", "view"]
    assert names(gm, Op(Concat, Op("view"), Any(), Any())) == ["concat"]
    assert names(gm, Op(Concat, Op("view"), Any())) == []  # three inputs
    wide = Op(nn.Conv2d, where=lambda node, conv: conv is not None and conv.out_channels > 3)
    assert "stem" in names(trace(Residual(4)), wide)
    assert names(trace(Residual(3)), wide) == []
    with pytest.raises(UsageError, match="no target given"):
        Op(())


def test_overlapping_matches() -> None:
    gm = trace(nn.Sequential(*(nn.ReLU() for _ in range(5))))
    pattern = Op(nn.ReLU, Op(nn.ReLU))
    assert names(gm, pattern) == ["_1", "_2", "_3", "_4"]
    assert names(gm, pattern, keep_overlapping=False) == ["_1", "_3"]


def test_asking_for_what_is_not_there() -> None:
    gm = trace(Residual())
    match = find(gm, Op(nn.Linear, Any("input")))[0]
    with pytest.raises(UsageError, match=r"Op\(Conv2d\) is not part of the pattern"):
        match[Op(nn.Conv2d)]
    with pytest.raises(UsageError, match="'' is not part"):
        match[""]
    first = find(gm, Op(nn.Conv2d, Any("input")))[0]
    with pytest.raises(UsageError, match="node 'x' calls no module"):
        first.module("input")


class Unary(Operation):
    def forward(self, *tensors: Tensor) -> Tensor:
        return tensors[0]


class Binary(Operation):
    def forward(self, *tensors: Tensor) -> Tensor:
        return tensors[0]


@st.composite
def graphs(draw: st.DrawFn) -> fx.GraphModule:
    root, graph = nn.Module(), fx.Graph()
    nodes = [graph.placeholder("x")]
    for number in range(draw(st.integers(1, 7))):
        is_unary = draw(st.booleans())
        root.add_module(f"n{number}", Unary() if is_unary else Binary())
        inputs = [draw(st.sampled_from(nodes)) for _ in range(1 if is_unary else 2)]
        nodes.append(graph.call_module(f"n{number}", tuple(inputs)))
    graph.output(tuple(draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=2))))
    return fx.GraphModule(root, graph)


@st.composite
def patterns(draw: st.DrawFn) -> Op:
    made: list[Pattern] = [Any(), Any()]
    for _ in range(draw(st.integers(1, 4))):
        is_unary, is_free = draw(st.booleans()), draw(st.booleans())
        inputs = [draw(st.sampled_from(made)) for _ in range(1 if is_unary else 2)]
        made.append(
            Op(
                Unary if is_unary else Binary,
                *([] if is_free else inputs),
                commutative=draw(st.booleans()),
                is_shared_allowed=draw(st.booleans()),
            )
        )
    last = made[-1]
    assert isinstance(last, Op)
    return last


def parts(pattern: Pattern) -> list[Pattern]:
    found = [pattern]
    for part in pattern.inputs if isinstance(pattern, Op) else ():
        found += [p for p in parts(part) if p not in found]
    return found


def stands(gm: fx.GraphModule, pattern: Op, place: dict[Pattern, fx.Node]) -> bool:
    """Say in full what a match is, of an assignment of all parts to nodes."""
    ops = {p: n for p, n in place.items() if isinstance(p, Op)}
    if len(set(ops.values())) < len(ops):
        return False
    for op, node in ops.items():
        if node.op != "call_module" or not isinstance(gm.get_submodule(node.target), op.types):
            return False
        wanted, given = [place[p] for p in op.inputs], inputs_of(node)
        if op.inputs and wanted != given and not (op.is_commutative and wanted == given[::-1]):
            return False
        is_interior = op is not pattern and not op.is_shared_allowed
        if is_interior and not set(node.users) <= set(ops.values()):
            return False
    return True


def brute(gm: fx.GraphModule, pattern: Op) -> Iterator[fx.Node]:
    """Yield the last nodes of all matches, by trying every assignment."""
    all_parts = parts(pattern)
    for node in gm.graph.nodes:
        for others in product(list(gm.graph.nodes), repeat=len(all_parts) - 1):
            if stands(gm, pattern, dict(zip(all_parts, (node, *others), strict=True))):
                yield node
                break


@given(graphs(), patterns())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_finds_what_brute_force_finds(gm: fx.GraphModule, pattern: Op) -> None:
    if len(gm.graph.nodes) ** len(parts(pattern)) > 20_000:
        return
    found = find(gm, pattern)
    assert [m.root for m in found] == list(brute(gm, pattern))
    for match in found:
        assert stands(gm, pattern, dict(match.binding))
        assert match_at(gm, pattern, match.root) == match
    alone = find(gm, pattern, keep_overlapping=False)
    inside = [node for match in alone for node in match.nodes]
    assert len(inside) == len(set(inside))
    assert bool(alone) == bool(found)
