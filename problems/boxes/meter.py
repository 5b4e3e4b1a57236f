"""The metric of detection: mean average precision, as COCO defines it.

Source: T.-Y. Lin et al., "Microsoft COCO: Common objects in context", 2014, and its detection
evaluation: IoU thresholds 0.50 to 0.95, precision at 101 recalls. Left out: crowds, sizes, and the
limit of 100 boxes an image.

Shapes: N images, K predicted and M true boxes of each, T thresholds, C classes, B bins of scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from problems.boxes.overlap import intersection_over_union
from quantlab.errors import UsageError

Direction = Literal["min", "max"]

THRESHOLDS = tuple(number / 100 for number in range(50, 100, 5))
NUM_BINS = 256
_NUM_RECALLS = 101
NO_CLASS = -1  # of what fills up the boxes of an image


class BoxMeter:
    """`map`, the mean over classes and IoU thresholds, `map50` at IoU 0.5, both in percent, `loss`.

    A prediction is `[N, K, 6]`: left, top, right, bottom, score from 0 to 1, class; a target
    `[N, M, 5]`: left, top, right, bottom, class. Boxes of class -1 fill up. Scores count in 256
    steps, so that the counts of several processes add up; of the boxes in a step none comes first.

    All counts lie on the device of the predictions and are never read back before `compute`.
    """

    directions: Mapping[str, Direction] = {"map": "max", "map50": "max", "loss": "min"}

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise UsageError("meter of boxes: 0 classes; at least 1 is needed")
        self.classes = tuple(classes)
        self._thresholds = torch.tensor(THRESHOLDS)
        self._place(torch.device("cpu"), self._zeros())

    def reset(self) -> None:
        for total in self._state.values():
            total.zero_()

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch. Raises UsageError for other shapes."""
        if predictions.shape[2:] != (6,) or targets.shape[2:] != (5,):
            raise UsageError(
                f"meter of boxes: predictions {list(predictions.shape)} and targets "
                f"{list(targets.shape)} given; [N, K, 6] and [N, M, 5] allowed"
            )
        if predictions.device != self._device:
            self._place(predictions.device, self._state)
        state = self._state
        classes_NK, true_NM = predictions[..., 5].long(), targets[..., 4].long()
        bins_NK = (predictions[..., 4] * NUM_BINS).long().clamp(0, NUM_BINS - 1)
        cells_NK = classes_NK * NUM_BINS + bins_NK
        is_box_NK = classes_NK != NO_CLASS
        is_hit_NKT = _hits(predictions, targets, self._thresholds)
        for place in range(len(THRESHOLDS)):
            _count(state["hits"][place], cells_NK, is_hit_NKT[..., place])
        _count(state["predicted"], cells_NK, is_box_NK)
        _count(state["boxes"], true_NM, true_NM != NO_CLASS)
        state["samples"] += len(targets)
        state["loss"] += loss.detach().double() * len(targets)

    def state(self) -> dict[str, Tensor]:
        """Return counts of boxes, int64, and the sum of the losses, float64."""
        return {name: total.clone() for name, total in self._state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state or a sum of states."""
        for name, total in self._state.items():
            total.copy_(state[name])

    def compute(self) -> Iterator[tuple[str, float]]:
        """Yield (metric name, value); precisions are 0 where no sample has a box. Raises UsageError
        if no sample was seen."""
        state = {name: total.cpu().double() for name, total in self._state.items()}
        if not state["samples"]:
            raise UsageError("meter: no sample was seen; metrics need at least 1")
        precision_TC = average_precision(state["hits"], state["predicted"], state["boxes"])
        has_boxes = state["boxes"] > 0
        means_T = precision_TC[:, has_boxes].mean(1) if has_boxes.any() else torch.zeros(1)
        yield "map", 100 * float(means_T.mean())
        yield "map50", 100 * float(means_T[0])
        yield "loss", float(state["loss"] / state["samples"])

    def _zeros(self) -> dict[str, Tensor]:
        num_classes, whole = len(self.classes), torch.int64
        return {
            "hits": torch.zeros(len(THRESHOLDS), num_classes, NUM_BINS, dtype=whole),
            "predicted": torch.zeros(num_classes, NUM_BINS, dtype=whole),
            "boxes": torch.zeros(num_classes, dtype=whole),
            "samples": torch.zeros((), dtype=whole),
            "loss": torch.zeros((), dtype=torch.float64),
        }

    def _place(self, device: torch.device, state: Mapping[str, Tensor]) -> None:
        # Inference mode would make tensors that training may not update afterwards.
        with torch.inference_mode(False):
            self._device = device
            self._state = {name: total.to(device, copy=True) for name, total in state.items()}
            self._thresholds = self._thresholds.to(device, copy=True)


def average_precision(hits_TCB: Tensor, predicted_CB: Tensor, boxes_C: Tensor) -> Tensor:
    """Return the mean, over 101 recalls, of the best precision at that recall or above, `[T, C]`.

    Of counts by bins of scores, the highest bin last.
    """
    hits_TCB, predicted_CB = hits_TCB.flip(-1).cumsum(-1), predicted_CB.flip(-1).cumsum(-1)
    precision_TCB = hits_TCB / predicted_CB.clamp(min=1)
    best_TCB = precision_TCB.flip(-1).cummax(-1).values.flip(-1)
    wanted_R = torch.arange(_NUM_RECALLS, dtype=torch.float64)
    # The hits that a recall needs; counts are whole, so no recall is missed by rounding.
    needed_CR = boxes_C.unsqueeze(1) * wanted_R / (_NUM_RECALLS - 1)
    needed_CR = (needed_CR - 1e-9).ceil().clamp(min=1)
    first_TCR = torch.searchsorted(hits_TCB, needed_CR.expand(len(hits_TCB), -1, -1).contiguous())
    is_reached_TCR = first_TCR < hits_TCB.shape[-1]
    found_TCR = best_TCB.gather(-1, first_TCR.clamp(max=hits_TCB.shape[-1] - 1))
    return torch.where(is_reached_TCR, found_TCR, torch.zeros_like(found_TCR)).mean(-1)


def _hits(predictions_NK6: Tensor, targets_NM5: Tensor, thresholds_T: Tensor) -> Tensor:
    """Return which predicted boxes are hits, bool `[N, K, T]`: in the order of their scores, each
    takes the free true box of its class that it overlaps most, if by the threshold or more."""
    num_images, num_boxes = predictions_NK6.shape[:2]
    overlap_NKM = intersection_over_union(predictions_NK6[..., :4], targets_NM5[..., :4])
    classes_NK, true_NM = predictions_NK6[..., 5].long(), targets_NM5[..., 4].long()
    is_same_NKM = classes_NK.unsqueeze(2) == true_NM.unsqueeze(1)
    is_same_NKM &= (true_NM != NO_CLASS).unsqueeze(1)
    overlap_NKM = torch.where(is_same_NKM, overlap_NKM, torch.full_like(overlap_NKM, -1.0))
    device, shape = overlap_NKM.device, (num_images, len(THRESHOLDS), targets_NM5.shape[1])
    is_free_NTM = torch.ones(shape, dtype=torch.bool, device=device)
    shape = (num_images, num_boxes, len(THRESHOLDS))
    is_hit_NKT = torch.zeros(shape, dtype=torch.bool, device=device)
    images_N = torch.arange(num_images, device=device)
    places_M = torch.arange(targets_NM5.shape[1], device=device)
    for boxes_N in predictions_NK6[..., 4].argsort(dim=1, descending=True, stable=True).unbind(1):
        overlap_N1M = overlap_NKM[images_N, boxes_N].unsqueeze(1)
        best_NT, place_NT = torch.where(is_free_NTM, overlap_N1M, -1.0).max(2)
        is_hit_NT = best_NT >= thresholds_T
        is_hit_NKT[images_N, boxes_N] = is_hit_NT
        is_taken_NTM = (place_NT.unsqueeze(2) == places_M) & is_hit_NT.unsqueeze(2)
        is_free_NTM &= ~is_taken_NTM
    return is_hit_NKT


def _count(total: Tensor, cells: Tensor, is_counted: Tensor) -> None:
    """Add one to the cells that are counted."""
    inside = torch.where(is_counted, cells, torch.zeros_like(cells)).flatten()
    total.view(-1).index_add_(0, inside, is_counted.flatten().to(total.dtype))
