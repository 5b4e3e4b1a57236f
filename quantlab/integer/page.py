"""A report as a page: one file of HTML without scripts, that fetches nothing."""

import math
from collections.abc import Iterator
from html import escape

from quantlab.integer.report import LayerCost, Report

MOST_CLIPPING = 1.0  # in %, from which on a layer is marked
_FULL_SQNR = 60.0  # in dB, a whole bar: about 10 bits

_STYLE = """\
:root { color-scheme: light dark; --page: #ffffff; --text: #0f172a; --quiet: #64748b;
  --line: #e2e8f0; --card: #f8fafc; --bar: #2563eb; --track: #e2e8f0; --mark: #fef3c7;
  --warn: #b45309; }
@media (prefers-color-scheme: dark) { :root { --page: #0f172a; --text: #e2e8f0; --quiet: #94a3b8;
  --line: #273449; --card: #172136; --bar: #60a5fa; --track: #2b3a52; --mark: #3b2f14;
  --warn: #fbbf24; } }
body { margin: 0 auto; padding: 24px; max-width: 1280px; background: var(--page);
  color: var(--text); font: 14px/1.45 "DejaVu Sans", Verdana, Helvetica, sans-serif; }
h1 { margin: 0; font-size: 22px; }
p { margin: 4px 0; color: var(--quiet); }
dl { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
dl div { flex: 1 1 150px; padding: 10px 14px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); }
dt { color: var(--quiet); font-size: 12px; }
dd { margin: 0; font-size: 19px; font-variant-numeric: tabular-nums; }
dd small { display: block; color: var(--quiet); font-size: 12px; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th { padding: 6px 8px; color: var(--quiet); font-size: 12px; font-weight: normal; text-align: left;
  vertical-align: bottom; border-bottom: 2px solid var(--line); }
td { padding: 6px 8px; vertical-align: top; border-bottom: 1px solid var(--line); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.layer { font-weight: bold; overflow-wrap: anywhere; }
.kind { color: var(--quiet); }
.marked td { background: var(--mark); }
.why { color: var(--warn); font-size: 12px; font-weight: normal; }
.bar { width: 84px; height: 5px; margin: 4px 0 0 auto; border-radius: 3px;
  background: var(--track); }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--bar); }
tfoot td { border-bottom: 0; font-weight: bold; }
.wide + p { margin-top: 20px; }
"""
_HEADINGS = (
    *("input bits", "weight bits", "bytes", "MACs", "bit operations", "sum bits", "headroom"),
    *("SQNR, dB", "clipping, %"),
)
_LEGEND = (
    "MACs and bit operations (MACs x weight bits x input bits) are for one sample; bytes are those "
    "of the constants, as they are stored. Sum bits: what the worst partial sum needs; headroom: "
    "bits of the accumulator that are left, proven for every input.",
    "SQNR = 10 log10(sum (v - zero)^2 / sum (v - y)^2), of the numbers v that an operation rounds, "
    "in steps of its codes y; clipping: the share of v beyond the ends of the codes by more than "
    "half a step. Both are about one operation alone; what the network's own activation cuts off "
    "does not count.",
    "Bars: bytes and MACs of the largest layer's, headroom of the accumulator's bits, SQNR of "
    f"{_FULL_SQNR:g} dB. Marked: the lowest SQNR, and clipping above {MOST_CLIPPING:g} %.",
)


def page(found: Report, *, title: str, samples: str) -> str:
    """Return a report as HTML.

    title: what it is about. samples: on what fidelity was measured, in words. Both are text.
    """
    return "\n".join(_document(found, title, samples)) + "\n"


def marks(found: Report, cost: LayerCost) -> list[str]:
    """Return why a layer deserves a look, in words; nothing for most."""
    why = []
    if cost is found.lowest_sqnr and cost.sqnr_db != math.inf:
        why.append("lowest SQNR")
    if cost.clipping_percent is not None and cost.clipping_percent > MOST_CLIPPING:
        why.append("clipping")
    return why


def decibels(cost: LayerCost) -> str:
    """Return the SQNR for people, "exact" without noise, empty where there is none."""
    if cost.sqnr_db is None:
        return ""
    return f"{cost.sqnr_db:.1f}" if math.isfinite(cost.sqnr_db) else "exact"


