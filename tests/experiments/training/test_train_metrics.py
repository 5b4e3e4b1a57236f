"""The metrics of an epoch against plain loops, and across a checkpoint."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.training.train_metrics import TrainMetrics
from problems.images.meter import ClassificationMeter

NUM_CLASSES = 3
NUM_BATCHES = 37  # more than twice as many as are fed at a time
CPU = torch.device("cpu")
Batch = tuple[Tensor, Tensor, Tensor]


def make_batches(count: int = NUM_BATCHES) -> list[Batch]:
    """Uneven batches of 1 to 5 samples: scores, targets, mean loss."""
    generator = torch.Generator().manual_seed(7)
    batches = []
    for index in range(count):
        num_samples = 1 + index % 5
        scores = torch.randn(num_samples, NUM_CLASSES, generator=generator)
        targets = torch.randint(0, NUM_CLASSES, (num_samples,), generator=generator)
        batches.append((scores, targets, torch.rand((), generator=generator)))
    return batches


class CountingMeter(ClassificationMeter):
    """Counts how often it is fed."""

    num_updates = 0

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        self.num_updates += 1
        super().update(predictions, targets, loss)


def make() -> TrainMetrics:
    return TrainMetrics(CountingMeter([str(i) for i in range(NUM_CLASSES)]))


def feed(metrics: TrainMetrics, batches: list[Batch]) -> TrainMetrics:
    for batch in batches:
        metrics.add(*batch)
    return metrics


def flushed(metrics: TrainMetrics) -> dict[str, Tensor]:
    metrics.flush()
    return metrics.meter.state()


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("count", [1, 15, 16, 17, NUM_BATCHES])
def test_metrics_are_those_of_the_single_samples(count: int) -> None:
    batches = make_batches(count)
    num_samples, num_right, total_loss = 0, 0, 0.0
    for scores, targets, loss in batches:
        for row, target in zip(scores.tolist(), targets.tolist(), strict=True):
            num_samples += 1
            num_right += row.index(max(row)) == target
            total_loss += float(loss)
    metrics = feed(make(), batches)
    metrics.flush()
    found = dict(metrics.meter.compute())
    assert found["top1"] == 100 * num_right / num_samples
    assert found["loss"] == pytest.approx(total_loss / num_samples, rel=1e-12)


def test_the_meter_is_fed_several_batches_at_a_time() -> None:
    metrics = feed(make(), make_batches())
    metrics.flush()
    assert isinstance(metrics.meter, CountingMeter)
    assert metrics.meter.num_updates <= NUM_BATCHES // 8


@pytest.mark.parametrize("cut", range(NUM_BATCHES + 1))
def test_a_state_taken_after_any_batch_goes_on_to_the_same_bits(cut: int) -> None:
    batches = make_batches()
    unbroken = flushed(feed(make(), batches))
    before = feed(make(), batches[:cut])
    after = feed(make(), batches[-3:])  # what it held before goes
    after.load_state(through_a_file(before.state()), CPU)
    resumed = flushed(feed(after, batches[cut:]))
    assert resumed.keys() == unbroken.keys()
    for name, total in unbroken.items():
        assert torch.equal(resumed[name], total), name


def test_taking_a_state_changes_nothing() -> None:
    batches = make_batches()
    watched = make()
    for batch in batches:
        watched.add(*batch)
        watched.state()
    unwatched = flushed(feed(make(), batches))
    assert all(torch.equal(flushed(watched)[name], total) for name, total in unwatched.items())


def test_a_state_stays_as_it_was_taken() -> None:
    batches = make_batches()
    metrics = feed(make(), batches[:5])
    taken = metrics.state()
    feed(metrics, batches[5:])
    metrics.reset()
    resumed = make()
    resumed.load_state(taken, CPU)
    expected = flushed(feed(make(), batches[:5]))
    assert all(torch.equal(flushed(resumed)[name], total) for name, total in expected.items())


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_the_merged_states_of_ranks_are_the_state_of_one(num_ranks: int) -> None:
    batches = make_batches()
    shares = [batches[rank::num_ranks] for rank in range(num_ranks)]
    merged = make()
    merged.load_state(TrainMetrics.merged([feed(make(), s).state() for s in shares]), CPU)
    found, expected = flushed(merged), flushed(feed(make(), batches))
    assert torch.equal(found["confusion"], expected["confusion"])
    assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-12)


def test_a_second_flush_adds_nothing() -> None:
    metrics = make()
    metrics.flush()
    assert not flushed(metrics)["confusion"].any()
    feed(metrics, make_batches(3))
    assert int(flushed(metrics)["confusion"].sum()) == 1 + 2 + 3
    assert int(flushed(metrics)["confusion"].sum()) == 1 + 2 + 3


def test_reset_forgets_what_was_fed_and_what_waits() -> None:
    metrics = feed(make(), make_batches())
    metrics.reset()
    assert all(not total.any() for total in flushed(metrics).values())


def test_more_batches_than_usual_may_wait_after_merging() -> None:
    batches = make_batches()
    merged = make()
    merged.load_state(TrainMetrics.merged([feed(make(), batches[:15]).state()] * 2), CPU)
    feed(merged, batches[:1])
    assert merged.state()["waiting"] == []
