"""Mean average precision against its definition, box by box."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from problems.boxes.meter import NUM_BINS, THRESHOLDS, BoxMeter
from quantlab.errors import UsageError
from tests.problems.boxes.test_overlap import overlap, random_boxes
from tests.waiting import no_waiting

LOSS = torch.tensor(0.5)


def random_batch(seed: int, images: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions [images, 6, 6] near some targets [images, 3, 5], of two classes, some filling."""
    random = np.random.default_rng(seed)
    true = random_boxes(seed, images, 3)
    classes = torch.from_numpy(random.integers(-1, 2, (images, 3, 1))).float()
    near = true.repeat(1, 2, 1) + torch.from_numpy(random.integers(-1, 2, (images, 6, 4)))
    scores = torch.from_numpy(random.permutation(images * 6).reshape(images, 6, 1)) / 32 + 1 / 64
    guesses = torch.from_numpy(random.integers(-1, 2, (images, 6, 1))).float()
    return torch.cat([near, scores, guesses], 2).float(), torch.cat([true, classes], 2)


def precision(predictions: Any, targets: Any, kind: int, threshold: float) -> float | None:
    """The average precision of one class, as COCO's evaluation computes it."""
    true = {
        (image, place)
        for image, boxes in enumerate(targets)
        for place, box in enumerate(boxes)
        if box[4] == kind
    }
    if not true:
        return None
    num_boxes = len(true)
    guesses = [(box, image) for image, boxes in enumerate(predictions) for box in boxes]
    guesses = sorted((g for g in guesses if g[0][5] == kind), key=lambda g: -g[0][4])
    curve, num_hits = [], 0
    for number, (box, image) in enumerate(guesses, 1):
        free = [place for where, place in sorted(true) if where == image]
        best = max(free, key=lambda place: overlap(box, targets[image][place]), default=None)
        if best is not None and overlap(box, targets[image][best]) >= threshold:
            true.remove((image, best))
            num_hits += 1
        curve.append((num_hits / num_boxes, num_hits / number))
    recalls = [number / 100 for number in range(101)]
    reached = [[p for r, p in curve if r >= recall - 1e-9 and r > 0] for recall in recalls]
    return sum(max(found, default=0.0) for found in reached) / 101


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_precisions_are_those_of_the_definition(seed: int) -> None:
    predictions, targets = random_batch(seed)
    meter = BoxMeter(("a", "b"))
    meter.update(predictions, targets, LOSS)
    found = dict(meter.compute())
    table = [
        [precision(predictions.tolist(), targets.tolist(), kind, t) for kind in (0, 1)]
        for t in THRESHOLDS
    ]
    known = [[value for value in row if value is not None] for row in table]
    means = [np.mean(row) if row else 0.0 for row in known]
    assert found["map50"] == pytest.approx(100 * means[0], abs=1e-6)
    assert found["map"] == pytest.approx(100 * np.mean(means), abs=1e-6)
    assert found["loss"] == 0.5


def test_states_of_shards_add_up() -> None:
    predictions, targets = random_batch(3, images=6)
    whole, one, other = (BoxMeter(("a", "b")) for _ in range(3))
    whole.update(predictions, targets, LOSS)
    one.update(predictions[:2], targets[:2], LOSS)
    other.update(predictions[2:], targets[2:], LOSS)
    states = one.state(), other.state()
    one.load_state({name: states[0][name] + states[1][name] for name in states[0]})
    assert dict(one.compute()) == dict(whole.compute())
    one.reset()
    one.load_state(whole.state())
    assert dict(one.compute()) == dict(whole.compute())


def test_ends() -> None:
    box = [0.0, 0.0, 4.0, 4.0]
    targets = torch.tensor([[[*box, 0.0], [*box, -1.0]]])
    meter = BoxMeter(("a", "b"))
    for score in (0.0, 1.0, 0.5 / NUM_BINS):
        meter.reset()
        meter.update(torch.tensor([[[*box, score, 0.0]]]), targets, LOSS)
        assert dict(meter.compute())["map"] == 100.0
    meter.reset()
    meter.update(torch.tensor([[[*box, 0.9, 1.0]]]), targets, LOSS)  # of the other class
    assert dict(meter.compute())["map"] == 0.0
    meter.reset()
    meter.update(torch.tensor([[[*box, 0.9, 0.0]]]), targets[:, 1:], LOSS)  # nothing there
    assert dict(meter.compute())["map"] == 0.0


def test_what_is_refused() -> None:
    meter = BoxMeter(("a",))
    with pytest.raises(UsageError, match="no sample was seen"):
        dict(meter.compute())
    with pytest.raises(UsageError, match=r"predictions \[2, 3, 5\] and targets \[2, 1, 5\] given"):
        meter.update(torch.zeros(2, 3, 5), torch.zeros(2, 1, 5), LOSS)
    with pytest.raises(UsageError, match="0 classes; at least 1 is needed"):
        BoxMeter(())


def test_batches_do_not_wait_for_a_gpu() -> None:
    meter = BoxMeter(("a", "b"))
    meter.update(*random_batch(0), LOSS)
    wanted, batch = dict(meter.compute()), random_batch(0)
    with no_waiting():
        meter.reset()
        meter.update(*batch, LOSS)
    assert dict(meter.compute()) == wanted
