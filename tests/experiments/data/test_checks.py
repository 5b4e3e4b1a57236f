"""Data that cannot be trained on is told in one line, before anything is written."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import main
from experiments.data.checks import check_data, check_finite, stacked
from experiments.protocols import Data, InMemory
from quantlab.errors import DataError
from tests.lab import TOY_RUN, Lab
from tests.toy.tiles import write_tiles


def dataset(**given: Any) -> InMemory:
    fitting = {"inputs": torch.zeros(6, 3), "targets": torch.arange(6) % 2, "classes": ("a", "b")}
    return InMemory(**(fitting | given))


def data(**given: Any) -> Data:
    return Data(train=dataset(**given), test=dataset(), source="made up")


def with_number(number: float, *place: int) -> Tensor:
    values = torch.zeros(6, 3)
    values[place] = number
    return values


def test_what_is_allowed(tmp_path: Path) -> None:
    check_data(data(), "Toy")
    boxes = dataset(targets=torch.zeros(6, 4, 5))
    check_data(Data(train=boxes, test=boxes, source=""), "Toy")
    for targets in (torch.zeros(6), torch.zeros(6, 2), torch.arange(6) + 100):
        numbers = dataset(targets=targets, classes=())
        check_data(Data(train=numbers, test=numbers, source=""), "Toy")
    tiles = write_tiles(tmp_path, 4)
    check_data(Data(train=tiles, test=tiles, source=""), "Toy")
    # Images may be larger for tests, boxes padded to another number.
    larger = dataset(inputs=torch.zeros(6, 5), targets=torch.zeros(6, 7, 5))
    check_data(Data(train=boxes, test=larger, source=""), "Toy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"targets": torch.tensor([0, 1, 0, 2, 0, 3])},
            "Toy, train targets: 2 given for sample 3; 0 to 1 allowed, the places of 2 classes",
        ),
        (
            {"targets": torch.tensor([0, 1, 0, 1, -1, 0])},
            "Toy, train targets: -1 given for sample 4; 0 to 1 allowed, the places of 2 classes",
        ),
        (
            {"targets": torch.zeros(6)},
            "Toy, train targets: torch.float32 [N] given for 2 classes; torch.int64 allowed, or no "
            "classes for targets that are numbers",
        ),
        (
            {"targets": torch.zeros(6, dtype=torch.int32)},
            "Toy, train targets: torch.int32 [N] given for 2 classes; torch.int64 allowed, or no "
            "classes for targets that are numbers",
        ),
        (
            {"targets": torch.zeros(5, dtype=torch.int64)},
            "Toy, train: 6 samples and 5 targets given; as many of each allowed",
        ),
        (
            {"inputs": torch.zeros(0, 3), "targets": torch.zeros(0, dtype=torch.int64)},
            "Toy, train: 0 samples given; at least 1 allowed",
        ),
        (
            {"inputs": np.zeros((6, 3))},
            "Toy, train inputs: ndarray given; a tensor allowed",
        ),
        (
            {"targets": [0, 1, 0, 1, 0, 1]},
            "Toy, train targets: list given; a tensor allowed",
        ),
        (
            {"targets": torch.tensor(3)},
            "Toy, train targets: torch.int64 [] given; [N, ...] of real numbers allowed",
        ),
        (
            {"inputs": torch.zeros(6, 3, dtype=torch.complex64)},
            "Toy, train inputs: torch.complex64 [6, 3] given; [N, ...] of real numbers allowed",
        ),
        (
            {"inputs": with_number(float("nan"), 4, 1)},
            "Toy, train inputs: nan in sample 4 at [1]; finite numbers allowed",
        ),
        (
            {"inputs": with_number(float("-inf"), 0, 2)},
            "Toy, train inputs: -inf in sample 0 at [2]; finite numbers allowed",
        ),
        (
            {"targets": torch.tensor([0, 1, float("inf"), 0, 0, 0]), "classes": ()},
            "Toy, train targets: inf in sample 2; finite numbers allowed",
        ),
        (
            {"classes": np.array(["a", "b"])},
            "Toy, train classes: ndarray given; a tuple of texts allowed, () for no classes",
        ),
        (
            {"classes": None},
            "Toy, train classes: NoneType given; a tuple of texts allowed, () for no classes",
        ),
        (
            {"classes": ("a", 7)},
            "Toy, train classes: 7 given at 1; texts allowed",
        ),
        (
            {"classes": ("b", "a")},
            "Toy: train has 2 classes, test 2; the same in the same order allowed",
        ),
        (
            {"inputs": torch.zeros(6, 3, 1)},
            "Toy: inputs of torch.float32 [N, 3, 1] to train, torch.float32 [N, 3] to test; the "
            "same type and as many axes allowed",
        ),
        (
            {"inputs": torch.zeros(6, 3, dtype=torch.uint8)},
            "Toy: inputs of torch.uint8 [N, 3] to train, torch.float32 [N, 3] to test; the same "
            "type and as many axes allowed",
        ),
    ],
)
def test_what_is_not(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_data(data(**given), "Toy")
    assert str(caught.value) == message


def test_the_test_samples_are_checked_too(tmp_path: Path) -> None:
    wrong = Data(train=dataset(), test=dataset(targets=torch.full((6,), 2)), source="")
    with pytest.raises(DataError, match="Toy, test targets: 2 given for sample 0"):
        check_data(wrong, "Toy")
    tiles = write_tiles(tmp_path, 4)
    wrong_tiles = replace(tiles, targets=torch.tensor([0, 1, 0, 5]))
    with pytest.raises(DataError, match="train targets: 5 given for sample 3"):
        check_data(Data(train=wrong_tiles, test=tiles, source=""), "Toy")


def test_what_is_no_data() -> None:
    with pytest.raises(DataError, match="Toy: load returned tuple; Data allowed"):
        check_data((dataset(), dataset()), "Toy")  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match="train: list given, without read, targets, classes; InMemory, or"
    ):
        check_data(Data(train=[], test=dataset(), source=""), "Toy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([np.zeros(3), np.zeros(3)], "sample 7: ndarray read; a tensor allowed"),
        (
            [torch.zeros(3, 4), torch.zeros(3, 5)],
            "sample 9: torch.float32 [3, 5] read, but of sample 7 torch.float32 [3, 4]; the same",
        ),
        (
            [torch.zeros(3), torch.zeros(3, dtype=torch.uint8)],
            "sample 9: torch.uint8 [3] read, but of sample 7 torch.float32 [3]; the same",
        ),
        (
            [torch.zeros(3), torch.tensor([0, float("nan"), 0])],
            "data: nan in sample 9 at [1]; finite numbers allowed",
        ),
    ],
)
def test_samples_are_checked_as_they_are_read(samples: list[Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        stacked(samples, [7, 9])
    assert str(caught.value).startswith(words)


def test_finite_numbers_pass() -> None:
    for values in (torch.zeros(2, 3), torch.zeros(2, dtype=torch.uint8), torch.zeros(0)):
        check_finite(values, "inputs")


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """Samples whose sizes differ, as of images that nobody resized."""

    targets: Tensor
    classes: tuple[str, ...] = ("even", "odd")

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> bytes:
        return bytes(2 + index)


def test_the_loader_tells_which_sample_is_another_size() -> None:
    import tests.toy.tiles as preprocess
    from experiments.data.loader import Loader
    from experiments.data.plan import Plan

    loader = Loader(
        Ragged(targets=torch.tensor([0, 1, 0])),
        torch.arange(3),
        preprocess=preprocess,
        plan=Plan(num_samples=3, batch_size=3),
        seed=0,
        device=torch.device("cpu"),
        workers=0,
        dtype=torch.float32,
        is_augmented=False,
    )
    with pytest.raises(DataError, match=r"sample 1: torch\.float64 \[3\] read, but of sample 0"):
        list(loader.epoch(0, is_shuffled=False))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes=CLASSES)", "classes=CLASSES[:3])", "Toy, train targets: 3 given for sample "),
        ("targets=targets,", "targets=targets[1:],", "60 samples and 59 targets given"),
        ("inputs=inputs,", "inputs=inputs.numpy(),", "train inputs: ndarray given; a tensor"),
        (
            '"synthetic patches"',
            '"patches"',
            "synthetic given, but Toy makes no samples up: it load",
        ),
        ("inputs=inputs,", "inputs=inputs / 0,", "train inputs: inf in sample 0 at [0, 0, 0]"),
    ],
)
def test_a_run_does_not_begin(
    lab: Lab, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    file = lab.problems / "Toy" / "data.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    if "synthetic" not in new and "patches" not in new:
        assert main.main(["data", "--problem=Toy"]) == 3
        assert message in capsys.readouterr().err
    assert main.main([*TOY_RUN, "--data.source=synthetic"]) == 3
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(lab.logs.iterdir()) == []
