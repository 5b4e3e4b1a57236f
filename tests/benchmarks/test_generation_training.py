"""The measured times of modes: what the page says of them, and what is measured."""

import torch
from torch import nn

from benchmarks.generation_training import layer_step, rows_of, set_mode
from quantlab.generation import MLGConv2d, MLGSpec
from tests.benchmarks.figures import measured
from tests.benchmarks.mode_figures import PAGE, lines, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())


def test_the_cheapest_modes_are_faster_than_the_generated_weight() -> None:
    rows = [row for row in measured("generation_training_cpu") if row["what"] == "step"]
    assert {row["layout"] for row in rows if row["mode"] == "auto"} == {
        "contiguous",
        "channels_last",
    }
    for row in rows:
        others = [r["ratio"] for r in rows if r["layout"] == row["layout"]]
        if row["mode"] == "auto":
            assert row["ratio"] > 1.5
            assert row["ratio"] >= 0.95 * max(others)


def test_a_mode_that_a_layer_has_not_is_left_out() -> None:
    layers = nn.ModuleList(
        [MLGConv2d(3, 64, 3, spec=MLGSpec()), MLGConv2d(8, 64, 3, spec=MLGSpec())]
    )
    set_mode(layers, "two_stage")
    assert [layer.mode for layer in layers] == ["generated", "two_stage"]


def test_rows_have_their_peer_first() -> None:
    layer = MLGConv2d(4, 4, 3, spec=MLGSpec(base_out=3))
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    steps = {"generated": layer_step(layer, x), "other": layer_step(layer, x)}
    rows = list(rows_of(steps, "4->4", 2, is_last=False))
    assert [row.figures["mode"] for row in rows] == ["generated", "other"]
    assert {row.peer for row in rows} == {"generated"}
    assert layer.basis.grad is not None
