"""Small networks with two early exits, quantized, and their programs."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.exits.lower import lower_exits
from quantlab.exits.module import EarlyExit
from quantlab.exits.program import ExitProgram
from quantlab.integer.lower import InputSpec

SPEC = InputSpec(shape=(1, 8, 8), scale=(1 / 255,), zero_point=(0,))
CLASSES = 3


def float_network(seed: int = 0, margins: Sequence[float] | None = None) -> EarlyExit:
    torch.manual_seed(seed)
    segments = [
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(6 * 16, 8), nn.ReLU(), nn.Linear(8, CLASSES)),
    ]
    heads = [
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 16, CLASSES)),
        nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 4, CLASSES)),
    ]
    return EarlyExit(segments, heads, margins=margins).eval()


@cache
def network(seed: int = 0) -> EarlyExit:
    """The same with quantizers."""
    made = float_network(seed)
    algorithm = {"kind": "ste", "num_bits": 8}
    quantize(made, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    quantize(made, [{"select": "!first", "on": "input", "algorithm": algorithm}])
    calibrate(made, [images(64)])
    return made.eval()


@cache
def program(seed: int = 0) -> ExitProgram:
    """Its program, from which no sample leaves early."""
    return lower_exits(network(seed), SPEC, images(64), memory_bits=8)


def images(count: int, seed: int = 1) -> Tensor:
    return raw(count, seed).float() / 255


def raw(count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)


def codes(count: int, seed: int = 1) -> dict[str, NDArray[np.uint8]]:
    return {"input": raw(count, seed).numpy()}
