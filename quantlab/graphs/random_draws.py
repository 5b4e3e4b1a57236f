"""Whether random numbers were drawn."""

import pickle
import random

import numpy as np
import torch


def generator_states() -> bytes:
    """Return the states of the generators of Python, NumPy and torch on the CPU; they are others
    once a number was drawn."""
    # NumPy's old generator is among those that a network may draw from.
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state().numpy())  # noqa: NPY002
    return pickle.dumps(states)
