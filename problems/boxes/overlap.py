"""How far boxes overlap, and which of several on one object to keep.

A box is (left, top, right, bottom), in any unit. Shapes: N images, K and M boxes of each.
"""

import torch
from torch import Tensor

from quantlab.errors import UsageError


def intersection_over_union(one_NK4: Tensor, other_NM4: Tensor) -> Tensor:
    """Return the area of the intersection over that of the union, `[N, K, M]`; 0 without area."""
    one_NK14, other_N1M4 = one_NK4.unsqueeze(2), other_NM4.unsqueeze(1)
    corner = torch.maximum(one_NK14[..., :2], other_N1M4[..., :2])
    opposite = torch.minimum(one_NK14[..., 2:], other_N1M4[..., 2:])
    common_NKM = (opposite - corner).clamp(min=0).prod(-1)
    union_NKM = _area(one_NK14) + _area(other_N1M4) - common_NKM
    return torch.where(union_NKM > 0, common_NKM / union_NKM, torch.zeros_like(common_NKM))


def non_maximum_suppression(
    boxes_NK4: Tensor, scores_NK: Tensor, classes_NK: Tensor, *, iou_threshold: float = 0.5
) -> Tensor:
    """Return which boxes are kept, bool `[N, K]`: in the order of their scores, each that overlaps
    no kept box of its class by more than the threshold. Of equal scores the first comes first.

    Raises UsageError for a threshold outside 0 to 1.
    """
    if not 0 <= iou_threshold <= 1:
        raise UsageError(f"iou_threshold: {iou_threshold} given; 0 to 1 allowed")
    order_NK = scores_NK.argsort(dim=1, descending=True, stable=True)
    ordered_NK4 = boxes_NK4.gather(1, order_NK.unsqueeze(2).expand_as(boxes_NK4))
    classes_in_order_NK = classes_NK.gather(1, order_NK)
    is_same_NKK = classes_in_order_NK.unsqueeze(2) == classes_in_order_NK.unsqueeze(1)
    rivals_NKK = intersection_over_union(ordered_NK4, ordered_NK4) > iou_threshold
    rivals_NKK &= is_same_NKK
    is_kept_NK = torch.ones_like(order_NK, dtype=torch.bool)
    for position in range(1, order_NK.shape[1]):
        before = slice(0, position)
        is_beaten_N = (rivals_NKK[:, position, before] & is_kept_NK[:, before]).any(1)
        is_kept_NK[:, position] = ~is_beaten_N
    return torch.zeros_like(is_kept_NK).scatter(1, order_NK, is_kept_NK)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
