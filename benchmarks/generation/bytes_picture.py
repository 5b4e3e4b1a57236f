"""A picture of the bytes of weights that a run reads of each layer, as SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT = 720, 150, 80
_TOP, _ROW, _BAR = 56, 34, 12
_INK, _PALE, _DENSE, _CODES = "#1f2328", "#d0d7de", "#bc4c00", "#0969da"
TITLE = "Bytes of weights that a run reads"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A layer. dense: bytes of its weight in float32; codes: as the fused kernels hold it."""

    name: str
    dense: int
    codes: int


def picture(bars: Sequence[Bar]) -> str:
    """Return an SVG with two bars for each layer, on a logarithmic axis. Raises ValueError for
    none."""
    if not bars:
        raise ValueError("bars: none given, at least one allowed")
    sizes = [size for bar in bars for size in (bar.dense, bar.codes)]
    ends = (math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes))))
    height = _TOP + _ROW * len(bars) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>{TITLE}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 20, TITLE, "start"),
        *_key(),
        *_grid(ends, _TOP + _ROW * len(bars)),
        *(line for place, bar in enumerate(bars) for line in _pair(place, bar, ends)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _key() -> Iterator[str]:
    for x, color, name in (
        (_LEFT, _DENSE, "dense, float32"),
        (_LEFT + 130, _CODES, "fused, codes"),
    ):
        yield f'<rect x="{x}" y="32" width="10" height="10" fill="{color}"/>'
        yield _text(x + 16, 41, name, "start")


def _grid(ends: tuple[int, int], bottom: float) -> Iterator[str]:
    for power in range(ends[0], ends[1] + 1):
        x = _across(10.0**power, ends)
        yield f'<path d="M{x:.1f} {_TOP - 4}V{bottom}" stroke="{_PALE}"/>'
        yield _text(x, bottom + 18, _short(10**power), "middle")


def _pair(place: int, bar: Bar, ends: tuple[int, int]) -> Iterator[str]:
    top = _TOP + _ROW * place
    yield _text(_LEFT - 8, top + _BAR + 4, bar.name, "end")
    for number, (size, color) in enumerate(((bar.dense, _DENSE), (bar.codes, _CODES))):
        y, end = top + _BAR * number, _across(size, ends)
        width = end - _LEFT
        yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 1}" fill="{color}"/>'
        yield _text(end + 5, y + _BAR - 2, _short(size), "start")


def _across(size: float, ends: tuple[int, int]) -> float:
    share = (math.log10(size) - ends[0]) / (ends[1] - ends[0])
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _short(size: float) -> str:
    for unit, name in ((1e6, "MB"), (1e3, "KB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}"'
    return f"<text {where}>{escape(text)}</text>"