def percent(cost: LayerCost) -> str:
    """Return the clipping for people, empty where there is none."""
    if cost.clipping_percent is None:
        return ""
    is_tiny = 0 < cost.clipping_percent < 0.005
    return "<0.01" if is_tiny else f"{cost.clipping_percent:.2f}"


def _document(found: Report, title: str, samples: str) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(title)}</h1>"
    yield f"<p>Its integer program, layer by layer. SQNR and clipping: {escape(samples)}.</p>"
    yield from _summary(found)
    yield '<div class="wide">\n<table>\n<thead><tr><th>layer</th>'
    yield from (f'<th class="number">{heading}</th>' for heading in _HEADINGS)
    yield "</tr></thead>\n<tbody>"
    most_bytes = max((cost.num_bytes for cost in found.layers), default=0)
    most_macs = max((cost.macs for cost in found.layers), default=0)
    for cost in found.layers:
        yield from _row(cost, marks(found, cost), most_bytes, most_macs)
    totals = (sum(cost.num_bytes for cost in found.layers), found.macs, found.bit_operations)
    yield "</tbody>\n<tfoot><tr><td>all</td><td></td><td></td>"
    yield from (_number(f"{total:,}") for total in totals)
    yield "<td></td><td></td><td></td><td></td></tr></tfoot>\n</table>\n</div>"
    yield from (f"<p>{escape(text)}</p>" for text in _LEGEND)
    yield "</body>\n</html>"


def _summary(found: Report) -> Iterator[str]:
    fullest, worst = found.lowest_headroom, found.lowest_sqnr
    yield "<dl>"
    yield _card("bytes", f"{found.num_bytes:,}", f"{found.header_bytes:,} of header")
    yield _card("MACs", f"{found.macs:,}", "for one sample")
    yield _card("bit operations", f"{found.bit_operations:,}", "for one sample")
    if fullest is not None:
        yield _card("lowest headroom, 32-bit sums", f"{fullest.headroom} bits", fullest.layer)
    if worst is not None:
        unit = " dB" if worst.sqnr_db != math.inf else ""
        yield _card("lowest SQNR", f"{decibels(worst)}{unit}", worst.layer)
    yield "</dl>"


def _card(name: str, value: str, note: str) -> str:
    return f"<div><dt>{name}</dt><dd>{value}<small>{escape(note)}</small></dd></div>"


def _row(cost: LayerCost, why: list[str], most_bytes: int, most_macs: int) -> Iterator[str]:
    shape = " x ".join(map(str, cost.shape))
    has_sum = cost.accumulator_bits > 0
    available = cost.accumulator_bits + cost.headroom
    yield '<tr class="marked">' if why else "<tr>"
    note = f' <span class="why">{", ".join(why)}</span>' if why else ""
    yield f'<td><span class="layer">{escape(cost.layer)}</span>{note}'
    yield f'<br><span class="kind">{escape(cost.operation)} {shape}</span></td>'
    yield _number(str(cost.input_bits))
    yield _number(_count(cost.weight_bits))
    yield _number(_count(cost.num_bytes), _share(cost.num_bytes, most_bytes))
    yield _number(_count(cost.macs), _share(cost.macs, most_macs))
    yield _number(_count(cost.bit_operations))
    yield _number(_count(cost.accumulator_bits))
    yield _number(
        f"{cost.headroom} of {available}" if has_sum else "",
        cost.headroom / available if has_sum else None,
    )
    sqnr = min(max(cost.sqnr_db, 0.0), _FULL_SQNR) if cost.sqnr_db is not None else None
    yield _number(decibels(cost), None if sqnr is None else sqnr / _FULL_SQNR)
    yield _number(escape(percent(cost)))
    yield "</tr>"


def _number(text: str, share: float | None = None) -> str:
    """Return a cell, with a bar below its number if `share` (0 to 1) is given."""
    bar = ""
    if share is not None:
        bar = f'<div class="bar"><i style="width: {100 * share:.1f}%"></i></div>'
    return f'<td class="number">{text}{bar}</td>'


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _share(part: int, whole: int) -> float | None:
    return part / whole if part else None
