"""The page has every number, is whole, and needs nothing else."""

import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from quantlab.integer.fidelity import measure
from quantlab.integer.lower import lower
from quantlab.integer.page import MOST_CLIPPING, decibels, marks, page, percent
from quantlab.integer.report import LayerCost, Report, report
from tests.quantlab.integer.networks import SPEC, pixels, plain, settled

_EMPTY = ("meta", "br")


class Rows(HTMLParser):
    """The cells of the table's body, row by row; elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[str | None] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in _EMPTY:
            self._open.append(tag)
        if tag == "tr" and "tbody" in self._open:
            self.rows.append([])
            self.classes.append(dict(attrs).get("class"))
        if tag == "td" and "tbody" in self._open:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open and "tbody" in self._open:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def found() -> Report:
    program = lower(settled(plain(), 4), SPEC)
    return report(program, measure(program, [{"input": pixels(8).numpy()}]))


def cost(**changes: object) -> LayerCost:
    settings: dict[str, object] = {
        "layer": "act", "operation": "Requantize", "output": "y", "shape": (4,), "input_bits": 20,
        "weight_bits": 0, "num_bytes": 12, "macs": 0, "bit_operations": 0, "accumulator_bits": 40,
        "headroom": 24, "sqnr_db": 30.0, "clipping_percent": 0.0,
    }  # fmt: skip
    return LayerCost(**{**settings, **changes})


def of(*costs: LayerCost) -> Report:
    return Report(layers=costs, reading_bytes=0, header_bytes=0)


def test_every_layer_with_its_numbers(found: Report) -> None:
    rows = Rows(page(found, title="a run", samples="8 images")).rows
    assert len(rows) == len(found.layers)
    for cells, layer in zip(rows, found.layers, strict=True):
        assert cells[0].startswith(layer.layer)
        assert layer.operation in cells[0]
        numbers = (layer.weight_bits, layer.num_bytes, layer.macs, layer.bit_operations)
        assert cells[1:6] == [
            str(layer.input_bits),
            *(f"{number:,}" if number else "" for number in numbers),
        ]
        assert cells[8:] == [decibels(layer), percent(layer)]


def test_it_needs_nothing_else(found: Report) -> None:
    text = page(found, title="a run", samples="8 images")
    assert not Rows(text).tags & {"script", "link", "img", "iframe"}
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert text.isascii()
    assert "prefers-color-scheme: dark" in text


def test_names_are_text() -> None:
    name = "<b>&'\"</b>"
    text = page(of(cost(layer=name, operation=name)), title=name, samples=name)
    parsed = Rows(text)
    assert parsed.rows[0][0].startswith(name)
    assert "b" not in parsed.tags
    assert text.count("&lt;b&gt;&amp;&#x27;&quot;&lt;/b&gt;") >= 5


def test_what_loses_most_is_marked() -> None:
    layers = (
        cost(),
        cost(sqnr_db=12.0),
        cost(sqnr_db=25.0, clipping_percent=MOST_CLIPPING + 0.01),
        cost(sqnr_db=25.0, clipping_percent=MOST_CLIPPING),
        cost(sqnr_db=None, clipping_percent=None),
        cost(sqnr_db=math.inf),
    )
    found = of(*layers)
    assert [marks(found, layer) for layer in layers] == [
        [], ["lowest SQNR"], ["clipping"], [], [], [],
    ]  # fmt: skip
    classes = Rows(page(found, title="", samples="")).classes
    assert classes == [None, "marked", "marked", None, None, None]
    exact = of(cost(sqnr_db=math.inf))
    assert marks(exact, exact.layers[0]) == []


def test_numbers_for_people() -> None:
    shares = (None, 0.0, 0.004, 0.005, 12.345)
    assert [percent(replace(cost(), clipping_percent=share)) for share in shares] == [
        "", "0.00", "<0.01", "0.01", "12.35",
    ]  # fmt: skip
    ratios = (None, math.inf, 20.34, -3.0)
    assert [decibels(replace(cost(), sqnr_db=ratio)) for ratio in ratios] == [
        "", "exact", "20.3", "-3.0",
    ]  # fmt: skip


def test_bars_stay_within_their_cells() -> None:
    layers = (cost(sqnr_db=170.0, num_bytes=0), cost(sqnr_db=-3.0), cost(sqnr_db=math.inf))
    text = page(of(*layers), title="", samples="")
    widths = [float(part.split("%")[0]) for part in text.split("width: ")[1:] if "%" in part[:6]]
    assert max(widths) == 100.0
    assert min(widths) == 0.0


def test_a_program_without_operations() -> None:
    assert Rows(page(of(), title="", samples="")).rows == []
