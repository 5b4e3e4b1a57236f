"""Random numbers as pure functions of what they are for.

Integers are mixed by the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
number generators, OOPSLA 2014, figure 18), on int64 tensors that wrap around, so that CPU and GPU
give the same bits.
"""

import hashlib

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def derive_seed(*labels: int | str) -> int:
    """Return a 63-bit seed that is a function of the labels: (seed, "epoch", 3)."""
    digest = hashlib.sha256(repr(labels).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def uniform(seed: int, epoch: int, indices_N: Tensor, count: int) -> Tensor:
    """Return float32 numbers in [0, 1), `[N, count]`, each a function of (seed, epoch, index,
    column), on the device of the indices."""
    base = _signed(derive_seed(seed, "draws", epoch))
    columns_K = torch.arange(count, device=indices_N.device)
    counters_NK = indices_N.unsqueeze(1) * max(count, 1) + columns_K
    bits = counters_NK * _signed(_GOLDEN) + base
    for shift, factor in _FACTORS:
        bits = (bits ^ _shift_right(bits, shift)) * _signed(factor)
    bits = bits ^ _shift_right(bits, 31)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def permutation(seed: int, epoch: int, length: int) -> Tensor:
    """Return the order of `length` samples in an epoch, int64 `[length]`."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(length, generator=generator)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _shift_right(bits: Tensor, count: int) -> Tensor:
    """Shift as if the bits were unsigned."""
    return (bits >> count) & ((1 << (64 - count)) - 1)
