"""Outputs as boxes: two for each cell, of which rivals are left out."""

import torch
from problems.Squares.Grid.cells import boxes_of_cells
from torch import Tensor

from problems.boxes.meter import NO_CLASS
from problems.boxes.overlap import non_maximum_suppression


def postprocess(outputs: Tensor) -> Tensor:
    """Return `[N, 8, 6]` of `[N, 3, 2, 2]`: left, top, right, bottom, score, class."""
    scores_N2K = outputs.softmax(1)[:, 1:].flatten(2)
    num_images = len(scores_N2K)
    boxes = boxes_of_cells(scores_N2K).repeat(num_images, 2, 1)
    classes = torch.arange(2.0).to(scores_N2K).view(1, 2, 1).expand_as(scores_N2K).flatten(1)
    scores = scores_N2K.flatten(1)
    is_kept = non_maximum_suppression(boxes, scores, classes) & (scores > 0.5)
    kinds = torch.where(is_kept, classes, torch.full_like(classes, NO_CLASS))
    return torch.cat([boxes, scores.unsqueeze(2), kinds.unsqueeze(2)], 2)
