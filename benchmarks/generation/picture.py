"""A picture of rows: accuracy over the bytes of the file, as SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 150, 30, 60
_COLORS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#57606a")
_INK = "#1f2328"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A row. kind: points of one kind have one color. num_bytes: above 0. top1: in percent."""

    name: str
    kind: str
    num_bytes: float
    top1: float


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Where values lie: bytes on a logarithmic axis, percent on a linear one."""

    bytes: tuple[float, float]
    top1: tuple[float, float]

    def place(self, point: Point) -> tuple[float, float]:
        low, high = (math.log(end) for end in self.bytes)
        across = (math.log(point.num_bytes) - low) / (high - low)
        up = (point.top1 - self.top1[0]) / (self.top1[1] - self.top1[0])
        x = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def picture(title: str, points: Sequence[Point]) -> str:
    """Return an SVG of the points, whose text begins with the title. Raises ValueError for none."""
    if not points:
        raise ValueError("picture: no points given, at least one allowed")
    kinds = list(dict.fromkeys(point.kind for point in points))
    colors = {kind: _COLORS[place % len(_COLORS)] for place, kind in enumerate(kinds)}
    frame = _frame(points)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_axes(frame),
        *(line for point in points for line in _mark(frame, point, colors[point.kind])),
        *(line for place, kind in enumerate(kinds) for line in _key(place, kind, colors[kind])),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _frame(points: Sequence[Point]) -> _Frame:
    """Return a frame with some room around the points."""
    sizes, tops = [p.num_bytes for p in points], [p.top1 for p in points]
    room = max(0.5, 0.1 * (max(tops) - min(tops)))
    return _Frame(
        bytes=(min(sizes) / 1.3, max(sizes) * 1.3), top1=(min(tops) - room, max(tops) + room)
    )


def _axes(frame: _Frame) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="{_INK}"/>'
    for num_bytes in _round_numbers(*frame.bytes):
        x, _ = frame.place(Point(name="", kind="", num_bytes=num_bytes, top1=frame.top1[0]))
        yield _text(x, bottom + 18, f"{num_bytes / 1000:g}", "middle")
    step = 10.0 ** math.floor(math.log10(frame.top1[1] - frame.top1[0]))
    for count in range(math.ceil(frame.top1[0] / step), math.floor(frame.top1[1] / step) + 1):
        point = Point(name="", kind="", num_bytes=frame.bytes[0], top1=count * step)
        yield _text(_LEFT - 8, frame.place(point)[1] + 4, f"{count * step:g}", "end")
    yield _text((_LEFT + right) / 2, bottom + 42, "file, KB", "middle")
    yield _text(_LEFT, _TOP - 12, "top-1, %", "middle")


def _round_numbers(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (n * 10.0**power for n in (1, 2, 5) if low <= n * 10.0**power <= high)


def _mark(frame: _Frame, point: Point, color: str) -> Iterator[str]:
    x, y = frame.place(point)
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>'
    yield _text(x + 7, y - 5, point.name, "start")


def _key(place: int, kind: str, color: str) -> Iterator[str]:
    x, y = _WIDTH - _RIGHT + 20, _TOP + 20 * place
    yield f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{color}"/>'
    yield _text(x + 10, y, kind, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}"'
    return f"<text {where}>{escape(text)}</text>"
