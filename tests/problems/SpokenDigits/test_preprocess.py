"""Recordings as images of 8 bits: their codes, and what is drawn to train."""

import numpy as np
import pytest
import torch

from problems.SpokenDigits.mfcc import NUM_SAMPLES, mfcc
from problems.SpokenDigits.preprocess import (
    NORMALIZATION,
    encode,
    evaluate,
    read_evaluate,
    read_train,
)
from problems.SpokenDigits.signals import full_scale, place
from problems.SpokenDigits.synthetic import synthetic_recordings

RECORDING = synthetic_recordings(4, seed=5).read(3)
MIDDLE = 800.5 / 1601  # the draw that moves nothing


def test_codes_are_steps_of_three_quarters() -> None:
    coefficients = np.array([[-1000.0, -96.0, -0.38, -0.37, 0.0], [0.37, 0.38, 1.2, 95.2, 1000.0]])
    assert encode(coefficients).tolist() == [[[0, 0, 127, 128, 128], [128, 129, 130, 255, 255]]]
    assert encode(coefficients).dtype == torch.uint8


def test_evaluation_reads_the_middle() -> None:
    found = read_evaluate(RECORDING)
    assert found.shape == (1, 49, 10)
    assert torch.equal(found, encode(mfcc(place(full_scale(RECORDING), NUM_SAMPLES))))
    assert torch.equal(found, read_train(RECORDING, [MIDDLE, 0.0, 0.9]))
    reals = evaluate(found.unsqueeze(0))
    assert torch.equal(reals, (found.unsqueeze(0).float() - 128) / 32)


def test_loudness_changes_nothing() -> None:
    loud = np.clip(RECORDING, -2000, 2000) * np.int16(16)
    assert torch.equal(read_evaluate(loud), read_evaluate(loud // 16))


@pytest.mark.parametrize(("draw", "frames"), [(0.0, -5), (0.9999999, 5), (1.0, 5)])
def test_a_recording_is_moved_by_up_to_five_frames(draw: float, frames: int) -> None:
    moved, still = read_train(RECORDING, [draw, 0.0, 0.0]), read_evaluate(RECORDING)
    assert torch.equal(moved[:, 6:-6], still.roll(frames, 1)[:, 6:-6])
    assert not torch.equal(moved, still)


def test_noise_is_a_function_of_its_draws() -> None:
    draws = ([MIDDLE, 0.5, 0.25], [MIDDLE, 0.5, 0.25], [MIDDLE, 0.5, 0.75], [MIDDLE, 1.0, 0.25])
    one, same, other, louder = (read_train(RECORDING, draw) for draw in draws)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    # The first coefficient of silence tells how loud the noise is.
    still = read_evaluate(RECORDING)
    assert louder[0, 0, 0] > one[0, 0, 0] > still[0, 0, 0]


def test_codes_of_recordings_are_not_cut_off() -> None:
    made = synthetic_recordings(20, seed=6)
    codes = torch.stack([read_evaluate(made.read(number)) for number in range(len(made))])
    assert codes.min() > 0
    assert codes.max() < 255
    assert NORMALIZATION.scale == (1 / 32,)
