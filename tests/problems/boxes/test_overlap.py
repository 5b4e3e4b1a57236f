"""Overlaps and kept boxes against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from problems.boxes.overlap import intersection_over_union, non_maximum_suppression
from quantlab.errors import UsageError


def overlap(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [max(b[2] - b[0], 0) * max(b[3] - b[1], 0) for b in (one, other)]
    union = sum(areas) - common
    return common / union if union > 0 else 0.0


def random_boxes(seed: int, images: int, count: int) -> torch.Tensor:
    corners = np.random.default_rng(seed).integers(0, 8, (images, count, 2, 2))
    return torch.from_numpy(np.sort(corners, 2).reshape(images, count, 4)).float()


@given(st.integers(0, 1000))
def test_overlaps(seed: int) -> None:
    one, other = random_boxes(seed, 2, 5), random_boxes(seed + 1, 2, 4)
    found = intersection_over_union(one, other)
    for image in range(2):
        for i, a in enumerate(one[image].tolist()):
            for j, b in enumerate(other[image].tolist()):
                assert found[image, i, j].item() == pytest.approx(overlap(a, b))


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_kept_boxes(seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    boxes = random_boxes(seed, 2, 7)
    scores = torch.from_numpy(random.integers(0, 4, (2, 7)) / 4)
    classes = torch.from_numpy(random.integers(0, 2, (2, 7)))
    found = non_maximum_suppression(boxes, scores, classes, iou_threshold=threshold)
    for image in range(2):
        kept: list[int] = []
        for index in sorted(range(7), key=lambda i: -scores[image, i].item()):
            rivals = [k for k in kept if classes[image, k] == classes[image, index]]
            here = boxes[image, index].tolist()
            if all(overlap(here, boxes[image, k].tolist()) <= threshold for k in rivals):
                kept.append(index)
        assert found[image].nonzero().flatten().tolist() == sorted(kept)


def test_a_threshold_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"iou_threshold: 1\.5 given; 0 to 1 allowed"):
        non_maximum_suppression(
            torch.zeros(1, 1, 4), torch.zeros(1, 1), torch.zeros(1, 1), iou_threshold=1.5
        )
