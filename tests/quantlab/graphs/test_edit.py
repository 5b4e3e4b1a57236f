from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.edit import Editor, Rule, compose
from quantlab.graphs.equalize import equalize
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.harmonize import harmonize
from quantlab.graphs.match import Match, Op
from quantlab.graphs.quantizers import insert_quantizers
from quantlab.graphs.report import Report, reported
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Grid, Residual, difference, everything, run, settle

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()


class Smooth(Rule):
    """ReLU becomes Softplus."""

    name = "smooth"
    pattern = Op(nn.ReLU)

    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        node = match.root
        if node.target == "relu":
            return None
        path = f"{node.target}_smooth"
        gm.add_submodule(path, nn.Softplus())
        with gm.graph.inserting_before(node):
            new = gm.graph.call_module(path, node.args)
        node.replace_all_uses_with(new)
        gm.graph.erase_node(node)
        gm.delete_submodule(node.target)
        return f"{node.target}: smooth now"


class Refuse(Smooth):
    def check(self, gm: fx.GraphModule, match: Match) -> None:
        if match.root.target == "layer1.1.relu":
            raise UsageError(f"'{match.root.target}' stays")


@reported("rename")
def rename(gm: fx.GraphModule) -> Iterator[str]:
    gm.head = gm.fc
    gm.graph.find_nodes(op="call_module", target="fc")[0].target = "head"
    del gm.fc
    yield "fc: head now"


def editor() -> Editor:
    return Editor(trace(settle(Residual()), X))


def test_a_rule_changes_all_places_once() -> None:
    gm = trace(settle(Residual()))
    report = Smooth()(gm)
    blocks = [f"layer1.{i}.relu{end}" for i in range(2) for end in ("", "_1")]
    assert report == Report(name="smooth", lines=tuple(f"{b}: smooth now" for b in blocks))
    assert sum(isinstance(m, nn.ReLU) for m in gm.modules()) == 1
    oracle = settle(Residual())
    for block in oracle.layer1:
        block.relu = nn.Softplus()
    assert difference(run(gm, X), run(oracle, X)) < 1e-12


def test_a_rule_that_makes_its_own_pattern_ends() -> None:
    class Again(Rule):
        name, pattern = "again", Op(nn.ReLU)

        def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
            with gm.graph.inserting_after(match.root):
                gm.graph.call_module(str(match.root.target), match.root.args)
            return "one more"

    assert len(Again()(trace(Residual())).lines) == 5


def test_a_rule_checks_all_before_it_changes_any() -> None:
    gm = trace(settle(Residual()))
    before = everything(gm)
    with pytest.raises(UsageError, match=r"'layer1.1.relu' stays"):
        Refuse()(gm)
    assert everything(gm) == before


def test_undo_and_redo() -> None:
    edit = editor()
    changes = [Smooth(), fold_batch_norm, rename, equalize]
    states = [everything(edit.gm)]
    for change in changes:
        edit.apply(change)
        states.append(everything(edit.gm))
    names = ("smooth", "fold_batch_norm", "rename", "equalize")
    assert tuple(r.name for r in edit.reports) == names
    for state in states[-2::-1]:
        edit.undo()
        assert everything(edit.gm) == state
    with pytest.raises(UsageError, match="undo: no edit is in effect"):
        edit.undo()
    assert edit.redo().name == "smooth"
    assert everything(edit.gm) == states[1]
    edit.apply(rename)
    with pytest.raises(UsageError, match="redo: nothing was undone since the last edit"):
        edit.redo()


def test_an_edit_that_fails_is_taken_back() -> None:
    @reported("break")
    def spoil(gm: fx.GraphModule) -> Iterator[str]:
        gm.fc.weight.data.zero_()
        gm.graph.erase_node(gm.graph.find_nodes(op="output")[0])
        yield "first"
        raise KeyError("second")

    edit = editor()
    before = everything(edit.gm)
    with pytest.raises(KeyError):
        edit.apply(spoil)
    assert everything(edit.gm) == before
    assert not edit.reports


def test_training_between_edits_is_kept() -> None:
    """What an edit did not change keeps its values when it is undone."""
    edit = editor()
    original = edit.gm.stem.weight.detach().clone()
    edit.apply(fold_batch_norm)
    folded = edit.gm.get_submodule("layer1.0.conv1").weight
    edit.gm.stem.weight.data.add_(1)
    folded.data.add_(1)
    edit.undo()
    assert torch.equal(edit.gm.stem.weight, original + 1)
    assert torch.equal(folded, settle(Residual()).layer1[0].conv1.weight)


def test_the_difference_is_readable() -> None:
    edit = editor()
    assert edit.diff() == ""
    edit.apply(fold_batch_norm)
    lines = edit.diff().splitlines()
    assert lines[:2] == ["--- before", "+++ after"]
    changed = [line for line in lines[2:] if line.startswith(("-", "+"))]
    assert sum("BatchNorm2d" in line for line in changed) == 4
    assert any(line.startswith("-layer1_0_conv1 =") and "bias=False" in line for line in changed)
    assert any(line.startswith("+layer1_0_conv1 =") and "bias" not in line for line in changed)
    edit.undo()
    assert edit.diff() == ""


