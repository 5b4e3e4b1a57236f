import math

import numpy as np
import pytest
import torch
from scipy import stats

from quantlab.monitor.levels_used import LevelsUsedConfig, code_counts, entropy
from tests.quantlab.monitor.oracles import nearest
from tests.quantlab.monitor.small import POWERS, RULES, STE, Rules, array, numbers, trained

WAYS: dict[str, tuple[str, Rules]] = {
    "axis": ("weight", RULES[:1]),
    "unsigned": ("input", RULES[1:]),
    "zero point": ("input", [("linear", "input", {**STE, "symmetric": False})]),
    "groups": ("weight", [("linear", "weight", {**STE, "granularity": "per_group:8"})]),
    "levels": ("weight", [("linear", "weight", POWERS)]),
    "binary": ("weight", [("linear", "weight", {"kind": "binary"})]),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("way", WAYS)
def test_counts_are_those_of_the_nearest_levels(way: str, dtype: torch.dtype) -> None:
    on, rules = WAYS[way]
    quantizer = trained(rules=rules, num_steps=3).quantizer("linear", on)
    x = (torch.randn(3, 64, generator=torch.Generator().manual_seed(4)) / 3).to(dtype)
    index, _ = nearest(quantizer, array(quantizer.split(x)))
    expected = np.bincount(index.flatten(), minlength=len(quantizer.spec.codes))
    np.testing.assert_array_equal(code_counts(quantizer, x).numpy(), expected)


@pytest.mark.parametrize("counts", [[1], [5, 5], [0, 3, 0, 9, 1], [0, 7], [1] * 16])
def test_entropy(counts: list[int]) -> None:
    found = float(entropy(torch.tensor(counts)))
    assert found == pytest.approx(float(stats.entropy(counts, base=2)), abs=1e-12)


def test_values() -> None:
    training = trained(LevelsUsedConfig(period=1), num_steps=4)
    found = numbers(training.readings[-1])
    assert found["levels_used/linear/weight/available"] == 7
    assert found["levels_used/linear/input/available"] == 8
    assert 2 <= found["levels_used/linear/weight/used"] <= 7
    assert found["levels_used/linear/weight/used"].is_integer()
    assert 0 < found["levels_used/linear/weight/entropy"] < math.log2(7)


def test_what_is_no_number_has_no_code_of_its_own() -> None:
    quantizer = trained(num_steps=3).quantizer("linear", "weight")
    x = torch.full((3, 64), math.nan)
    assert code_counts(quantizer, x).shape == (7,)
