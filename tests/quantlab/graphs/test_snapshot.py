from collections.abc import Callable

import pytest
import torch
from torch import fx, nn

from quantlab.graphs.snapshot import Snapshot, same_bits, tensors_of
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Grid, Residual, everything, settle


def change_weight(gm: fx.GraphModule) -> None:
    gm.stem.weight.data.mul_(2)


def change_bits_only(gm: fx.GraphModule) -> None:
    gm.stem.weight.data[0, 0, 0, 0] = float("nan")


def change_shape(gm: fx.GraphModule) -> None:
    gm.fc.weight.data = torch.zeros(1)


def change_type(gm: fx.GraphModule) -> None:
    gm.float()


def change_gradients(gm: fx.GraphModule) -> None:
    gm.stem.weight.requires_grad_(False)


def change_module(gm: fx.GraphModule) -> None:
    gm.relu = nn.Tanh()
    del gm.dropout


def change_class_and_attributes(gm: fx.GraphModule) -> None:
    gm.stem.__class__ = nn.Conv1d
    gm.stem.stride = (7, 7)
    gm.stem.note = "new"


def change_lists(gm: fx.GraphModule) -> None:
    gm.stem.notes["nested"].append(1)
    gm.stem.notes["set"].clear()
    gm.stem.notes["new"] = 1


def change_hooks(gm: fx.GraphModule) -> None:
    gm.stem._forward_hooks.clear()
    gm.fc.register_forward_hook(lambda *args: None)


def change_graph(gm: fx.GraphModule) -> None:
    node = gm.graph.find_nodes(op="call_module", target="dropout")[0]
    node.replace_all_uses_with(node.args[0])
    gm.graph.erase_node(node)
    gm.recompile()


def change_buffers(gm: fx.GraphModule) -> None:
    bn = gm.get_submodule("layer1.0.bn1")
    bn.running_mean.add_(1)
    bn.num_batches_tracked.fill_(9)
    bn.register_buffer("extra", torch.zeros(2), persistent=False)


def change_parameter_object(gm: fx.GraphModule) -> None:
    gm.stem.weight = nn.Parameter(gm.stem.weight.detach().clone())


def change_nothing(gm: fx.GraphModule) -> None:
    gm.stem.weight.data.mul_(2).div_(2)


CHANGES = [f for name, f in sorted(globals().items()) if name.startswith("change_")]


def network() -> fx.GraphModule:
    gm = trace(settle(Residual()))
    gm.stem.notes = {"nested": [1, (2, [3])], "set": {1, 2}}
    gm.stem.register_forward_hook(lambda *args: None)
    gm.quantizer = Grid()
    return gm


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_there_and_back(change: Callable[[fx.GraphModule], None]) -> None:
    gm = network()
    before = everything(gm)
    snapshot = Snapshot(gm)
    change(gm)
    snapshot.forget_unchanged()
    after = everything(gm)
    assert (after == before) == (change is change_nothing)
    for _ in range(2):
        snapshot.swap()
        assert everything(gm) == before
        snapshot.swap()
        assert everything(gm) == after


def test_holds_only_what_changed() -> None:
    gm = network()
    snapshot = Snapshot(gm)
    assert len(snapshot.tensors) == len({id(t) for t in tensors_of(gm)})
    gm.fc.weight.data.mul_(2)
    gm.get_submodule("layer1.1.bn2").running_var.add_(1)
    gm.stem.weight.data.mul_(2).div_(2)
    snapshot.forget_unchanged()
    kept = {id(tensor) for tensor in snapshot.tensors}
    assert kept == {id(gm.fc.weight), id(gm.get_submodule("layer1.1.bn2").running_var)}


def test_handles_of_hooks_stay_valid() -> None:
    gm = network()
    handle = gm.fc.register_forward_hook(lambda *args: None)
    snapshot = Snapshot(gm)
    gm.fc._forward_hooks.clear()
    snapshot.forget_unchanged()
    snapshot.swap()
    assert len(gm.fc._forward_hooks) == 1
    handle.remove()
    assert not gm.fc._forward_hooks


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), True),
        (torch.tensor(0.0), torch.tensor(-0.0), False),
        (torch.tensor(1.0), torch.tensor(1.0, dtype=torch.float64), False),
        (torch.zeros(2), torch.zeros(2, 1), False),
        (torch.zeros(0), torch.zeros(0), True),
        (torch.arange(6).reshape(2, 3).T, torch.arange(6).reshape(2, 3).T.contiguous(), True),
        (torch.tensor([True, False]), torch.tensor([True, True]), False),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16), True),
    ],
)
def test_same_bits(a: torch.Tensor, b: torch.Tensor, expected: bool) -> None:
    assert same_bits(a, b) == expected
