"""Event files as TensorBoard's own reader finds them."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from experiments.runs.board import Board, board_folder
from quantlab.monitor import Histogram
from tests.board_server import eventually, tensorboard

CHECKOUT = Path(__file__).resolve().parents[3]


def read(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder), {"scalars": 0, "images": 0})
    reader.Reload()
    return reader


def steps(folder: Path) -> dict[str, list[int]]:
    """The steps of each tag of scalars."""
    reader = read(folder)
    return {tag: [e.step for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_nothing_is_written_before_the_first_entry(tmp_path: Path) -> None:
    board = Board(tmp_path / "stats")
    board.flush()
    board.close()
    assert not (tmp_path / "stats").exists()
    board.scalars(0, {"a": 1.0})
    board.close()
    assert len(list((tmp_path / "stats").iterdir())) == 1


def test_tensorboard_is_imported_with_the_first_entry() -> None:
    program = (
        "import sys; from pathlib import Path; from experiments.runs.board import Board\n"
        "board = Board(Path('none')); board.flush(); board.close()\n"
        "assert not [name for name in sys.modules if name.startswith(('tensorboard', 'torch'))]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=True)


def test_numbers_and_histograms_in_one_event(tmp_path: Path) -> None:
    board = Board(tmp_path)
    histogram = Histogram(edges=(-0.5, 0.0, 0.5, 1.0), counts=(2, 0, 6))
    for step in (3, 7):
        board.values(step, {"s/a": 0.25, "s/h": histogram, "s/b": -1.0, "s/no": float("nan")})
    board.values(8, {})
    board.close()
    (file,) = tmp_path.iterdir()
    events = [e for e in EventFileLoader(str(file)).Load() if e.HasField("summary")]
    assert [(e.step, len(e.summary.value)) for e in events] == [(3, 3), (7, 3)], (
        "none that is empty"
    )
    assert steps(tmp_path) == {"s/a": [3, 7], "s/b": [3, 7]}
    found = read(tmp_path).Histograms("s/h")[-1].histogram_value
    assert (found.num, found.min, found.max) == (8, -0.5, 1.0)
    assert found.sum == 2 * -0.25 + 6 * 0.75
    assert found.sum_squares == 2 * 0.25**2 + 6 * 0.75**2


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("w4a4", "w4a4"),
        ("run #007", "run-007"),
        ("a/../../b", "a-..-..-b"),
        ("..", ""),
        ("", ""),
        (" lr=0.1 + mom ", "lr=0.1-+-mom"),
        ("\u03b1\u03b2", "\u03b1\u03b2"),
        ("\U00020000" * 300, "\U00020000" * 60),
    ],
)
def test_a_run_has_a_folder_of_its_name(tmp_path: Path, name: str, folder: str) -> None:
    found = board_folder(tmp_path / "stats", name)
    assert found == tmp_path / "stats" / folder
    board = Board(found)
    board.scalars(1, {"a": 1.0})
    board.close()
    assert steps(found) == {"a": [1]}


def test_a_run_goes_on_where_it_began(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.scalars(1, {"a": 1.0})
    board.close()
    assert board_folder(tmp_path, "named") == tmp_path


def test_histograms_in_the_real_tensorboard(tmp_path: Path) -> None:
    """Bins as they are shown: left edge, right edge, count."""
    board = Board(tmp_path / "run")
    histogram = Histogram(edges=(-0.5, 0.0, 0.5, 1.0), counts=(2, 0, 6))
    board.values(3, {"stat/layer": histogram})
    board.close()
    with tensorboard([f"--logdir={tmp_path}"], tmp_path) as fetch:
        tags = eventually(lambda: fetch("data/plugin/histograms/tags"), bool)
        assert list(tags["run"]) == ["stat/layer"]
        ((_, step, bins),) = fetch("data/plugin/histograms/histograms?run=run&tag=stat/layer")
    assert step == 3
    shown = [tuple(edges) for edges in bins if edges[2]]
    assert shown == [(-0.5, 0.0, 2.0), (0.5, 1.0, 6.0)]


def test_scalars_by_tag_and_step(tmp_path: Path) -> None:
    board = Board(tmp_path)
    for step in (2, 4):
        board.scalars(step, {"a/b": 0.5 * step, "c": -float(step)})
    board.scalars(5, {})
    board.close()
    reader = read(tmp_path)
    found = {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in ("a/b", "c")}
    assert found == {"a/b": [(2, 1.0), (4, 2.0)], "c": [(2, -2.0), (4, -4.0)]}
    assert set(reader.Tags()["scalars"]) == set(found)


def test_what_is_flushed_can_be_read_while_the_board_is_open(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.scalars(1, {"a": 1.0})
    board.flush()
    assert steps(tmp_path) == {"a": [1]}
    board.close()


def test_entries_after_a_close_go_on(tmp_path: Path) -> None:
    board = Board(tmp_path)
    for step in (1, 2):
        board.scalars(step, {"a": 1.0})
        board.close()
    assert steps(tmp_path) == {"a": [1, 2]}


def test_nested_hyperparameters_have_dotted_names(tmp_path: Path) -> None:
    board = Board(tmp_path)
    values = {
        "training": {"optimizer": {"class": "SGD", "params": {"lr": 0.5}}, "ema": None},
        "data": {"augment": False, "limit": 12, "nothing": {}},
        "rules": [{"on": "weight"}, {"on": "input", "bits": [2, 4]}],
        "folds": [],
    }
    board.hyperparameters(values)
    board.close()
    content = read(tmp_path).summary_metadata["_hparams_/session_start_info"].plugin_data.content
    entries = HParamsPluginData.FromString(content).session_start_info.hparams
    kinds = ("bool_value", "number_value", "string_value")
    found = {
        name: next((getattr(value, kind) for kind in kinds if value.HasField(kind)), None)
        for name, value in entries.items()
    }
    assert found == {
        "training.optimizer.class": "SGD",
        "training.optimizer.params.lr": 0.5,
        "training.ema": "None",
        "data.augment": False,
        "data.limit": 12,
        "rules.0.on": "weight",
        "rules.1.on": "input",
        "rules.1.bits": "[2, 4]",
        "folds": "[]",
    }


def test_hyperparameters_and_pictures_stand_in_the_file_of_the_scalars(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    board = Board(tmp_path)
    board.scalars(1, {"a": 1.0})
    board.picture("test/samples", 7, pixels)
    board.hyperparameters({"seed": 1})
    board.close()
    assert len(list(tmp_path.rglob("*"))) == 1
    reader = read(tmp_path)
    (event,) = reader.Images("test/samples")
    assert (event.step, event.width, event.height) == (7, 4, 2)
    with Image.open(io.BytesIO(event.encoded_image_string)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert "_hparams_/session_start_info" in reader.summary_metadata
    assert steps(tmp_path) == {"a": [1]}
