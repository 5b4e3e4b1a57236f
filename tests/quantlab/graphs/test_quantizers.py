from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.errors import UsageError
from quantlab.graphs.edit import Editor
from quantlab.graphs.quantizers import (
    expose_quantizers,
    insert_quantizers,
    quantizer_nodes,
    remove_quantizers,
)
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import (
    CarryingConv2d,
    Grid,
    Residual,
    calls,
    everything,
    run,
    settle,
)

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()


def grid(path: str) -> Quantizer:
    return Grid(8, scale=0.5)


def residual() -> fx.GraphModule:
    return trace(settle(Residual()), X)


def test_one_for_the_tensor_shared_by_all_that_read_it() -> None:
    gm = residual()
    asked: list[str] = []

    def factory(path: str) -> Quantizer:
        asked.append(path)
        return grid(path)

    report = insert_quantizers(gm, ["relu", "layer1.0.add"], factory)
    assert asked == ["relu.output_quantizer", "layer1.0.add.output_quantizer"]
    assert report.lines == (
        "relu.output_quantizer: quantizes relu",
        "layer1.0.add.output_quantizer: quantizes layer1_0_add",
    )
    first, second = quantizer_nodes(gm)
    assert [n.name for n in first.users] == ["layer1_0_conv1", "layer1_0_add"]
    assert list(first.args[0].users) == [first]
    assert [n.name for n in second.users] == ["layer1_0_relu_1"]
    assert shape_of(first) == shape_of(first.args[0]) == (2, 4, 4, 4)
    assert {key.rpartition(".")[0] for key in report.added} == set(asked)
    assert gm.get_submodule("relu.output_quantizer").training == gm.training


def test_the_result_is_that_of_quantizing_by_hand() -> None:
    gm = residual()
    insert_quantizers(gm, ["relu", "fc"], grid)
    network = settle(Residual())

    def by_hand(x: Tensor) -> Tensor:
        x = grid("")(network.stem(x).relu())
        x = network.layer1(x).mean((2, 3))
        return grid("")(network.fc(x))

    with torch.no_grad():
        torch.testing.assert_close(run(gm, X), by_hand(X), rtol=1e-12, atol=1e-12)


def test_inputs_get_theirs_at_the_layer_that_reads_them() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            first, second = (self.conv(x) + y).chunk(2)
            return torch.cat([first, second], 1)

    gm = trace(Two())
    insert_quantizers(gm, ["x", "y", "getitem_1"], grid)
    paths = ["conv.input_quantizer", "add.input_quantizer", "concat.input_quantizer"]
    assert sorted(n.target for n in quantizer_nodes(gm)) == sorted(paths)
    x, y = (torch.randn(2, 3, 4, 4) for _ in range(2))
    q = grid("")
    first, second = (gm.conv(q(x)) + q(y)).chunk(2)
    assert torch.equal(gm(x, y), torch.cat([first, q(second)], 1))
    assert [n.op for n in gm.graph.nodes][:2] == ["placeholder", "placeholder"]


def test_by_condition() -> None:
    gm = residual()
    insert_quantizers(gm, lambda node, module: isinstance(module, nn.ReLU), grid)
    blocks = [f"layer1.{i}.relu{end}" for i in range(2) for end in ("", "_1")]
    paths = [f"{path}.output_quantizer" for path in ("relu", *blocks)]
    assert [n.target for n in quantizer_nodes(gm)] == paths


def second(gm: fx.GraphModule) -> Any:
    insert_quantizers(gm, ["relu"], grid)
    return insert_quantizers(gm, ["stem", "relu"], grid)


def behind_a_quantizer(gm: fx.GraphModule) -> Any:
    insert_quantizers(gm, ["relu"], grid)
    return insert_quantizers(gm, ["stem", "relu.output_quantizer"], grid)


def unknown(gm: fx.GraphModule) -> Any:
    return insert_quantizers(gm, ["stem", "rellu"], grid)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (second, "node 'relu': a second quantizer given, 'relu.output_quantizer' quantizes its"),
        (behind_a_quantizer, "node 'relu_output_quantizer': a second quantizer given"),
        (unknown, "'rellu': no node has this name"),
        (
            lambda gm: remove_quantizers(gm, ["relu"]),
            "'relu': not a node that quantizes; the graph",
        ),
    ],
)
def test_misuse_changes_nothing(edit: Callable[[fx.GraphModule], Any], message: str) -> None:
    gm = residual()
    with pytest.raises(UsageError) as caught:
        edit(gm)
    assert message in str(caught.value)
    assert "stem.output_quantizer" not in calls(gm)


def test_a_tensor_without_a_layer() -> None:
    class Functions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(torch.cos(x))

    with pytest.raises(
        UsageError, match=r"node 'cos': no layer makes or reads its tensor.*Identity"
    ):
        insert_quantizers(trace(Functions()), ["cos"], grid)


