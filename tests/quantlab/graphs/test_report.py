from collections.abc import Iterator

import pytest
import torch
from torch import fx, nn

from quantlab.graphs.report import Report, entries, report, reported
from tests.quantlab.graphs.networks import Block


def test_renamed_removed_and_added_entries() -> None:
    same, moved, gone, new = (torch.zeros(1) for _ in range(4))
    before = {"same": same, "old.name": moved, "gone": gone}
    after = {"same": same, "new.name": moved, "new": new, "same_again": same}
    found = report("edit", ("a line",), before, after)
    assert found.key_map == {"old.name": "new.name", "gone": None}
    assert found.added == ("new", "same_again")
    assert str(found) == "edit: 1 changed\na line"


def test_a_pass_checks_and_recompiles() -> None:
    @reported("swap")
    def swap(gm: fx.GraphModule, cls: type[nn.Module]) -> Iterator[str]:
        gm.relu = cls()
        gm.bn3 = gm.bn2
        node = gm.graph.find_nodes(op="call_module", target="bn2")[0]
        node.target = "bn3"
        del gm.bn2
        yield "swapped"

    gm = fx.symbolic_trace(Block())
    found = swap(gm, nn.Tanh)
    assert found.lines == ("swapped",)
    assert set(found.key_map) == {f"bn2.{key}" for key in gm.bn3.state_dict()}
    assert all(new == old.replace("bn2", "bn3") for old, new in found.key_map.items())
    assert not found.added
    assert "self.bn3" in gm.code
    assert found == Report(name="swap", lines=("swapped",), key_map=found.key_map)


def test_a_pass_that_breaks_the_graph_is_refused() -> None:
    @reported("break")
    def break_it(gm: fx.GraphModule) -> Iterator[str]:
        gm.graph.find_nodes(op="call_module", target="bn2")[0].target = "nowhere"
        yield "broken"

    with pytest.raises(RuntimeError, match="nowhere"):
        break_it(fx.symbolic_trace(Block()))


def test_entries_are_the_parameters_themselves() -> None:
    block = Block()
    assert entries(block)["conv1.weight"] is block.conv1.weight
    assert entries(block)["bn1.running_mean"] is block.bn1.running_mean
