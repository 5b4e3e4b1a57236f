"""The identity of a network's weights."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the entries sorted by name, each `name \\0 dtype \\0 shape \\0`
    and its bytes, little-endian. The shape is written with commas: `16,1,5,5`."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        shape = ",".join(str(length) for length in tensor.shape)
        digest.update(f"{name}\0{dtype}\0{shape}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
