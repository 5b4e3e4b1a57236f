"""The sheet of samples: right ones green, wrong ones red."""

import numpy as np
import torch

from experiments.runs.pictures import is_image_batch, prediction_sheet


def test_sheet() -> None:
    raw = torch.full((9, 1, 5, 5), 7, dtype=torch.uint8)
    sheet = prediction_sheet(raw, ["a"] * 9, ["a"] * 8 + ["b"])
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * 124, 8 * 96, 3)
    assert (sheet[10:80, 10:80] == 7).all()
    first, last = sheet[96:124, :96].astype(int), sheet[124 + 96 :, :96].astype(int)
    assert (first[..., 1] > first[..., 0]).any()
    assert not (first[..., 0] > first[..., 1]).any()
    assert (last[..., 0] > last[..., 1]).any()


def test_long_names_stay_in_their_column() -> None:
    raw = torch.zeros(2, 1, 5, 5, dtype=torch.uint8)
    sheet = prediction_sheet(raw, ["a very long name of a class", "b"], ["b", "b"])
    assert (sheet[96:, 92:98] == 255).all()


def test_what_looks_like_images() -> None:
    assert is_image_batch(torch.zeros(2, 3, 4, 4))
    assert is_image_batch(torch.zeros(2, 1, 4, 4))
    assert not is_image_batch(torch.zeros(2, 2, 4, 4))
    assert not is_image_batch(torch.zeros(2, 3))
