"""Training a pruned network on: sparse layers beside dense ones with masks.

CIFAR10's VGG-11 and ResNet-18, 5 % of the weights of all layers but the first and the last: a step
of SGD on a batch of 128 images that stays in memory. The sides take turns in one process, on all
threads, by wall-clock time. The ratio is the dense step's time / the time.

    python -m benchmarks.sparse_finetune
"""

import importlib
import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.harness import Row, interleaved, report
from quantlab.sparse.config import PruneConfig, prune
from quantlab.sparse.fuse_blocks import fuse_blocks

REPEATS = 5
PEER = "dense float32, masked"
BATCH = 128
SPARSITY = 0.95


def network(name: str) -> nn.Module:
    """Return a network of CIFAR10."""
    torch.manual_seed(0)
    if name == "ResNet-18":
        found: nn.Module = importlib.import_module("problems.CIFAR10.ResNet.network").ResNet(
            depth=18
        )
    else:
        found = importlib.import_module("problems.CIFAR10.VGG.network").VGG()
    return found


def step(net: nn.Module) -> Callable[[], object]:
    """Return a step of training."""
    torch.manual_seed(1)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(net(images), labels).backward()
        optimizer.step()

    return run


def rows() -> list[Row]:
    """Return the comparison of both networks."""
    found = []
    for name in ("VGG-11", "ResNet-18"):
        sides = {}
        for side, layers in (
            (PEER, "masked"),
            ("sparse float32", "sparse"),
            ("sparse float16", "half"),
            ("sparse int8", "int8"),
        ):
            config = PruneConfig(sparsity=SPARSITY, select="!first & !last", layers=layers)
            sides[side] = step(prune(network(name), config))
            if layers == "sparse":
                sides["sparse blocks"] = step(fuse_blocks(prune(network(name), config)))
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
    report("sparse_finetune", rows())
