from typing import Any

import numpy as np
import pytest
import torch

from quantlab.algorithms.observers import Observer, make_observer
from quantlab.algorithms.observers.extremes import DECAY
from quantlab.algorithms.observers.merge import merged_ranges
from quantlab.algorithms.observers.observer import MAX_SAMPLES, every_kth
from quantlab.controller import Alone
from quantlab.errors import DivergedError, UsageError
from tests.rank_threads import on_ranks

KINDS = ["minmax", "moving_average", "percentile"]
ALL_KINDS = [*KINDS, "mse", "kl"]


def see(observer: Observer, *batches: torch.Tensor) -> tuple[float, float]:
    for batch in batches:
        observer(batch)
    assert observer.num_batches == len(batches)
    return observer.minimum.item(), observer.maximum.item()


@pytest.mark.parametrize("kind", KINDS)
def test_zero_is_always_included(kind) -> None:
    assert see(make_observer(kind, 99), torch.full((9,), 3.0)) == (0.0, 3.0)
    assert see(make_observer(kind, 99), torch.full((9,), -3.0)) == (-3.0, 0.0)


def test_minmax() -> None:
    batches = torch.randn(5, 100, generator=torch.Generator().manual_seed(0))
    assert see(make_observer("minmax", 0), *batches) == (batches.min(), batches.max())


def test_moving_average() -> None:
    batches = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    low = high = 0.0
    for count, batch in enumerate(batches.double().numpy(), start=1):
        weight = max(1 / count, 1 - DECAY)
        low += (min(batch.min(), 0) - low) * weight
        high += (max(batch.max(), 0) - high) * weight
    found = see(make_observer("moving_average", 0), *batches)
    np.testing.assert_allclose(found, (low, high), rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_percentile(dtype: torch.dtype) -> None:
    x = (torch.arange(1000) - 500.0).to(dtype)
    shuffled = x[torch.randperm(1000)]
    ordered = x.sort().values
    assert see(make_observer("percentile", 99), shuffled) == (ordered[10], ordered[-11])
    assert see(make_observer("percentile", 100), shuffled) == (ordered[0], ordered[-1])


def test_percentile_cuts_off_its_share_exactly() -> None:
    """100 - 99.9 is a little less than 0.1 in floating point."""
    for count in (1000, 2000, 10000):
        low, high = see(make_observer("percentile", 99.9), torch.arange(count) - count / 2)
        assert (low, high) == (count // 1000 - count / 2, count / 2 - 1 - count // 1000)


@pytest.mark.parametrize("shape", [(128, 16, 32, 32), (64, 16, 24, 24), (40, 3, 28, 28), (5, 7)])
def test_every_kth_number_is_spread_over_all_axes(shape: tuple[int, ...]) -> None:
    """Borders of pictures are no more likely to be seen than their middles."""
    for axis, size in enumerate(shape):
        index = torch.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        seen = every_kth(index.expand(shape).contiguous())
        assert len(seen) <= MAX_SAMPLES
        counts = seen.bincount(minlength=size)
        assert counts.max() - counts.min() <= max(2, 0.02 * len(seen) / size)


def test_percentile_of_a_large_tensor_looks_at_every_kth_number() -> None:
    x = torch.randn(4 * MAX_SAMPLES + 7, generator=torch.Generator().manual_seed(0))
    low, high = see(make_observer("percentile", 99), x)
    assert abs(low + 2.326) < 0.1
    assert abs(high - 2.326) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_state_round_trip(kind) -> None:
    observer, other = make_observer(kind, 99), make_observer(kind, 99)
    see(observer, torch.randn(30), torch.randn(30))
    other.load_state_dict(observer.state_dict())
    batch = torch.randn(30)
    observer(batch)
    other(batch)
    assert torch.equal(observer.maximum, other.maximum)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_numbers_that_are_not_finite_are_seen(kind, bad: float) -> None:
    observer = make_observer(kind, 99)
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    observer(x)
    x[17] = bad
    observer(x)
    observer(x.clamp(-1, 1).nan_to_num())
    with pytest.raises(
        DivergedError, match=r"^here: range \[.*\] observed, finite numbers allowed"
    ):
        merged_ranges({"here": observer}, Alone())


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_reset_forgets_everything(kind) -> None:
    observer, new = make_observer(kind, 99), make_observer(kind, 99)
    see(observer, torch.randn(30), torch.full((3,), torch.nan))
    observer.reset()
    for name, value in new.state_dict().items():
        assert torch.equal(observer.state_dict()[name], value), name


def test_ranges_are_merged_over_ranks_in_one_exchange() -> None:
    def merged(communicator: Any) -> dict[str, tuple[float, float]]:
        a, b = make_observer("minmax", 0), make_observer("mse", 0)
        see(a, torch.tensor([-1.0 - communicator.rank, 1.0]))
        if communicator.rank == 1:  # one rank may have seen nothing
            see(b, torch.tensor([2.0, 5.0]))
        found = merged_ranges({"a": a, "b": b}, communicator)
        return {name: (low.item(), high.item()) for name, (low, high) in found.items()}

    assert on_ranks(2, merged) == [{"a": (-2.0, 1.0), "b": (0.0, 5.0)}] * 2


def test_nothing_to_merge() -> None:
    assert merged_ranges({}, Alone()) == {}
    with pytest.raises(UsageError, match=r"^x\.input_quantizer: 0 batches observed.* out: '!x'$"):
        merged_ranges({"x.input_quantizer": make_observer("minmax", 0)}, Alone())
