"""Grids of quantizers as functions of float programs; 0.1 s."""

from typing import Any

import numpy as np
import pytest
import torch

from quantlab.algorithms.dorefa import weight_quantizer
from quantlab.algorithms.lsq import LsqConfig
from quantlab.algorithms.ste import SteConfig
from quantlab.errors import UsageError
from quantlab.floats.functions import Function
from quantlab.floats.lower.grids import on_grid
from quantlab.numerics.granularity import PerAxis, PerTensor
from quantlab.quantizer import Quantizer

NUMBERS = torch.cat([torch.linspace(-9, 9, 2001), torch.tensor([0.0, -0.0, torch.nan, 1e30])])


def of_inputs(config: Any, numbers: torch.Tensor) -> Quantizer:
    quantizer: Quantizer = config.quantizer("input", numbers)
    quantizer.set_observing(True)
    quantizer.train()(numbers)
    quantizer.set_observing(False)
    quantizer.set_enabled(True)
    return quantizer.eval()


@pytest.mark.parametrize(
    "quantizer",
    [
        of_inputs(LsqConfig(num_bits=4), torch.rand(50) * 5),
        of_inputs(SteConfig(num_bits=8, symmetric=False), torch.rand(50) * 7 - 2),
        of_inputs(SteConfig(num_bits=3), torch.randn(50)),
    ],
    ids=["lsq", "zero point", "few bits"],
)
def test_functions_have_the_bits_of_quantizers(quantizer: Quantizer) -> None:
    made = on_grid(quantizer, "x")
    constants = (made.scale, float(made.low), float(made.high))
    found = Function("on_grid", constants).of(NUMBERS.numpy(), NUMBERS.numpy())
    with torch.no_grad():
        expected = quantizer(NUMBERS)
        np.testing.assert_array_equal(found, expected.numpy())
        torch.testing.assert_close(made(NUMBERS), expected, rtol=0, atol=0, equal_nan=True)


def test_other_grids_are_refused() -> None:
    weight = torch.randn(4, 6)
    odd = weight_quantizer(weight, num_bits=3, granularity=PerTensor(), largest="max")
    with pytest.raises(UsageError, match=r"q: a DorefaWeightQuantizer of 3 bits .* levels allowed"):
        on_grid(odd, "q")
    rows = weight_quantizer(weight, num_bits=3, granularity=PerAxis(0), largest="max")
    with pytest.raises(UsageError, match=r"q: 3 bits signed .* with 4 scales given, 1 allowed"):
        on_grid(rows, "q")
