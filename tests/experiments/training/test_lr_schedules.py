"""Learning-rate schedules against their formulas, in plain loops."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.training import lr_schedules
from experiments.training.lr_schedules import (
    Constant,
    Cosine,
    Hand,
    Linear,
    LrSchedule,
    OneCycle,
    Polynomial,
    Step,
)

MEMBERS: list[LrSchedule] = [
    Constant(),
    Cosine(final=0.01),
    Polynomial(power=3.0, final=0.1),
    Linear(final=0.2),
    Step(every=3, factor=0.5),
    Hand(schedule={0: 1.0, 3: 0.1}),
    OneCycle(peak=0.4, start=0.1, final=0.01),
]


def test_every_schedule_is_here() -> None:
    public = {
        name
        for name, value in vars(lr_schedules).items()
        if isinstance(value, type) and issubclass(value, LrSchedule) and name[0] != "_"
    } - {"LrSchedule"}
    assert public == {type(member).__name__ for member in MEMBERS}


@pytest.mark.parametrize("schedule", MEMBERS, ids=lambda s: type(s).__name__)
@given(epoch=st.floats(0, 12), num_epochs=st.floats(1, 10))
def test_multipliers_are_positive_numbers(
    schedule: LrSchedule, epoch: float, num_epochs: float
) -> None:
    value = schedule(epoch, num_epochs)
    assert isinstance(value, float)
    assert 0.0 <= value <= 1.0


@pytest.mark.parametrize(
    ("schedule", "epoch", "value"),
    [
        (Constant(), 7.0, 1.0),
        (Cosine(), 0.0, 1.0),
        (Cosine(), 5.0, 0.5),
        (Cosine(), 10.0, 0.0),
        (Cosine(final=0.2), 10.0, 0.2),
        (Cosine(), 2.5, (1 + math.sqrt(0.5)) / 2),
        (Cosine(warmup_epochs=2), 1.0, 0.5),
        (Cosine(warmup_epochs=2), 2.0, 1.0),
        (Cosine(warmup_epochs=2), 6.0, 0.5),
        (Cosine(), 11.0, 0.0),
        (Polynomial(), 5.0, 0.25),
        (Polynomial(power=1.0, final=0.5), 5.0, 0.75),
        (Linear(), 2.5, 0.75),
        (Linear(final=1.0), 10.0, 1.0),
        (Linear(warmup_epochs=5), 7.5, 0.5),
        (Step(every=3), 2.99, 1.0),
        (Step(every=3), 3.0, 0.1),
        (Step(every=3, factor=0.5), 9.5, 0.125),
        (Step(every=3, warmup_epochs=1), 0.5, 0.5),
        (Hand(schedule={2: 0.5, 0: 1.0, 4: 0.25}), 3.9, 0.5),
        (Hand(schedule={2: 0.5}), 1.0, 1.0),
        (Hand(schedule={0: 0.3}), 0.0, 0.3),
        (OneCycle(), 0.0, 0.05),
        (OneCycle(), 2.5, 1.0),
        (OneCycle(), 1.25, 0.525),
        (OneCycle(), 10.0, 0.0),
        (OneCycle(peak=0.0), 5.0, 0.5),
        (OneCycle(peak=1.0), 5.0, 0.525),
    ],
)
def test_values(schedule: LrSchedule, epoch: float, value: float) -> None:
    assert schedule(epoch, 10.0) == pytest.approx(value, abs=1e-12)


@given(epoch=st.floats(0, 1.99))
def test_warm_up_rises_linearly(epoch: float) -> None:
    for kind in (Constant, Cosine, Polynomial, Linear):
        assert kind(warmup_epochs=2.0)(epoch, 10.0) == pytest.approx(epoch / 2.0)


def test_a_warm_up_as_long_as_the_run() -> None:
    for kind in (Constant, Cosine, Polynomial, Linear):
        schedule = kind(warmup_epochs=10.0)
        assert schedule(9.0, 10.0) == pytest.approx(0.9)
        assert math.isfinite(schedule(10.0, 10.0))


def test_parameters_are_numbers() -> None:
    for member in MEMBERS:
        for field in fields(member):
            assert isinstance(getattr(member, field.name), float | int | dict)


@pytest.mark.parametrize(
    ("schedule", "params", "words"),
    [
        (Cosine, {"warmup_epochs": -1.0}, "warmup_epochs is -1.0"),
        (Step, {"every": 3.0, "warmup_epochs": -1.0}, "warmup_epochs is -1.0"),
        (Step, {"every": 0.0}, "every is 0.0; allowed: more than 0"),
        (OneCycle, {"peak": 1.5}, "peak is 1.5; allowed: 0 to 1"),
    ],
)
def test_parameters_out_of_range(
    schedule: type[LrSchedule], params: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        schedule(**params)
