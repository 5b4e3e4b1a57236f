"""Programs of a few numbers."""

import numpy as np

from quantlab.integer.operations import Linear, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType


def scored(seed: int, num_classes: int = 3) -> Program:
    """Return a program from 8 pixels to the scores of classes; all begin with the same layer."""
    random = np.random.default_rng(seed)
    weight = np.where(random.integers(0, 2, (num_classes, 8)), 1, -1)
    return Program(
        inputs={"x": TensorType((2, 4), U8)},
        operations=(
            Reshape(inputs=("x",), output="flat", shape=(8,)),
            Linear(
                inputs=("flat",), output="y", weight=weight, weight_bits=1, bias=[0] * num_classes
            ),
        ),
        outputs=("y",),
    )
