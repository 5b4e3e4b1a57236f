"""Memory of training a pruned network on: sparse layers beside dense ones with masks.

The networks are those of `sparse_networks`. Saved are the bytes that autograd keeps for the
backward pass; the peak is that of the first step in a fresh process, the median of several, with
malloc as it is and with freed memory kept, as in `main.py train`. The ratio is the dense step's
peak / the peak, with freed memory kept on both sides.

    python -m benchmarks.sparse_memory
"""

from functools import partial
from statistics import median

import torch
from torch.nn.functional import cross_entropy

from benchmarks.harness import Row, report
from benchmarks.sparse_networks import (
    ARITHMETICS,
    BATCH,
    NETWORKS,
    PEER,
    Layers,
    prepare,
    pruned,
)
from quantlab.memory.step import peak_bytes, saved_bytes

PROCESSES = 3
MIB = 2**20


def peak(name: str, layers: Layers, *, blocks: bool, keeps: bool) -> float:
    """Return the median of the peaks of several processes, in MiB."""
    made = partial(
        prepare,
        name,
        layers,
        blocks=blocks,
        keeps=keeps,
        num_threads=torch.get_num_threads(),
    )
    return median(peak_bytes(made) / MIB for _ in range(PROCESSES))


def saved(name: str, layers: Layers, *, blocks: bool) -> float:
    """Return what autograd keeps, in MiB."""
    net = pruned(name, layers, blocks=blocks)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    return saved_bytes(lambda: cross_entropy(net(images), labels)) / MIB


def rows() -> list[Row]:
    """Return the comparison of both networks."""
    sides: dict[str, tuple[Layers, bool]] = {PEER: ("masked", False)}
    sides["sparse float32"] = ("sparse", False)
    for arithmetic, layers in ARITHMETICS.items():
        sides[f"{arithmetic} blocks"] = (layers, True)
    found = []
    for name in NETWORKS:
        peers: dict[str, float] = {}
        for side, (layers, blocks) in sides.items():
            measured = {
                "mib_saved": saved(name, layers, blocks=blocks),
                "mib_peak": peak(name, layers, blocks=blocks, keeps=False),
                "mib_peak_kept": peak(name, layers, blocks=blocks, keeps=True),
            }
            peers = peers or measured
            parts = {
                "saved_of_dense": measured["mib_saved"] / peers["mib_saved"],
                "peak_of_dense": measured["mib_peak"] / peers["mib_peak"],
            }
            ratio = peers["mib_peak_kept"] / measured["mib_peak_kept"]
            figures = {"network": name, "side": side, **measured, **parts}
            found.append(Row(figures=figures, peer=PEER, ratio=ratio))
    return found


if __name__ == "__main__":
    report("sparse_memory", rows())
