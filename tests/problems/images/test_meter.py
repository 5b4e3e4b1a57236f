"""ClassificationMeter against a count by hand, and the merging of shards."""

import pytest
import torch
from torch import Tensor

from problems.images.meter import ClassificationMeter
from quantlab.errors import UsageError

NAMES = [f"class{number}" for number in range(10)]


def ranking(scores: list[float]) -> list[int]:
    """Classes from likely to unlikely, the lower first among equals."""
    return sorted(range(len(scores)), key=lambda index: (-scores[index], index))


def brute_force(scores_NC: Tensor, targets_N: Tensor) -> tuple[float, float, Tensor]:
    num_classes = scores_NC.shape[1]
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    in_top1 = in_top5 = 0
    for scores, target in zip(scores_NC.tolist(), targets_N.tolist(), strict=True):
        order = ranking(scores)
        confusion[target, order[0]] += 1
        in_top1 += order[0] == target
        in_top5 += target in order[:5]
    return 100 * in_top1 / len(targets_N), 100 * in_top5 / len(targets_N), confusion


def batch(seed: int, num_samples: int, num_classes: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Few levels: many scores tie, as those of quantized networks do.
    scores = torch.randint(0, 4, (num_samples, num_classes), generator=generator).float()
    targets = torch.randint(0, num_classes, (num_samples,), generator=generator)
    return scores, targets, torch.rand((), generator=generator)


@pytest.mark.parametrize("num_classes", [2, 5, 6, 10, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_counts_as_by_hand(num_classes: int, dtype: torch.dtype) -> None:
    meter = ClassificationMeter([str(number) for number in range(num_classes)])
    batches = [batch(seed, num_samples, num_classes) for seed, num_samples in enumerate((64, 1, 7))]
    for scores, targets, loss in batches:
        meter.update(scores.to(dtype), targets, loss)
    scores, targets = (torch.cat([one[i] for one in batches]) for i in (0, 1))
    top1, top5, confusion = brute_force(scores, targets)
    loss_sum = sum(float(loss) * len(targets) for _, targets, loss in batches)
    computed = dict(meter.compute())
    assert computed["top1"] == pytest.approx(top1, rel=1e-12)
    assert computed["loss"] == pytest.approx(loss_sum / len(targets), rel=1e-12)
    assert ("top5" in computed) == (num_classes > 5)
    assert computed.get("top5", top5) == pytest.approx(top5, rel=1e-12)
    assert torch.equal(meter.confusion(), confusion)
    assert set(computed) == set(meter.directions)


def test_shards_merge_exactly() -> None:
    whole, shards = ClassificationMeter(NAMES), [ClassificationMeter(NAMES) for _ in range(3)]
    for seed in range(9):
        scores, targets, _ = batch(seed, 5 + seed)
        loss = torch.tensor(seed / 64)
        whole.update(scores, targets, loss)
        shards[seed % 3].update(scores, targets, loss)
    states = [shard.state() for shard in shards]
    merged = ClassificationMeter(NAMES)
    merged.load_state({name: sum(state[name] for state in states) for name in states[0]})
    assert list(merged.compute()) == list(whole.compute())
    assert torch.equal(merged.confusion(), whole.confusion())


def test_scores_that_are_no_numbers_are_wrong() -> None:
    meter = ClassificationMeter(NAMES)
    meter.update(torch.full((4, 10), torch.nan), torch.tensor([3, 5, 7, 9]), torch.tensor(1.0))
    computed = dict(meter.compute())
    assert computed["top1"] == 0
    assert computed["top5"] == 0


def test_training_continues_after_inference_mode_and_reset() -> None:
    meter = ClassificationMeter(NAMES)
    scores, targets, loss = batch(0, 8)
    with torch.inference_mode():
        meter.update(scores, targets, loss)
        meter.reset()
    meter.update(scores.requires_grad_(), targets, loss)
    assert not any(total.requires_grad for total in meter.state().values())
    assert int(meter.confusion().sum()) == 8


def test_state_is_a_copy() -> None:
    meter = ClassificationMeter(NAMES)
    before = meter.state()
    meter.update(*batch(0, 8))
    assert int(before["confusion"].sum()) == 0


def test_errors_name_what_is_allowed() -> None:
    meter = ClassificationMeter(NAMES)
    with pytest.raises(UsageError, match=r"\[4, 9\] for 4 targets; allowed: \[4, 10\]"):
        meter.update(torch.zeros(4, 9), torch.zeros(4, dtype=torch.int64), torch.tensor(0.0))
    with pytest.raises(UsageError, match="no sample"):
        list(meter.compute())
    with pytest.raises(UsageError, match="meter state 'confusion': found nothing"):
        meter.load_state({})
    with pytest.raises(UsageError, match="0 classes"):
        ClassificationMeter([])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_gpu_counts_the_same_without_waiting() -> None:
    on_cpu, on_gpu = ClassificationMeter(NAMES), ClassificationMeter(NAMES)
    batches = [batch(seed, 500) for seed in range(3)]
    on_gpu.update(*(part.cuda() for part in batches[0]))
    moved = [[part.cuda() for part in one] for one in batches[1:]]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for one in moved:
            on_gpu.update(*one)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for one in batches:
        on_cpu.update(*one)
    assert list(on_gpu.compute()) == list(on_cpu.compute())
    assert torch.equal(on_gpu.confusion(), on_cpu.confusion())