def test_removing_brings_the_network_back() -> None:
    gm = residual()
    expected, keys = run(gm, X), list(gm.state_dict())
    graph = str(gm.graph)
    insert_quantizers(gm, ["x", "relu", "fc"], grid)
    report = remove_quantizers(gm, ["relu.output_quantizer", "stem_input_quantizer"])
    assert report.lines == (
        "relu.output_quantizer: removed from relu",
        "stem.input_quantizer: removed from x",
    )
    assert [n.target for n in quantizer_nodes(gm)] == ["fc.output_quantizer"]
    remove_quantizers(gm)
    assert torch.equal(run(gm, X), expected)
    assert list(gm.state_dict()) == keys
    assert str(gm.graph) == graph
    assert not remove_quantizers(gm).lines


def carrying() -> nn.Sequential:
    def quantizers(*on: str) -> dict[str, Quantizer]:
        return {f"{name}_quantizer": Grid(6, scale=0.25) for name in on}

    return nn.Sequential(
        CarryingConv2d(3, 4, 1, quantizers=quantizers("weight", "input", "output")),
        nn.ReLU(),
        CarryingConv2d(4, 4, 1, quantizers=quantizers("input")),
        CarryingConv2d(4, 4, 1, quantizers=quantizers("weight")),
    )


def test_exposing_changes_neither_function_nor_entries() -> None:
    network = settle(carrying())
    expected, keys = run(network, X), list(network.state_dict())
    editor = Editor(trace(network, X))
    gm = editor.gm
    before = everything(gm)
    report = editor.apply(expose_quantizers)
    assert calls(gm) == [
        "0.input_quantizer",
        "0",
        "0.output_quantizer",
        "1",
        "2.input_quantizer",
        "2",
        "3",
    ]
    assert report.lines == (
        "0.input_quantizer: a node between input_1 and _0",
        "0.output_quantizer: a node behind _0",
        "2.input_quantizer: a node between _1 and _2",
    )
    assert torch.equal(run(gm, X), expected)
    assert list(gm.state_dict()) == keys
    assert not report.key_map
    assert not report.added
    assert not editor.apply(expose_quantizers).lines
    editor.undo()
    editor.undo()
    assert everything(gm) == before
    assert torch.equal(run(gm, X), expected)


def test_removing_what_was_exposed() -> None:
    network = settle(carrying())
    gm = trace(network)
    expose_quantizers(gm)
    remove_quantizers(gm, ["0.input_quantizer"])
    assert network[0].input_quantizer is None
    remove_quantizers(gm)
    weight_only = settle(carrying())
    for layer in weight_only:
        if isinstance(layer, CarryingConv2d):
            layer.input_quantizer = layer.output_quantizer = None
    assert torch.equal(run(gm, X), run(weight_only, X))
    assert list(gm.state_dict()) == list(weight_only.state_dict())
    assert "forward" not in vars(network[0])
    assert torch.equal(run(network, X), run(weight_only, X))


def test_inserting_behind_a_layer_that_applies_its_own() -> None:
    """The new one is a node; the layer must not apply it too."""
    network = settle(carrying())
    network[0].output_quantizer = None
    gm = trace(network)
    seen = []
    expose_quantizers(gm)
    insert_quantizers(gm, ["0"], grid)
    network[0].output_quantizer.register_forward_hook(lambda *args: seen.append(args))
    gm(X)
    assert len(seen) == 1
    with pytest.raises(UsageError, match="a second quantizer given"):
        insert_quantizers(trace(settle(carrying())), ["0"], grid)
    with pytest.raises(UsageError, match=r"'2\.input_quantizer' quantizes its tensor"):
        insert_quantizers(trace(settle(carrying())), ["1"], grid)


def test_with_the_algorithms_own_layers() -> None:
    """Observed and frozen by their controllers, exposed afterwards or before."""
    algorithm = {"kind": "ste", "num_bits": 8, "start_epoch": 0, "signed": True}
    weight = {"kind": "ste", "num_bits": 8, "start_epoch": 0}
    rules = [
        {"select": "*", "on": on, "algorithm": weight if on == "weight" else algorithm}
        for on in ("weight", "input", "output")
    ]
    gm = trace(settle(Residual()).float())
    quantize(gm, QuantizeConfig.model_validate({"rules": rules}).rules)
    for module in gm.modules():
        if isinstance(module, Quantizer):
            module.set_enabled(True)
    x = X.float()
    expected, keys = run(gm, x), list(gm.state_dict())
    assert len(expose_quantizers(gm).lines) == 12
    assert torch.equal(run(gm, x), expected)
    assert list(gm.state_dict()) == keys
