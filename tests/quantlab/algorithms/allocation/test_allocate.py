import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.allocation import (
    Allocation,
    Option,
    Sensitivity,
    SensitivityRow,
    allocate,
    options_of,
    packed_bytes,
    to_rules,
)
from quantlab.errors import UsageError
from quantlab.numerics.packing import pack_codes


def option(layer: str, num_bits: int, cost: float, nbytes: int) -> Option:
    return Option(layer=layer, num_bits=num_bits, cost=cost, nbytes=nbytes)


@given(st.integers(0, 300), st.integers(2, 8))
@settings(deadline=None, max_examples=50)
def test_packed_bytes_are_those_of_the_packer(num_weights: int, num_bits: int) -> None:
    codes = np.zeros(num_weights, dtype=np.int32)
    assert packed_bytes(num_weights, num_bits) == pack_codes(codes, num_bits, signed=True).nbytes


COSTS = st.one_of(
    st.floats(-1.0, 10.0),
    st.integers(0, 3).map(float),
    st.integers(-40, 10).map(lambda exponent: 2.0**exponent),
)


@st.composite
def problems(draw: Any) -> tuple[list[Option], int]:
    """Few layers of any sizes, with costs of one or of many orders of magnitude, and a budget."""
    options = []
    for index in range(draw(st.integers(1, 5))):
        size = draw(st.integers(1, 10 ** draw(st.integers(1, 8))))
        bits = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True))
        options += [option(f"l{index}", b, draw(COSTS), packed_bytes(size, b)) for b in bits]
    own = [list(group) for _, group in itertools.groupby(options, key=lambda o: o.layer)]
    least = sum(min(o.nbytes for o in group) for group in own)
    most = sum(max(o.nbytes for o in group) for group in own)
    return options, draw(st.integers(least, most + 1))


TINY = [option("a", 1, 0.0, 1), option("b", 1, 0.0, 1), option("b", 2, 5e-324, 1)]


@given(problems())
@example((TINY, 2))
@settings(deadline=None, max_examples=150)
def test_no_choice_is_better(problem: tuple[list[Option], int]) -> None:
    options, max_bytes = problem
    own = [list(group) for _, group in itertools.groupby(options, key=lambda o: o.layer)]
    best = min(
        math.fsum(o.cost for o in choice)
        for choice in itertools.product(*own)
        if sum(o.nbytes for o in choice) <= max_bytes
    )
    found = allocate(options, max_bytes=max_bytes)
    assert [o.layer for o in found.options] == [group[0].layer for group in own]
    assert all(o in options for o in found.options)
    assert found.nbytes == sum(o.nbytes for o in found.options) <= max_bytes
    assert found.objective == math.fsum(o.cost for o in found.options)
    assert found.gap == 0
    assert found.bound == found.objective
    cheapest = math.fsum(min(o.cost for o in group) for group in own)
    assert found.objective - best <= 1e-11 * (best - cheapest) + 1e-15 * abs(best)


@pytest.mark.parametrize("better", ["a", "b"])
def test_an_option_that_nobody_would_take_hides_no_difference(better: str) -> None:
    """1e-15 of the largest cost decides, far below the solver's tolerance."""
    costs = {name: 1e-9 if name == better else 2e-9 for name in ("a", "b")}
    options = [option("c", 2, 1e6, 5), option("c", 4, 0.0, 10)]
    for name, cost in costs.items():
        options += [option(name, 2, cost, 10), option(name, 4, 0.0, 20)]
    found = allocate(options, max_bytes=40)
    assert found.bits == {"c": 4, "a": 2, "b": 2} | {"b" if better == "a" else "a": 4}
    assert found.objective == 1e-9


def test_least_bytes_are_named() -> None:
    options = [option("a", 2, 1.0, 100), option("a", 4, 0.0, 200), option("b", 8, 0.0, 7)]
    with pytest.raises(UsageError, match=r"^max_bytes: 106 given, at least 107 possible$"):
        allocate(options, max_bytes=106)
    assert allocate(options, max_bytes=107).bits == {"a": 2, "b": 8}
    assert allocate(options, max_bytes=207).bits == {"a": 4, "b": 8}


def test_a_search_that_was_cut_short_knows_its_gap() -> None:
    random = np.random.default_rng(0)
    options = [
        option(f"l{index}", b, float(random.random() * 4.0**-b), packed_bytes(int(size), b))
        for index, size in enumerate(random.integers(10**3, 10**7, size=200))
        for b in range(2, 9)
    ]
    max_bytes = sum(o.nbytes for o in options if o.num_bits == 4)
    best = allocate(options, max_bytes=max_bytes)
    cut = allocate(options, max_bytes=max_bytes, time_limit_s=1e-9)
    assert best.gap == 0
    assert cut.nbytes <= max_bytes
    assert cut.gap > 0
    assert cut.bound <= best.objective <= cut.objective
    assert "at least" in str(cut)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "options: 0 given"),
        ([option("a", 2, math.nan, 1)], "a at 2 bits: cost nan given, finite"),
        ([option("a", 2, math.inf, 1)], "a at 2 bits: cost inf given, finite"),
        ([option("a", 2, 0.0, 1), option("a", 2, 1.0, 1)], "a at 2 bits: given twice"),
    ],
)
def test_what_cannot_be_allocated(options: list[Option], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        allocate(options, max_bytes=10)


def test_options_are_the_rows() -> None:
    row = SensitivityRow(
        layer="a", num_bits=3, num_weights=11, loss_increase=-0.5, sqnr_db=20.0, kl=0.25
    )
    table = Sensitivity(on="weight", float_loss=1.0, num_samples=1, rows=(row,))
    assert options_of(table) == (option("a", 3, 0.25, 5),)
    assert options_of(table, "loss_increase") == (option("a", 3, -0.5, 5),)
    (noise,) = options_of(table, "sqnr_db")
    assert noise.cost == pytest.approx(0.01)


def test_rules_quantize_as_allocated() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    bits = {"0": 4, "2": 2, "3": 4}
    allocation = Allocation(
        options=tuple(option(name, b, 0.0, 1) for name, b in bits.items()),
        max_bytes=9,
        objective=0.0,
        bound=0.0,
    )
    rules = to_rules(allocation, algorithm={"kind": "lsq"})
    assert [(rule.select, rule.on) for rule in rules] == [("2", "weight"), ("0 | 3", "weight")]
    quantize(network, rules)
    calibrate(network, [torch.randn(8, 4)])
    for name, num_bits in bits.items():
        assert network.get_submodule(name).weight_quantizer.spec.num_bits == num_bits
    assert str(allocation).splitlines()[0] == "3 of 9 bytes; cost 0, which is optimal"
    assert to_rules(allocation)[0].algorithm.kind == "ste"
