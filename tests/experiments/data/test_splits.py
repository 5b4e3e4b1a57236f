"""Splits: disjoint, complete, and a function of the configuration alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.splits import Split, samples_to_test, split
from quantlab.errors import UsageError


def make(count: int, **changed: float) -> Split:
    given_ = {"valid_fraction": 0.0, "split_seed": 0, "limit": None, "folds": 1, "fold": 0}
    given_ |= {"limit_valid": None}
    return split(count, **(given_ | changed))  # type: ignore[arg-type]  # a shorthand of mixed types


def check(found: Split, count: int) -> set[int]:
    train, valid = found.train.tolist(), found.valid.tolist()
    assert train == sorted(set(train))
    assert valid == sorted(set(valid))
    assert not set(train) & set(valid)
    assert set(train) | set(valid) <= set(range(count))
    return set(train) | set(valid)


@given(
    count=st.integers(2, 200),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 99),
    limit=st.none() | st.integers(2, 300),
)
def test_a_fraction(count: int, fraction: float, seed: int, limit: int | None) -> None:
    used = min(count, limit or count)
    if round(fraction * used) == used:
        return
    found = make(count, valid_fraction=fraction, split_seed=seed, limit=limit)  # type: ignore[arg-type]
    assert len(check(found, count)) == used
    assert len(found.valid) == round(fraction * used)


@given(
    count=st.integers(2, 100),
    folds=st.integers(2, 10),
    seed=st.integers(0, 9),
    limit=st.none() | st.integers(2, 120),
)
def test_folds_validate_on_every_sample_once(
    count: int, folds: int, seed: int, limit: int | None
) -> None:
    used = min(count, limit or count)
    if folds > used:
        with pytest.raises(UsageError, match=f"experiment.folds: {folds} folds of {used}"):
            make(count, folds=folds, limit=limit)  # type: ignore[arg-type]
        return
    parts = [
        make(count, folds=folds, fold=k, split_seed=seed, limit=limit)  # type: ignore[arg-type]
        for k in range(folds)
    ]
    samples = [check(part, count) for part in parts]
    assert all(each == samples[0] for each in samples)
    valid = torch.cat([part.valid for part in parts])
    assert sorted(valid.tolist()) == sorted(samples[0])
    sizes = [len(part.valid) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_decides() -> None:
    first, again = make(100, valid_fraction=0.3), make(100, valid_fraction=0.3)
    assert torch.equal(first.valid, again.valid)
    assert not torch.equal(first.valid, make(100, valid_fraction=0.3, split_seed=1).valid)


def test_nothing_left_to_train_on() -> None:
    with pytest.raises(UsageError, match=r"data.valid_fraction: 0.9 leaves none of 4"):
        make(4, valid_fraction=0.9)


@pytest.mark.parametrize("how", [{"valid_fraction": 0.4}, {"folds": 3, "fold": 2}])
@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_fewer_samples_validate_and_as_many_train(how: dict[str, float], limit: int) -> None:
    whole, less = make(50, **how), make(50, **how, limit_valid=limit)
    assert torch.equal(less.train, whole.train)
    assert len(less.valid) == min(limit, len(whole.valid))
    assert set(less.valid.tolist()) <= set(whole.valid.tolist())
    check(less, 50)
    if limit == 5:
        assert not torch.equal(less.valid, whole.valid[:5]), "drawn"


@pytest.mark.parametrize("limit", [None, 1, 7, 40, 99])
def test_samples_that_test(limit: int | None) -> None:
    found = samples_to_test(40, split_seed=3, limit=limit)
    assert len(found) == min(40, limit or 40)
    assert found.tolist() == sorted(set(found.tolist()))
    assert set(found.tolist()) <= set(range(40))
    if limit == 7:
        assert found.tolist() != list(range(7)), "drawn"
        assert not torch.equal(found, samples_to_test(40, split_seed=4, limit=7))
