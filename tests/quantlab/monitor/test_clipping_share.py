from typing import Any

import numpy as np
import pytest
import torch

from quantlab.algorithms import ALGORITHMS
from quantlab.monitor.clipping_share import ClippingShare, ClippingShareConfig, num_clipped
from quantlab.quantizer import Quantizer
from tests.quantlab.monitor.oracles import levels
from tests.quantlab.monitor.small import STE, Rules, array, numbers, trained

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "ste": ("weight", STE),
    "unsigned": ("input", STE),
    "zero point": ("input", {**STE, "symmetric": False}),
    "groups": ("weight", {**STE, "granularity": "per_group:8"}),
    "lsq": ("weight", {"kind": "lsq", "num_bits": 2}),
}


def make_quantizer(name: str) -> Quantizer:
    on, algorithm = RULES[name]
    rules: Rules = [("linear", on, algorithm)]
    return trained(rules=rules, num_steps=3).quantizer("linear", on)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", RULES)
def test_what_is_clipped_moves_by_more_than_half_a_step(name: str, dtype: torch.dtype) -> None:
    quantizer = make_quantizer(name)
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(4)).to(dtype)
    grid, split = levels(quantizer), array(quantizer.split(x))
    step = array(quantizer.scale)
    expected = (split < grid[0] - step / 2) | (split >= grid[-1] + step / 2)
    assert 0 < expected.mean() < 1
    assert num_clipped(quantizer, x) == expected.sum()


@pytest.mark.parametrize("name", ["ste", "unsigned", "zero point", "groups"])
def test_what_is_clipped_gets_no_gradient(name: str) -> None:
    """The straight-through estimator's own word on what it clips."""
    quantizer = make_quantizer(name).eval()
    x = torch.randn(3, 64, requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad is not None
    assert num_clipped(quantizer, x.detach()) == (x.grad == 0).sum()


def test_ends_are_where_rounding_half_up_has_them() -> None:
    quantizer = make_quantizer("lsq")  # codes -2 to 1
    quantizer.step_size.data.fill_(0.5)
    x = torch.tensor([-2.5, -1.25, 0.0, 0.74, 0.75, 2.5]).expand(3, 6)
    steps = np.floor(array(x[0]) / 0.5 + 0.5)
    assert num_clipped(quantizer, x) == 3 * ((steps < -2) | (steps > 1)).sum() == 9


def test_levels_that_are_apart_have_wider_ends() -> None:
    """Codes -3, -1, 1, 3: what is between -4 and 4 is rounded, not clipped."""
    config = ALGORITHMS["dorefa"].model_validate({"kind": "dorefa", "num_bits": 2})
    quantizer = config.quantizer("weight", torch.randn(3, 64))
    assert list(quantizer.spec.codes) == [-3, -1, 1, 3]
    x = torch.tensor([-4.01, -3.99, 0.0, 3.99, 4.01]) * float(quantizer.scale)
    assert num_clipped(quantizer, x) == 2


@pytest.mark.parametrize(("percentile", "is_clipping"), [(90.0, True), (100.0, False)])
def test_shares_in_training(percentile: float, is_clipping: bool) -> None:
    observed = {**STE, "observer": "percentile", "percentile": percentile}
    rules: Rules = [("linear", "input", observed)]
    found = numbers(trained(ClippingShareConfig(period=1), rules=rules).readings[-1])
    assert (found["clipping_share/linear/input"] > 0.02) == is_clipping
    assert found["clipping_share/linear/input"] < 0.2


def test_share_is_of_all_numbers_that_passed() -> None:
    share = ClippingShare(make_quantizer("ste"))
    x = torch.tensor(np.full((3, 64), 1e6), dtype=torch.float32)
    sums = share.measure(x) + share.measure(0 * x)
    assert list(share.values(sums, sums)) == [("", 0.5)]
