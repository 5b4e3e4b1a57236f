import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.edit import Editor
from quantlab.graphs.harmonize import harmonize, join_groups
from quantlab.graphs.operations import Add, Concat
from quantlab.graphs.paths import module_of
from quantlab.graphs.quantizers import expose_quantizers, insert_quantizers, quantizer_nodes
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import CarryingConv2d, Grid, Residual, everything, run, settle

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()


def grid(path: str) -> Quantizer:
    return Grid(8, scale=0.5)


def groups(gm: fx.GraphModule) -> list[tuple[list[str], list[str]]]:
    return [([n.name for n in g.joins], [n.name for n in g.tensors]) for g in join_groups(gm)]


def test_each_block_has_one_scale() -> None:
    gm = trace(settle(Residual()), X)
    report = harmonize(gm, grid)
    assert report.lines == (
        "layer1.0.add.input_quantizer: one for relu, layer1_0_bn2",
        "layer1.1.add.input_quantizer: one for layer1_0_relu_1, layer1_1_bn2",
    )
    for path in ("layer1.0.add", "layer1.1.add"):
        (join,) = gm.graph.find_nodes(op="call_module", target=path)
        modules = {module_of(gm, source) for source in join.all_input_nodes}
        assert modules == {gm.get_submodule(f"{path}.input_quantizer")}
    relu = gm.graph.find_nodes(op="call_module", target="relu")[0]
    assert [n.target for n in relu.users] == ["layer1.0.add.input_quantizer"]
    assert len({key.rpartition(".")[0] for key in report.added}) == 2
    assert not harmonize(gm, grid).lines  # it is done


def test_the_result_is_that_of_quantizing_by_hand() -> None:
    gm = trace(settle(Residual()), X)
    harmonize(gm, grid)
    network, q = settle(Residual()), grid("")

    def by_hand(x: Tensor) -> Tensor:
        x = network.stem(x).relu()
        for block in network.layer1:
            x = q(x)
            y = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
            x = (q(y) + x).relu()
        return network.fc(x.mean((2, 3)))

    with torch.no_grad():
        torch.testing.assert_close(run(gm, X), by_hand(X), rtol=1e-12, atol=1e-12)


class Chains(nn.Module):
    """Three additions over tensors that they share, a tree of concatenations, one apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(3, 3, 1) for _ in range(4))
        self.out = nn.Conv2d(9, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = self.a(x), self.b(x), self.c(x), self.d(x)
        first = a + b
        second = b + c
        inner = torch.cat([c, d], 1)
        outer = torch.cat([inner, first], 1)
        apart = self.out(outer)
        return (apart + apart) + second


def test_shared_tensors_merge_groups() -> None:
    gm = trace(settle(Chains()))
    # `concat` has the codes of c and d; the sums have none yet.
    assert groups(gm) == [
        (["add", "add_1", "concat", "concat_1"], ["a", "b", "c", "d", "add"]),
        (["add_2"], ["out"]),
        (["add_3"], ["add_1", "add_2"]),
    ]
    harmonize(gm, grid)
    for node in gm.graph.nodes:
        if isinstance(module_of(gm, node), Quantizer):
            assert not isinstance(module_of(gm, node.args[0]), Quantizer)
        if isinstance(module_of(gm, node), Add | Concat):
            sources = {s for s in node.all_input_nodes if not isinstance(module_of(gm, s), Concat)}
            assert all(isinstance(module_of(gm, s), Quantizer) for s in sources)
            assert len({s.target for s in sources}) == 1
    assert len({n.target for n in quantizer_nodes(gm)}) == 3
    assert len(quantizer_nodes(gm)) == 8


def test_codes_of_all_branches_are_multiples_of_one_scale() -> None:
    """What it is for: the concatenation and the sum of tensors on a grid are on the grid."""
    gm = trace(settle(Chains()))
    harmonize(gm, grid)
    seen: dict[str, Tensor] = {}
    for name, module in gm.named_modules():
        if isinstance(module, Add | Concat):
            module.register_forward_hook(
                lambda module, args, output, name=name: seen.update({name: output})
            )
    run(gm, X)
    assert len(seen) == 6
    for name, tensor in seen.items():
        assert torch.equal(tensor * 2, (tensor * 2).round()), name


def test_undo() -> None:
    editor = Editor(trace(settle(Chains())))
    before = everything(editor.gm)
    editor.apply(lambda gm: harmonize(gm, grid))
    after = everything(editor.gm)
    editor.undo()
    assert everything(editor.gm) == before
    editor.redo()
    assert everything(editor.gm) == after


def test_a_tensor_with_another_quantizer_is_refused() -> None:
    gm = trace(settle(Residual()))
    insert_quantizers(gm, ["relu"], grid)
    before = everything(gm)
    with pytest.raises(UsageError, match=r"'relu\.output_quantizer' quantizes its tensor"):
        harmonize(gm, grid)
    assert everything(gm) == before


class Carried(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = CarryingConv2d(3, 3, 1, quantizers={"input_quantizer": Grid()})
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.conv(x) + x


@pytest.mark.parametrize("is_exposed", [False, True])
def test_so_is_one_that_a_layer_applies(is_exposed: bool) -> None:
    gm = trace(Carried())
    if is_exposed:
        expose_quantizers(gm)
    with pytest.raises(UsageError, match=r"node 'relu'.*'conv\.input_quantizer' quantizes"):
        harmonize(gm, grid)


def test_nothing_to_do() -> None:
    assert not harmonize(trace(nn.Sequential(nn.ReLU())), grid).lines


class Differences(nn.Module):
    """A stack of two tensors, less a third one."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.one(x), self.two(x)], 1) - self.three(x)[:, None]


def test_differences_and_stacks_have_one_scale() -> None:
    gm = trace(Differences())
    assert groups(gm) == [(["stack", "subtract"], ["one", "two", "getitem"])]
