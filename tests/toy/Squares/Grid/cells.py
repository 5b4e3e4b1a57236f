"""The cells of the network's outputs, as boxes."""

import torch
from torch import Tensor

CELL = 8.0


def boxes_of_cells(like: Tensor) -> Tensor:
    """Return the box of each cell, `[4, 4]`, row by row."""
    rows, columns = torch.meshgrid(torch.arange(2.0), torch.arange(2.0), indexing="ij")
    corners = torch.stack([columns.flatten(), rows.flatten()], 1) * CELL
    return torch.cat([corners, corners + CELL], 1).to(like)
