"""The measured times of compiled networks: what the page says, and what is measured."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.generation.bytes_picture import Bar, picture
from benchmarks.generation.dense_peers import channels_last, contiguous, prepacked
from benchmarks.generation_speed import (
    FUSED,
    PICTURE,
    PREPACKED,
    kinds,
    layer_name,
    products_of,
    subject_of,
)
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.generation import convert
from tests.benchmarks.figures import measured
from tests.benchmarks.speed_figures import (
    LAYERS,
    LINES,
    NETWORKS,
    PAGE,
    README,
    on_page,
    readme_line,
)


def small() -> nn.Module:
    network = ResNet(8, width=4, fc_bias=False)
    convert(network, {"base_in": 2, "base_out": 3})
    return network.eval()


@pytest.mark.parametrize("table", LINES)
def test_the_page_has_the_figures(table: str) -> None:
    assert on_page(PAGE.read_text(encoding="utf-8"), table) == list(LINES[table]())


def test_the_readme_has_the_ratios() -> None:
    assert readme_line() in README.read_text(encoding="utf-8").splitlines()


def test_the_picture_has_the_bytes() -> None:
    sizes: dict[str, dict[str, int]] = {}
    for row in measured(LAYERS):
        if row["images"] == 1:
            sizes.setdefault(row["layer"], {})[row["mode"]] = row["weight_bytes"]
    bars = [Bar(name=n, dense=s[PREPACKED], codes=s[FUSED]) for n, s in sizes.items()]
    assert PICTURE.read_text(encoding="utf-8") == picture(bars)


@pytest.mark.parametrize("name", NETWORKS.values())
def test_fused_networks_are_the_fastest(name: str) -> None:
    rows = measured(name)
    for threads, images in {(row["threads"], row["images"]) for row in rows}:
        ratios = {
            r["side"]: r["ratio"] for r in rows if (r["threads"], r["images"]) == (threads, images)
        }
        assert max(ratios, key=ratios.__getitem__) == FUSED


def test_peers_compute_the_network() -> None:
    network = small()
    one = subject_of(network, torch.randn(2, 3, 8, 8))
    with torch.no_grad():
        expected = network(one.images)
    for peer in (contiguous(one.rows), channels_last(one.rows), prepacked(one.rows, 2)):
        torch.testing.assert_close(peer(one.images), expected, rtol=1e-4, atol=1e-5)


def test_dense_multiplications_are_torchs() -> None:
    network = small()
    one = subject_of(network, torch.randn(1, 3, 8, 8))
    peer = contiguous(one.rows)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        peer(one.images)
    assert products_of(one.rows, is_dense=True) == counter.get_total_flops() // 2
    assert products_of(one.rows, is_dense=False) < products_of(one.rows, is_dense=True)


def test_layers_have_names() -> None:
    one = subject_of(small(), torch.randn(1, 3, 8, 8))
    names = [layer_name(step) for step in kinds(one.layers)]
    assert names[0] == "3->4 3x3 @8x8"
    assert names[-1] == "16->10 1x1"
    assert len(set(names)) == len(names) < len(one.layers)


def test_a_picture_of_nothing() -> None:
    with pytest.raises(ValueError, match="bars: none given"):
        picture([])
