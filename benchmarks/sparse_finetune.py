"""Training a pruned network on: sparse layers beside dense ones with masks.

CIFAR10's VGG-11 and ResNet-18, 5 % of the weights of all layers but the first and the last: a step
of SGD on a batch of 128 images that stays in memory. The sides take turns in one process, on all
threads, by wall-clock time, and freed memory is kept for all of them, as in `main.py train`. The
ratio is the dense step's time / the time.

    python -m benchmarks.sparse_finetune
"""

import warnings

from benchmarks.harness import Row, by_isa, interleaved, report
from benchmarks.sparse_networks import ARITHMETICS, NETWORKS, PEER, pruned, step
from quantlab.memory.allocator import keep_freed_memory

REPEATS = 5


def rows() -> list[Row]:
    """Return the comparison of both networks."""
    keep_freed_memory()
    found = []
    for name in NETWORKS:
        sides = {PEER: step(pruned(name, "masked", blocks=False))}
        for arithmetic, layers in ARITHMETICS.items():
            sides[f"sparse {arithmetic}"] = step(pruned(name, layers, blocks=False))
            sides[f"{arithmetic} blocks"] = step(pruned(name, layers, blocks=True))
        for side, timing in interleaved(sides, REPEATS).items():
            figures = {
                "network": name,
                "side": side,
                "ms_a_step": timing.seconds * 1e3,
                "time_of_dense": 1 / timing.ratio,
            }
            found.append(Row(figures=figures, peer=PEER, ratio=timing.ratio))
    return found


if __name__ == "__main__":
    warnings.simplefilter("error")
    report(by_isa("sparse_finetune"), rows())
