"""Synthetic images: the same again, named for what they are, learnable."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from experiments.protocols import InMemory
from problems.images.synthetic import SyntheticPhotos, synthetic_images, synthetic_photos

NAMES = tuple("abcdefghij")


def test_equal_arguments_give_equal_images() -> None:
    first, second, other = (
        synthetic_images(NAMES, image_shape=(3, 16, 20), num_train=50, num_test=20, seed=seed)
        for seed in (1, 1, 2)
    )
    assert isinstance(first.train, InMemory)
    assert isinstance(second.train, InMemory)
    assert isinstance(other.train, InMemory)
    assert first.train.inputs.shape == (50, 3, 16, 20)
    assert first.train.inputs.dtype == torch.uint8
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert torch.equal(first.train.targets, second.train.targets)
    assert not torch.equal(first.train.inputs, other.train.inputs)
    assert torch.equal(torch.bincount(first.train.targets), torch.full((10,), 5))


def test_images_are_moved_patterns_with_noise() -> None:
    """Of the 25 places where a class's 7 x 7 cells may lie, one explains each image."""
    shape, seed = (3, 14, 21), 5
    data = synthetic_images(NAMES, image_shape=shape, num_train=60, num_test=10, seed=seed)
    assert isinstance(data.train, InMemory)
    cells = np.random.default_rng([seed, len(NAMES)]).integers(0, 256, (len(NAMES), 3, 7, 7))
    patterns = cells.repeat(2, axis=2).repeat(3, axis=3)
    shifts = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    places = set()
    for image, target in zip(data.train.inputs.numpy(), data.train.targets.tolist(), strict=True):
        moved = [np.roll(patterns[target], shift, (1, 2)) for shift in shifts]
        fits = [i for i, one in enumerate(moved) if abs(one - image.astype(int)).max() <= 40]
        assert len(fits) == 1
        places |= set(fits)
    assert len(places) > 15


def test_source_says_synthetic() -> None:
    data = synthetic_images(NAMES, image_shape=(1, 8, 8), num_train=10, num_test=10)
    assert data.source.startswith("synthetic ")
    photos = synthetic_photos(NAMES, size=16, num_train=10, num_test=10)
    assert photos.source.startswith("synthetic ")


def test_a_linear_network_learns_them() -> None:
    data = synthetic_images(NAMES, image_shape=(1, 28, 28), num_train=2000, num_test=500)
    assert isinstance(data.train, InMemory)
    assert isinstance(data.test, InMemory)
    torch.manual_seed(0)
    network = nn.Linear(28 * 28, 10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    inputs, test_inputs = ((part.inputs.flatten(1) / 128 - 1) for part in (data.train, data.test))
    for start in range(0, 2000, 50):
        batch = slice(start, start + 50)
        loss = nn.functional.cross_entropy(network(inputs[batch]), data.train.targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (network(test_inputs).argmax(1) == data.test.targets).double().mean()
    assert accuracy > 0.8


@pytest.mark.parametrize("split", ["train", "test"])
def test_photos_repeat_in_other_processes(split: str) -> None:
    data = synthetic_photos(NAMES, size=16, num_train=10, num_test=10)
    photos = getattr(data, split)
    assert isinstance(photos, SyntheticPhotos)
    sent = pickle.loads(pickle.dumps(photos))
    assert photos.read(3).size == (16, 16)
    assert np.array_equal(np.asarray(photos.read(3)), np.asarray(sent.read(3)))
    assert not np.array_equal(np.asarray(photos.read(3)), np.asarray(photos.read(4)))


def test_splits_differ() -> None:
    data = synthetic_images(NAMES, image_shape=(1, 8, 8), num_train=20, num_test=20)
    assert isinstance(data.train, InMemory)
    assert isinstance(data.test, InMemory)
    assert not torch.equal(data.train.inputs, data.test.inputs)
