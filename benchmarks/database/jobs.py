"""What is measured, in parts that are each kept when they are done."""

from collections.abc import Callable, Iterator, Mapping

from benchmarks.database import (
    accuracy,
    baseline,
    formats,
    latency,
    memory,
    mismatches,
    peers,
    products,
    speed,
    splitting,
    storage,
    threads,
)
from benchmarks.database.servers import legacy
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.sql.dialect import MODERN

Job = Callable[[Workplace], Iterator[Row]]

DIGITS = ("LeNet-binary", "LeNet-TWN", "LeNet-W4A4", "BinaryCNN")
SMALL = ("ResNet-18-binary", "ResNet-18-W8A8")
PHOTOS = ("AlexNet-binary", "VGG-16-binary")
_NUM_AUDITED = 20


def jobs() -> Mapping[str, Job]:
    """Return all parts by name, in their order."""
    return {**_exactness(), **_times(), **_sizes()}


def _exactness() -> dict[str, Job]:
    found: dict[str, Job] = {}
    counts = {**dict.fromkeys(DIGITS, 10_000), **dict.fromkeys(SMALL, 1_000)}
    counts |= {"VGG-11-binary": 100, **dict.fromkeys(PHOTOS, 1)}
    for name, count in counts.items():
        found[f"mismatches-wasm-{name}"] = lambda w, n=name, c=count: mismatches.wasm(n, c, w)
    for name in DIGITS:
        found[f"mismatches-settings-{name}"] = lambda w, n=name: mismatches.settings(n, w)
        found[f"mismatches-relational-{name}"] = lambda w, n=name: mismatches.relational(
            n, 50, w.connection, MODERN, w
        )
        found[f"mismatches-legacy-{name}"] = lambda w, n=name: legacy(n, 20, w)
    for name in SMALL:
        found[f"mismatches-audit-{name}"] = lambda w, n=name: mismatches.audited(n, _NUM_AUDITED, w)
    for name in ("LeNet-binary", "BinaryCNN", "ResNet-18-binary"):
        found[f"top1-{name}"] = lambda w, n=name: accuracy.top1(n, 10_000, w)
    return found


def _times() -> dict[str, Job]:
    found: dict[str, Job] = {}
    for name in ("BinaryCNN", "LeNet-binary"):
        found[f"speed-{name}"] = lambda w, n=name: speed.beside_torch(n, (1, 100, 10_000), w)
        found[f"latency-{name}"] = lambda w, n=name: latency.beside_nothing(n, w)
        found[f"threads-{name}"] = lambda w, n=name: threads.two_threads(n, 10_000, w)
        found[f"queries-{name}"] = lambda w, n=name: baseline.beside_queries(n, 1, 10_000, w)
        found[f"splitting-{name}"] = lambda w, n=name: splitting.splits(n, 10_000, w)
        found[f"format-{name}"] = lambda w, n=name: formats.shares(n, 10_000, w)
        found[f"peers-{name}"] = lambda w, n=name: peers.beside_peers(n, 10_000, w)
    for name in SMALL:
        found[f"speed-{name}"] = lambda w, n=name: speed.beside_torch(n, (1, 100), w)
    found["products"] = lambda w: products.rates(100, w)
    return found


def _sizes() -> dict[str, Job]:
    found: dict[str, Job] = {}
    for name in (*DIGITS, *SMALL):
        found[f"stored-{name}"] = lambda w, n=name: storage.stored(n, w)
    for name, count in {
        "LeNet-binary": 10_000,
        "BinaryCNN": 10_000,
        "ResNet-18-binary": 100,
    }.items():
        found[f"memory-{name}"] = lambda w, n=name, c=count: memory.peaks(n, c, w)
    return found
