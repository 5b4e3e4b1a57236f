"""Draw: a graph as a picture, with its layers, shapes and quantizers.

A box is a node: its name, what it is with its main settings, how many parameters it has, and the
bits of its weight if that has a quantizer. Below a box stands the shape of its tensor, where it is
known, and on each edge what quantizes it: the bits, the sign, and the range of the grid,

    (quant_min - zero_point) * scale .. (quant_max - zero_point) * scale

The same graph gives the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from torch import fx

from quantlab.graphs import labels
from quantlab.graphs.layout import Edge, Layout, Size, lay_out
from quantlab.graphs.match import inputs_of
from quantlab.graphs.paths import module_of
from quantlab.graphs.slots import applied
from quantlab.quantizer import Quantizer

# Fill and line of each family of boxes.
_COLORS = {
    "layer": ("#dbeafe", "#2563eb"),
    "norm": ("#f3e8ff", "#9333ea"),
    "activation": ("#dcfce7", "#16a34a"),
    "pool": ("#fef3c7", "#d97706"),
    "operation": ("#ffe4e6", "#e11d48"),
    "function": ("#ffffff", "#94a3b8"),
    "other": ("#f1f5f9", "#64748b"),
    "end": ("#334155", "#334155"),
}
_BOLD, _PLAIN = 7.1, 6.0  # the width of a letter, at most of the time
_LINE = 14.0
_NOTE = 12.0
_PADDING = 10.0
_GAP = 26.0
_BORDER = 20.0
_HEADING = 44.0

_STYLE = """\
text { font-family: "DejaVu Sans", Verdana, Helvetica, sans-serif; font-size: 10px; fill: #334155; }
.name { font-size: 11px; font-weight: bold; fill: #0f172a; }
.end { font-size: 11px; font-weight: bold; fill: #ffffff; }
.title { font-size: 16px; font-weight: bold; fill: #0f172a; }
.note { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; }
.grid { fill: #b91c1c; }
.edge { fill: none; stroke: #64748b; stroke-width: 1.3; }
"""


@dataclass(frozen=True, kw_only=True)
class _Box:
    node: fx.Node
    family: str
    name: str
    details: list[str]
    below: list[str]  # the shape of its tensor
    grids: list[str]  # what quantizes its tensor for all that read it

    @property
    def width(self) -> float:
        letters = [len(self.name) * _BOLD, *(len(line) * _PLAIN for line in self.details)]
        return max(letters) + 2 * _PADDING

    @property
    def height(self) -> float:
        return _LINE * (1 + len(self.details)) + 10

    @property
    def size(self) -> Size:
        """The box, and what is written beside the line that leaves it."""
        beside = max((len(line) * _PLAIN + 8 for line in self.below + self.grids), default=0)
        half, stem = self.width / 2, _NOTE * len(self.below + self.grids)
        return Size(left=half, right=max(half, beside), height=self.height + stem)


def draw(gm: fx.GraphModule, path: Path | str | None = None) -> str:
    """Return a graph as SVG, a document of its own; write it to `path` if one is given.

    Shapes are those of the example that the graph was traced or last run with (`propagate_shapes`).
    """
    sources = _sources(gm)
    quantized = _quantized(gm, sources)
    boxes = [_box(gm, node, quantized) for node in sources]
    number = {box.node: i for i, box in enumerate(boxes)}
    notes = {
        (number[source], number[node]): [] if boxes[number[source]].grids else grids
        for (source, node), grids in quantized.items()
    }
    gaps = [_GAP + _NOTE * max(map(len, _arriving(notes, i)), default=0) for i in number.values()]
    layout = lay_out([box.size for box in boxes], list(notes), gaps)
    svg = "\n".join(_document(gm, boxes, layout, notes)) + "\n"
    if path is not None:
        Path(path).write_text(svg, encoding="utf-8")
    return svg


def _arriving(notes: dict[Edge, list[str]], box: int) -> list[list[str]]:
    return [grids for (_, lower), grids in notes.items() if lower == box]


def _sources(gm: fx.GraphModule) -> dict[fx.Node, list[tuple[fx.Node, list[Quantizer]]]]:
    """Return the nodes that get a box, and for each where its inputs come from, through which
    quantizers."""
    found: dict[fx.Node, list[tuple[fx.Node, list[Quantizer]]]] = {}
    for node in gm.graph.nodes:
        if isinstance(module_of(gm, node), Quantizer):
            continue
        found[node] = []
        for source in dict.fromkeys(inputs_of(node)):
            quantizers: list[Quantizer] = []
            while isinstance(quantizer := module_of(gm, source), Quantizer):
                quantizers.insert(0, quantizer)
                source = source.all_input_nodes[0]
            found[node].append((source, quantizers))
    return found


Quantized = dict[tuple[fx.Node, fx.Node], list[str]]


def _quantized(
    gm: fx.GraphModule, sources: dict[fx.Node, list[tuple[fx.Node, list[Quantizer]]]]
) -> Quantized:
    """Return what quantizes the tensor on each edge: nodes, or the layers at its ends."""
    found: Quantized = {}
    for node, inputs in sources.items():
        for source, between in inputs:
            made, read = module_of(gm, source), module_of(gm, node)
            first = applied(made).get("output_quantizer") if made is not None else None
            last = applied(read).get("input_quantizer") if read is not None else None
            found[source, node] = [labels.grid(q) for q in (first, *between, last) if q is not None]
    return found


def _box(gm: fx.GraphModule, node: fx.Node, quantized: Quantized) -> _Box:
    grids = [g for (source, _), g in quantized.items() if source is node]
    return _Box(
        node=node,
        family=labels.family(gm, node),
        name=labels.title(node),
        details=labels.details(gm, node),
        below=[labels.shape(node)] if labels.shape(node) and grids else [],
        grids=grids[0] if grids and all(g == grids[0] for g in grids) else [],
    )


def _document(
    gm: fx.GraphModule, boxes: list[_Box], layout: Layout, notes: dict[Edge, list[str]]
) -> Iterator[str]:
    count = labels.num_parameters(gm)
    heading = f"{type(gm).__name__}"
    width = max(layout.width, len(heading) * 11, 220) + 2 * _BORDER
    height = layout.height + _HEADING + 2 * _BORDER
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">'
    )
    yield f"<style>{escape(_STYLE)}</style>"
    yield (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="#64748b"/></marker>'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield _text(_BORDER, _BORDER + 14, heading, "title")
    yield _text(_BORDER, _BORDER + 30, f"{count:,} parameters", "")
    yield f'<g transform="translate({_BORDER:.0f} {_BORDER + _HEADING:.0f})">'
    for edge in notes:
        yield from _edge(edge, boxes, layout)
    for i, box in enumerate(boxes):
        yield from _draw_box(box, layout.x[i], layout.top[i])
    for edge, grids in notes.items():
        x, y = _arrival(edge, boxes, layout)
        for number, line in enumerate(reversed(grids)):
            yield _text(x + 6, y - _NOTE - number * _NOTE, line, "note grid")
    yield "</g>"
    yield "</svg>"


def _draw_box(box: _Box, x: float, top: float) -> Iterator[str]:
    fill, line = _COLORS[box.family]
    dashes = ' stroke-dasharray="4 3"' if box.family == "function" else ""
    round_ = box.height / 2 if box.family == "end" else 5
    yield (
        f'<rect x="{x - box.width / 2:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{round_:.1f}" fill="{fill}" stroke="{line}"{dashes}/>'
    )
    style = "end" if box.family == "end" else "name"
    yield _text(x, top + _LINE + 2, box.name, style, anchor="middle")
    for number, text in enumerate(box.details):
        yield _text(x, top + _LINE * (number + 2) + 1, text, "", anchor="middle")
    bottom = top + box.height
    for number, text in enumerate(box.below + box.grids):
        style = "note" if number < len(box.below) else "note grid"
        yield _text(x + 6, bottom + _NOTE + number * _NOTE, text, style)


def _edge(edge: Edge, boxes: list[_Box], layout: Layout) -> Iterator[str]:
    upper, _ = edge
    x, y = layout.x[upper], layout.top[upper] + boxes[upper].height
    path = [f"M{x:.1f},{y:.1f}"]
    end = layout.row_bottom[layout.row[upper]]
    if end > y:
        path.append(f"L{x:.1f},{end:.1f}")
        y = end
    for to_x, top, bottom in layout.routes[edge]:
        path.append(_curve(x, y, to_x, top))
        path.append(f"L{to_x:.1f},{bottom:.1f}")
        x, y = to_x, bottom
    to_x, top = _arrival(edge, boxes, layout)
    path.append(_curve(x, y, to_x, top))
    yield f'<path class="edge" marker-end="url(#tip)" d="{" ".join(path)}"/>'


def _arrival(edge: Edge, boxes: list[_Box], layout: Layout) -> tuple[float, float]:
    """Return where an edge ends: straight below where it comes from, or to that side of its box."""
    upper, lower = edge
    last = layout.routes[edge][-1][0] if layout.routes[edge] else layout.x[upper]
    offset = last - layout.x[lower]
    reach = min(boxes[lower].width / 2 - 10, 40.0)
    return layout.x[lower] + max(-reach, min(reach, offset)), layout.top[lower]


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    if abs(x - to_x) < 0.05:
        return f"L{to_x:.1f},{to_y:.1f}"
    bend = (to_y - y) * 0.6
    return f"C{x:.1f},{y + bend:.1f} {to_x:.1f},{to_y - bend:.1f} {to_x:.1f},{to_y:.1f}"


def _text(x: float, y: float, text: str, style: str, *, anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}"'
    middle = ' text-anchor="middle"' if anchor == "middle" else ""
    cls = f' class="{style}"' if style else ""
    return f"<text {where}{middle}{cls}>{escape(text)}</text>"
