"""Max pooling of 2 x 2 with a stride of 2, of images with the batch innermost.

Odd rows and columns at the end are left out. Of equal numbers the first is the largest, as in
torch.
"""

import torch
from torch import Tensor

from quantlab.sparse.hold_back import hold_back


def pool(images: Tensor, largest: Tensor) -> Tensor:
    """Write the largest of each 2 x 2 of `[O, H, W, B]` as `[O, H / 2, W / 2, B]`; return which of
    the four, row by row, that is: uint8."""
    rows, columns = largest.shape[1:3]
    first, second, third, fourth = _fours(images, rows, columns)
    upper, lower = torch.maximum(first, second), torch.maximum(third, fourth)
    torch.maximum(upper, lower, out=largest)
    place = (second > first).to(torch.uint8)
    return torch.where(lower > upper, (fourth > third).to(torch.uint8) + 2, place)


def spread(gradient: Tensor, place: Tensor, images: Tensor) -> None:
    """Write a gradient `[O, H / 2, W / 2, B]` where its numbers came from, zeros elsewhere."""
    images.zero_()
    for number, part in enumerate(_fours(images, *gradient.shape[1:3])):
        hold_back(gradient, (place == number).to(gradient.dtype), out=part)


def _fours(images: Tensor, rows: int, columns: int) -> list[Tensor]:
    return [
        images[:, row : 2 * rows : 2, column : 2 * columns : 2]
        for row in range(2)
        for column in range(2)
    ]
