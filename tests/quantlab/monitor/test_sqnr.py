import math

import numpy as np
import pytest
import torch
from torch import Tensor

from quantlab.monitor import Monitor
from quantlab.monitor.sqnr import Sqnr, SqnrConfig
from tests.quantlab.monitor.oracles import nearest
from tests.quantlab.monitor.small import POWERS, RULES, STE, Rules, array, numbers, trained

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
WAYS: dict[str, Rules] = {
    "per_axis": RULES,
    "per_group": [("linear", "weight", {**STE, "granularity": "per_group:4"})],
    "zero_point": [("linear", "input", {**STE, "symmetric": False})],
    "levels": [("*", "weight", POWERS)],
}


def decibel(x: np.ndarray, y: np.ndarray) -> float:
    return float(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))


@pytest.mark.parametrize("dtype", TYPES)
def test_it_is_the_power_of_signal_and_of_noise(dtype: torch.dtype) -> None:
    training = trained(num_steps=4)
    for layer, on, shape in (("linear", "weight", (3, 64)), ("linear", "input", (5, 64))):
        quantizer = training.quantizer(layer, on)
        x = (torch.randn(shape, generator=torch.Generator().manual_seed(2)) / 4).to(dtype)
        _, y = nearest(quantizer, array(x))
        sqnr = Sqnr(quantizer)
        ((name, value),) = sqnr.values(torch.empty(0), sqnr.measure(x))
        assert name == ""
        assert value == pytest.approx(decibel(array(x), y), abs=1e-4)


@pytest.mark.parametrize("way", [*WAYS])
def test_in_training(way: str) -> None:
    rules = WAYS[way]
    training = trained(rules=rules, num_steps=3)
    layer, on = "linear", rules[-1][1]
    seen: list[Tensor] = []
    quantizer = training.quantizer(layer, on)
    quantizer.register_forward_hook(lambda q, inputs, y: seen.append(inputs[0].detach().clone()))
    monitor = Monitor(training.network)
    monitor.add(SqnrConfig())
    monitor.start_step(0)
    training.network(torch.randn(9, 1, 6, 6))
    x = array(quantizer.split(seen[-1]))
    _, y = nearest(quantizer, x)
    assert numbers(monitor.end_step())[f"sqnr/{layer}/{on}"] == pytest.approx(
        decibel(x, y), abs=1e-4
    )


def test_a_bit_more_is_six_decibels() -> None:
    found = []
    for num_bits in (4, 5, 6):
        rules: Rules = [("*", "weight", {"kind": "ste", "num_bits": num_bits})]
        found.append(numbers(trained(SqnrConfig(period=1), rules=rules).readings[-1]))
    values = [f["sqnr/linear/weight"] for f in found]
    assert np.diff(values) == pytest.approx([6.0, 6.0], abs=1.5)


def test_no_noise_is_infinite_and_no_signal_has_none() -> None:
    sqnr = Sqnr(trained(num_steps=3).quantizer("linear", "weight"))
    zero = torch.zeros(3, 64)
    on_grid = sqnr.quantizer.dequantize(torch.ones(3, 64, dtype=torch.int32))
    assert list(sqnr.values(zero, sqnr.measure(on_grid))) == [("", math.inf)]
    assert list(sqnr.values(zero, sqnr.measure(zero))) == []
