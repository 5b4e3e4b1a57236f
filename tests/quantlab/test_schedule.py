import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from quantlab.schedule import Constant, Cosine, Hand, Linear, Polynomial, Schedule

ADAPTER: TypeAdapter[Schedule] = TypeAdapter(Schedule)
RAMP = {"start": 2, "end": 10, "initial": 0.3, "final": 0.1}
CONFIGS = [
    {"kind": "constant", "value": 0.5},
    {"kind": "linear", **RAMP},
    {"kind": "polynomial", "power": 2, **RAMP},
    {"kind": "cosine", **RAMP},
    {"kind": "hand", "values": {0: 1.0, 2.5: 0.1}},
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c["kind"])
def test_config_round_trip(config: dict[str, object]) -> None:
    schedule = ADAPTER.validate_python(config)
    assert ADAPTER.validate_python(ADAPTER.dump_python(schedule, mode="json")) == schedule
    assert schedule(3.0) == schedule(3.0)


@pytest.mark.parametrize(
    ("schedule", "middle"),
    [
        (Linear(**RAMP), 0.2),
        (Polynomial(power=2, **RAMP), 0.1 + 0.2 / 4),
        (Cosine(**RAMP), 0.2),
    ],
)
def test_ramps(schedule: Schedule, middle: float) -> None:
    assert schedule(-5) == schedule(2) == 0.3
    assert schedule(10) == schedule(99) == 0.1
    assert math.isclose(schedule(6), middle)


@given(st.floats(0, 20), st.floats(0, 20))
def test_ramps_are_monotone(one: float, other: float) -> None:
    early, late = sorted((one, other))
    for kind in (Linear(**RAMP), Polynomial(power=0.5, **RAMP), Cosine(**RAMP)):
        assert kind(early) >= kind(late) - 1e-12


def test_constant() -> None:
    assert Constant(value=0.5)(1e9) == 0.5


def test_hand_holds_each_value_until_the_next() -> None:
    hand = Hand(values={25: 0.1, 0: 1.0, 30: 2})
    assert [hand(t) for t in (0, 24.99, 25, 29, 30, 1000)] == [1.0, 1.0, 0.1, 0.1, 2.0, 2.0]
    assert Hand.model_validate({"values": {"0": 1, "2.5": 2}})(2.5) == 2.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "linear", **RAMP, "end": 2}, "end: 2 given, more than start"),
        ({"kind": "hand", "values": {1: 1.0}}, "one of them must be 0"),
        ({"kind": "hand", "values": {}}, "one of them must be 0"),
        ({"kind": "constant", "value": 1, "power": 2}, "Extra inputs"),
        ({"kind": "polynomial", "power": 0, **RAMP}, "greater than 0"),
        ({"kind": "sine"}, "does not match any of the expected tags"),
    ],
)
def test_impossible_configs(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(config)
