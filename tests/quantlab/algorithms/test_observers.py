import numpy as np
import pytest
import torch

from quantlab.algorithms.observers import Observer, make_observer
from quantlab.algorithms.observers.extremes import DECAY
from quantlab.algorithms.observers.observer import MAX_SAMPLES

KINDS = ["minmax", "moving_average", "percentile"]


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
