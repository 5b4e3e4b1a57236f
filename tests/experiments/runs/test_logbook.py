"""The numbers of a run, read back by TensorBoard's own reader; and cut to a step."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from experiments.runs.logbook import Logbook, rank_log


def rows(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def board(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder / "stats"), {"scalars": 0, "images": 0})
    reader.Reload()
    return reader


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in board(folder).Scalars(tag)]


def written(folder: Path, steps: int = 5) -> Logbook:
    logbook = Logbook(folder)
    for step in range(1, steps + 1):
        logbook.write(step, {"train/loss": 1.0 / step}, epoch=step // 2)
    return logbook


def test_rows_and_scalars(tmp_path: Path) -> None:
    written(tmp_path).close()
    assert rows(tmp_path)[1] == {"step": 2, "epoch": 1, "train/loss": 0.5}
    found = scalars(tmp_path, "train/loss")
    assert [step for step, _ in found] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose([v for _, v in found], [1 / s for s in range(1, 6)], rtol=1e-6)


def test_cut_and_written_on(tmp_path: Path) -> None:
    written(tmp_path).close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "tor')
    again = Logbook(tmp_path)
    again.cut(3)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]
    again.write(4, {"train/loss": 9.0})
    again.close()
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4]
    found = sorted(scalars(tmp_path, "train/loss"))
    assert [step for step, _ in found] == [1, 2, 3, 4]
    assert found[3] == (4, 9.0)


def test_a_torn_event_file_loses_its_end_only(tmp_path: Path) -> None:
    written(tmp_path).close()
    (events,) = (tmp_path / "stats").iterdir()
    events.write_bytes(events.read_bytes()[:-5])
    again = Logbook(tmp_path)
    again.cut(9)
    again.close()
    assert [step for step, _ in scalars(tmp_path, "train/loss")] == [1, 2, 3, 4]


def test_cut_everything_or_nothing(tmp_path: Path) -> None:
    Logbook(tmp_path).cut(-1)
    assert not (tmp_path / "metrics.jsonl").exists()
    written(tmp_path).close()
    Logbook(tmp_path).cut(5)
    assert len(rows(tmp_path)) == 5
    Logbook(tmp_path).cut(-1)
    assert rows(tmp_path) == []
    assert board(tmp_path).Tags()["scalars"] == []


def test_hyperparameters_in_the_same_run(tmp_path: Path) -> None:
    logbook = written(tmp_path)
    values = {
        "training.lr": 0.1,
        "seed": 3,
        "augment": True,
        "name": "x",
        "list": [1, 2],
        "no": None,
    }
    logbook.board.hyperparameters(values, {"test/top1": 99.5})
    logbook.close()
    assert len(list((tmp_path / "stats").iterdir())) == 1, "a second run beside it"
    reader = board(tmp_path)
    content = reader.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = HParamsPluginData.FromString(content).session_start_info.hparams
    assert start["training.lr"].number_value == 0.1
    assert start["seed"].number_value == 3
    assert start["augment"].number_value == 1  # as torch writes truth values
    assert start["name"].string_value == "x"
    assert start["list"].string_value == "[1, 2]"
    content = reader.summary_metadata["_hparams_/experiment"].plugin_data.content
    experiment = HParamsPluginData.FromString(content).experiment
    assert [metric.name.tag for metric in experiment.metric_infos] == ["test/top1"]
    assert "_hparams_/session_end_info" in reader.summary_metadata


def test_pictures(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    logbook = Logbook(tmp_path)
    logbook.board.picture("samples", 3, pixels)
    logbook.close()
    (event,) = board(tmp_path).Images("samples")
    assert event.step == 3
    with Image.open(io.BytesIO(event.encoded_image_string)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_each_rank_has_a_log(tmp_path: Path) -> None:
    for rank in (0, 1):
        for text in ("first", "second"):
            log = rank_log(tmp_path, rank)
            log.info("%s of %d", text, rank)
        for handler in list(log.handlers):
            handler.close()
            log.removeHandler(handler)
    for rank in (0, 1):
        lines = (tmp_path / f"log.rank{rank}.txt").read_text().splitlines()
        assert [line.split("INFO ")[1] for line in lines] == [
            f"first of {rank}",
            f"second of {rank}",
        ]
