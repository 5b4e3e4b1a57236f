"""The pruned networks that benchmarks train: CIFAR10's VGG-11 and ResNet-18, with 5 % of the
weights of all layers but the first and the last."""

import importlib
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from quantlab.memory.allocator import keep_freed_memory
from quantlab.sparse.config import PruneConfig, prune
from quantlab.sparse.fuse_blocks import fuse_blocks

PEER = "dense float32, masked"
BATCH = 128
SPARSITY = 0.95
NETWORKS = ("VGG-11", "ResNet-18")
Layers = Literal["sparse", "half", "int8", "masked"]
ARITHMETICS: Mapping[str, Layers] = {"float32": "sparse", "float16": "half", "int8": "int8"}


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


def pruned(name: str, layers: Layers, *, blocks: bool) -> nn.Module:
    """Return a network with 5 % of its weights."""
    config = PruneConfig(sparsity=SPARSITY, select="!first & !last", layers=layers)
    net = prune(network(name), config)
    return fuse_blocks(net) if blocks else net


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


def prepare(
    name: str, layers: Layers, *, blocks: bool, keeps: bool, num_threads: int
) -> Callable[[], object]:
    """Return a step, in a process of its own. keeps: whether freed memory is kept."""
    torch.set_num_threads(num_threads)
    if keeps:
        keep_freed_memory()
    return step(pruned(name, layers, blocks=blocks))
