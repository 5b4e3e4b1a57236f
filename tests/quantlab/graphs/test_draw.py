import re
from pathlib import Path
from xml.etree import ElementTree

import torch
from torch import Tensor, nn

from problems.ImageNet.ResNet.network import ResNet
from quantlab.graphs.draw import draw
from quantlab.graphs.edit import Editor
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.harmonize import harmonize
from quantlab.graphs.quantizers import expose_quantizers, insert_quantizers
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import CarryingConv2d, Grid, Residual, settle

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [t.text or "" for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def grid(path: str) -> Quantizer:
    return Grid(8, signed=False, scale=0.02)


def test_says_what_is_in_the_network() -> None:
    gm = trace(settle(Residual()), torch.randn(1, 3, 8, 8).double())
    svg = draw(gm)
    said = texts(svg)
    assert said[:2] == ["Residual", f"{sum(p.numel() for p in gm.parameters()):,} parameters"]
    for node in gm.graph.nodes:
        name = node.target if node.op == "call_module" else node.name
        assert said.count(name) == 1
    assert "Conv2d 3x3, 3 to 4, stride 2" in " ".join(said)
    assert said.count("1x3x8x8") == 1
    assert said.count("1x4x1x1") == 1
    edges = [p for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == "edge"]
    assert len(edges) == sum(len(n.all_input_nodes) for n in gm.graph.nodes)


def test_is_the_same_each_time_and_written_to_a_file(tmp_path: Path) -> None:
    networks = [trace(settle(ResNet(18))) for _ in range(2)]
    first, second = (draw(gm) for gm in networks)
    assert first == second
    path = tmp_path / "picture.svg"
    assert draw(networks[0], path) == path.read_text(encoding="utf-8")
    draw(networks[0], str(path))
    assert path.read_bytes() == first.encode()


def test_needs_no_other_file_and_no_shapes() -> None:
    svg = draw(trace(settle(Residual())))
    assert not re.search(r"(href|src|url)=|@import|https?://(?!www\.w3\.org/2000/svg)", svg)
    assert not [text for text in texts(svg) if re.fullmatch(r"[0-9]+(x[0-9]+)+", text)]


def test_quantizers_stand_on_edges() -> None:
    gm = trace(settle(Residual()), torch.randn(1, 3, 8, 8).double())
    fold_batch_norm(gm)
    harmonize(gm, grid)
    insert_quantizers(gm, ["x"], lambda path: Grid(4, scale=0.25))
    said = texts(draw(gm))
    assert said.count("8 bits unsigned 0..5.1") == 4  # once below each box, for all its readers
    assert said.count("4 bits signed -2..1.75") == 1
    assert not [text for text in said if "quantizer" in text]


def test_quantizers_within_layers_and_on_some_edges_only() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            quantizers: dict[str, Quantizer] = {
                "input_quantizer": grid(""),
                "weight_quantizer": Grid(),
            }
            self.conv = CarryingConv2d(3, 3, 1, quantizers=quantizers)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(x)
            return self.conv(x) + x

    editor = Editor(trace(Network()))
    inside = draw(editor.gm)
    assert texts(inside).count("8 bits unsigned 0..5.1") == 1
    assert texts(inside).count("weight: 4 bits signed -0.8..0.7") == 1
    editor.apply(expose_quantizers)
    assert draw(editor.gm) == inside  # the same quantizers in the same places


def test_names_are_escaped() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({"a<b>&c": nn.ReLU()})

        def forward(self, x: Tensor) -> Tensor:
            return self.layers["a<b>&c"](x)

    assert "layers.a<b>&c" in texts(draw(trace(Odd())))


def test_a_network_that_does_nothing() -> None:
    assert texts(draw(trace(nn.Sequential()))) == ["Sequential", "0 parameters", "input", "output"]
