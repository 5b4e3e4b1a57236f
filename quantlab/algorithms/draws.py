"""Random numbers of algorithms, as functions of the run's seed, the step and the layer."""

import hashlib

import torch

from quantlab.controller import Context


def seed_for(context: Context, index: int) -> int:
    """Return a seed of 63 bits for the step of a context and one of a controller's layers."""
    words = (context.generator.initial_seed(), context.step, index)
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_for(context: Context, index: int, device: torch.device) -> torch.Generator:
    """Return a generator on `device` with that seed."""
    return torch.Generator(device).manual_seed(seed_for(context, index))
