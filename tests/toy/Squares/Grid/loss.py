"""Cross-entropy of the cells."""

import torch
from problems.Squares.Grid.cells import boxes_of_cells
from torch import Tensor, nn


class CellLoss(nn.Module):
    """Of outputs `[N, 3, 2, 2]` and boxes `[N, 2, 5]`: a cell's class is that of its box."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        is_here_NMK = (targets[:, :, None, :4] == boxes_of_cells(targets)).all(3)
        is_here_NMK &= targets[:, :, None, 4] >= 0
        kinds_NM1 = targets[:, :, 4:].long() + 1
        wanted_NK = torch.where(is_here_NMK, kinds_NM1, 0).amax(1)
        return nn.functional.cross_entropy(outputs.flatten(2), wanted_NK)
