"""A network of floats as C."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.deploy.c.floats.model import float_c_model
from quantlab.deploy.c.model import Model
from quantlab.floats.lower import lower


def float_model(
    network: nn.Module,
    example: Tensor | NDArray[Any],
    *,
    encoding: str = "auto",
    vectors: Tensor | NDArray[Any] | None = None,
) -> Model:
    """Return a network without quantizers as C of 32-bit floats, in its present state, as it
    evaluates.

    example: a batch `[N, ...]` of one sample or more, of which the shape counts. encoding: of the
    layers' weights: `auto`, the fewest bytes for each layer; `csr`, sparse layers by rows; `dense`.
    vectors: a batch that becomes `headers/input.h`, with the outputs that the C has to give for it.
    Raises UsageError, with the layer and the line of code, for what has no form in C.
    """
    program = lower(network, example)
    (name,) = program.inputs
    given = None if vectors is None else {name: np.asarray(vectors, np.float32)}
    return float_c_model(program, encoding, vectors=given)
