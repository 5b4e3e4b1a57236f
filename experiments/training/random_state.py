"""All random generators of a process, as data that a checkpoint may hold."""

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed every generator that a network, a loss or a library could draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - user code may draw from the global generator
    torch.manual_seed(seed)


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of all generators."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, internal, next_gauss = random.getstate()
    return {
        "python": [version, list(internal), next_gauss],
        "numpy": [
            str(name),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            position,
            has_gauss,
            gauss,
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def processor_draws(device: torch.device) -> bytes:
    """Return what is another as soon as a generator of the processor is drawn from: Python's,
    NumPy's, and torch's unless `device` is the CPU, whose own it is."""
    state = random_state(torch.device("cpu"))
    _, keys, *position = state["numpy"]
    of_torch: bytes = b"" if device.type == "cpu" else state["torch"].numpy().tobytes()
    of_numpy: bytes = keys.numpy().tobytes()
    return repr((state["python"], position)).encode() + of_numpy + of_torch


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Continue where `random_state` was taken."""
    version, internal, next_gauss = state["python"]
    random.setstate((version, tuple(internal), next_gauss))
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