def test_the_key_map_leads_from_the_unedited_network() -> None:
    edit = editor()
    old, before = dict(edit.gm.state_dict()), set(edit.gm.state_dict())
    edit.apply(fold_batch_norm)
    edit.apply(rename)
    now = set(edit.gm.state_dict())
    assert edit.key_map["fc.weight"] == "head.weight"
    assert edit.key_map["layer1.0.bn1.running_var"] is None
    assert {edit.key_map.get(key, key) for key in before} - {None} <= now
    assert set(edit.reports[0].added) == {
        f"layer1.{i}.conv{j}.bias" for i in range(2) for j in (1, 2)
    }
    assert all(edit.gm.state_dict()[edit.key_map.get(k, k)] is not None for k in ("fc.bias",))
    edit.undo()
    assert "fc.weight" not in edit.key_map
    assert set(old) == before


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ([({"a": "b"}, ())], {"a": "b"}),
        ([({"a": "b"}, ()), ({"b": "c"}, ())], {"a": "c"}),
        ([({"a": "b"}, ()), ({"b": None}, ())], {"a": None}),
        ([({"a": "b"}, ()), ({"b": "a"}, ())], {}),
        ([({}, ("new",)), ({"new": "newer"}, ()), ({"newer": None}, ())], {}),
        ([({"a": "b", "b": "a"}, ())], {"a": "b", "b": "a"}),
        ([({"a": None}, ()), ({}, ("a",)), ({"a": "b"}, ())], {"a": None}),
    ],
)
def test_key_maps_follow_one_another(
    maps: list[tuple[dict[str, str | None], tuple[str, ...]]], expected: dict[str, str | None]
) -> None:
    reports = [Report(name="", key_map=key_map, added=added) for key_map, added in maps]
    assert compose(reports) == expected


CHAIN = [
    fold_batch_norm,
    rename,
    equalize,
    lambda gm: harmonize(gm, lambda path: Grid(8, scale=0.5)),
    lambda gm: insert_quantizers(gm, ["stem"], lambda path: Grid(8, scale=0.5)),
]


def test_loading_a_float_checkpoint_is_editing_the_loaded_network() -> None:
    checkpoint = settle(Residual(), seed=1).state_dict()
    edit = editor()
    for change in CHAIN:
        edit.apply(change)
    objects = {name: id(m) for name, m in edit.gm.named_modules()}
    parameters = {name: id(p) for name, p in edit.gm.named_parameters()}
    with torch.no_grad():
        edit.gm.stem.output_quantizer.scale.fill_(0.25)

    loaded = settle(Residual())
    loaded.load_state_dict(checkpoint)
    oracle = trace(loaded, X)
    float_result = run(oracle, X)
    for change in CHAIN:
        change(oracle)
    with torch.no_grad():
        oracle.stem.output_quantizer.scale.fill_(0.25)  # quantizers keep their state

    edit.load_float(checkpoint)
    assert {name: id(m) for name, m in edit.gm.named_modules()} == objects
    assert {name: id(p) for name, p in edit.gm.named_parameters()} == parameters
    assert edit.gm.state_dict().keys() == oracle.state_dict().keys()
    for key, value in oracle.state_dict().items():
        assert torch.equal(edit.gm.state_dict()[key], value), key
    assert torch.equal(run(edit.gm, X), run(oracle, X))
    for _ in CHAIN:
        edit.undo()
    assert torch.equal(run(edit.gm, X), float_result)
    assert all(torch.equal(edit.gm.state_dict()[key], value) for key, value in checkpoint.items())
    for _ in CHAIN:
        edit.redo()
    assert torch.equal(run(edit.gm, X), run(oracle, X))


def test_a_checkpoint_that_the_first_weights_hid_an_edit_from() -> None:
    """A fold that changed nothing (factor 1) changes something after loading; undo knows."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, eps=0.0)).double().eval()
    checkpoint = settle(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))).state_dict()
    edit = Editor(trace(network))
    edit.apply(fold_batch_norm)
    edit.load_float(checkpoint)
    edit.undo()
    for key, value in edit.gm.state_dict().items():
        assert torch.equal(value, checkpoint[key]), key


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


def test_a_checkpoint_of_the_network_before_it_was_traced() -> None:
    """Copies of a layer that is called twice are not in it, nor need be."""
    edit = Editor(trace(Shared()))
    edit.apply(lambda gm: insert_quantizers(gm, ["conv_1"], lambda path: Grid()))
    checkpoint = Shared().state_dict()
    assert set(checkpoint) < set(edit.gm.state_dict())
    edit.load_float(checkpoint)
    assert torch.equal(edit.gm.conv_1.weight, checkpoint["conv.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("fc.bias"), "entry 'fc.bias' is missing from the checkpoint"),
        (
            lambda c: c.update({"fc.biass": torch.zeros(1)}),
            "entry 'fc.biass' is not one of the unedited network; did you mean 'fc.bias'?",
        ),
        (
            lambda c: c.update({"fc.bias": torch.zeros(3)}),
            "entry 'fc.bias' has shape [3], [5] expected",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(change: object, message: str) -> None:
    edit = editor()
    edit.apply(fold_batch_norm)
    before = everything(edit.gm)
    checkpoint = dict(settle(Residual(), seed=1).state_dict())
    change(checkpoint)  # type: ignore[operator]
    with pytest.raises(UsageError) as caught:
        edit.load_float(checkpoint)
    assert str(caught.value) == f"load_float: {message}"
    assert everything(edit.gm) == before
