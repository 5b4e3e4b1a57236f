"""Files as raw batches; `main.py predict` on tables of numbers and of classes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import main
from experiments.deployment.raw_files import FileReader
from experiments.protocols import Dataset, InMemory
from quantlab.errors import DataError, UsageError
from tests.lab import TOY_RUN, Lab
from tests.toy.tiles import write_tiles

PIXELS = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6)


def reader(samples: Dataset, **functions: Any) -> FileReader:
    problem: Any = SimpleNamespace(name="Toy", data=SimpleNamespace(**functions))
    library: Any = SimpleNamespace(preprocess=__import__("tests.toy.tiles", fromlist=["x"]))
    return FileReader(problem=problem, library=library, samples=samples)


def in_memory(inputs: Tensor) -> InMemory:
    return InMemory(inputs=inputs, targets=torch.zeros(len(inputs)), classes=())


def test_images_and_arrays_of_images(tmp_path: Path) -> None:
    images = reader(in_memory(PIXELS))
    Image.fromarray(PIXELS[0, 0].numpy()).save(tmp_path / "one.png")
    assert torch.equal(images.read(tmp_path / "one.png"), PIXELS)
    assert images.is_sample(tmp_path / "one.png")
    np.savez(tmp_path / "three.npz", inputs=PIXELS.repeat(3, 1, 1, 1).numpy())
    assert torch.equal(images.read(tmp_path / "three.npz"), PIXELS.repeat(3, 1, 1, 1))
    assert not images.is_sample(tmp_path / "three.npz")


def test_images_of_16_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gray.png"
    Image.fromarray(np.full((8, 8), 300, np.uint16)).save(path)
    with pytest.raises(DataError, match=r"gray\.png: pixels of 16 bits; 8 bits allowed"):
        reader(in_memory(PIXELS)).read(path)


def test_rows_are_read_as_the_problem_says(tmp_path: Path) -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    table = reader(in_memory(rows.double()), read_rows=lambda path: rows)
    found = table.read(tmp_path / "table.csv")
    assert found.dtype == torch.float64
    assert found.tolist() == rows.tolist()
    np.savez(tmp_path / "rows.npz", inputs=rows.numpy())
    assert table.read(tmp_path / "rows.npz").tolist() == rows.tolist()
    np.savez(tmp_path / "whole.npz", inputs=np.array([[1, 2]]))
    assert table.read(tmp_path / "whole.npz").dtype == torch.float64


def test_arrays_for_data_on_disk(tmp_path: Path) -> None:
    tiles = reader(write_tiles(tmp_path, 2))
    np.savez(tmp_path / "tiles.npz", inputs=np.ones((3, 4)))
    assert tiles.read(tmp_path / "tiles.npz").shape == (3, 4)


def test_files_of_samples_on_disk_are_read_as_the_problem_says(tmp_path: Path) -> None:
    tiles = reader(write_tiles(tmp_path, 2), read_file=Path.read_bytes)
    assert tiles.read(tmp_path / "1.tile").tolist() == [[1, 1, 1, 1]]
    assert tiles.is_sample(tmp_path / "1.tile")
    with pytest.raises(DataError, match=r"^/.*gone\.tile: No such file or directory$"):
        tiles.read(tmp_path / "gone.tile")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"input": np.zeros((2, 2))}, "no array 'inputs'; there is input; did you mean 'input'?"),
        ({"inputs": np.zeros((2, 3))}, r"shape \[2, 3\] given; \[N, 2\] allowed, N at least 1"),
        ({"inputs": np.zeros(2)}, r"shape \[2\] given; \[N, 2\] allowed"),
        ({"inputs": np.zeros((0, 2))}, r"shape \[0, 2\] given; \[N, 2\] allowed, N at least 1"),
        ({"inputs": np.array([[1, np.nan]])}, r"nan in sample 0 at \[1\]; finite numbers allowed"),
        ({"inputs": np.array([["a", "b"]])}, "no .npz file that can be read"),
        ({"inputs": np.array([[None, {}]])}, "no .npz file that can be read"),
        ({"inputs": np.zeros((1, 2), np.complex64)}, "torch.complex64 given; torch.float64 allow"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        reader(in_memory(torch.zeros(1, 2, dtype=torch.float64))).read(tmp_path / "rows.npz")
    assert str(caught.value).startswith(str(tmp_path / "rows.npz"))
    assert len(str(caught.value).splitlines()) == 1


def test_what_cannot_be_read(tmp_path: Path) -> None:
    images, rows = reader(in_memory(PIXELS)), reader(in_memory(torch.zeros(1, 2)))
    np.savez(tmp_path / "wide.npz", inputs=PIXELS.numpy().astype(np.int64))
    with pytest.raises(DataError, match=r"torch\.int64 given; torch\.uint8 allowed"):
        images.read(tmp_path / "wide.npz")
    for name, content in (("text.npz", b"text"), ("empty.npz", b""), ("cut.npz", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: no \.npz file that can be read"):
            rows.read(tmp_path / name)
    with pytest.raises(DataError, match=r"gone\.npz: No such file"):
        rows.read(tmp_path / "gone.npz")
    with pytest.raises(UsageError, match=r"Toy/data\.py defines no read_rows, which reads"):
        rows.read(tmp_path / "table.csv")
    arrays = reader(in_memory(torch.zeros(1, 2)), read_rows=lambda path: np.zeros((1, 2)))
    with pytest.raises(DataError, match=r"Toy/data\.py returned ndarray; a tensor allowed"):
        arrays.read(tmp_path / "table.csv")
    # What an image's bytes would be among numbers of another kind, nobody knows.
    with pytest.raises(UsageError, match=r"defines no read_rows, which reads a file as samples of"):
        reader(in_memory(PIXELS / 255)).read(tmp_path / "one.png")


def of_classes(found: dict[str, Any]) -> dict[str, float]:
    """The score of each class."""
    return {one["class"]: one["score"] for one in found["predictions"]}


def test_predict_takes_arrays(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    main.main([*TOY_RUN])
    np.savez(lab.home / "some.npz", inputs=PIXELS.repeat(2, 1, 1, 1).numpy())
    Image.fromarray(PIXELS[0, 0].numpy()).save(lab.home / "one.png")
    files = [str(lab.home / "one.png"), str(lab.home / "some.npz")]
    capsys.readouterr()
    assert main.main(["predict", "--problem=Toy", "--exp_id=0", "--json", *files]) == 0
    one, *some = json.loads(capsys.readouterr().out)
    assert "row" not in one
    assert [found["row"] for found in some] == [0, 1]
    # Floats depend on the place in a batch, by their last bits.
    assert all(of_classes(found) == pytest.approx(of_classes(one), rel=1e-5) for found in some)
    assert main.main(["predict", "--problem=Toy", "--exp_id=0", "--top=1", *files]) == 0
    assert capsys.readouterr().out.count(one["predictions"][0]["class"]) == 3
