"""The numbers of a run, read back by TensorBoard's own reader; and cut to a step."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from experiments.runs.logbook import Logbook, rank_log
from quantlab.monitor import Histogram, Reading
from tests.board_server import eventually, tensorboard


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
    logbook = written(tmp_path, steps=3)
    mark = logbook.mark()
    logbook.write(3, {"valid/loss": 0.5})
    logbook.write(4, {"train/loss": 0.25})
    logbook.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "tor')
    again = Logbook(tmp_path)
    again.cut(mark)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]
    again.write(4, {"train/loss": 9.0})
    again.close()
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4]
    assert board(tmp_path).Tags()["scalars"] == ["train/loss"]
    assert sorted(scalars(tmp_path, "train/loss"))[2:] == [(3, pytest.approx(1 / 3)), (4, 9.0)]


def test_a_mark_knows_all_files_of_the_board(tmp_path: Path) -> None:
    written(tmp_path).close()
    second = Logbook(tmp_path)
    second.write(6, {"train/loss": 6.0})
    mark = second.mark()
    assert len(mark) == 3
    assert all((tmp_path / name).stat().st_size == size for name, size in mark.items())
    second.close()
    third = Logbook(tmp_path)
    third.write(7, {"train/loss": 7.0})
    third.close()
    Logbook(tmp_path).cut(mark)
    assert len(list((tmp_path / "stats").iterdir())) == 2
    # Files of one second and process are read by their numbers' digits: the tenth before the ninth.
    assert sorted(step for step, _ in scalars(tmp_path, "train/loss")) == [1, 2, 3, 4, 5, 6]


def measured(step: int) -> list[Reading]:
    histogram = Histogram(edges=(-1.0, 0.0, 2.0), counts=(3, 4 * step))
    values: list[tuple[str, str, float | Histogram]] = [
        ("a", "weight", 0.5 * step),
        ("a", "", histogram),
        ("b", "weight", math.inf),
        ("b", "input/used", math.nan),
    ]
    return [Reading(layer=n, stat="stat", part=part, value=value) for n, part, value in values]


def layers(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "layers.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    return [json.loads(line) for line in text.splitlines()]


def test_layers_have_rows_of_their_own(tmp_path: Path) -> None:
    logbook = written(tmp_path)
    logbook.write_layers(3, 1, measured(3))
    logbook.close()
    assert layers(tmp_path) == [
        {"step": 3, "epoch": 1, "layer": "a", "stat/weight": 1.5},
        {"step": 3, "epoch": 1, "layer": "b", "stat/weight": None, "stat/input/used": None},
    ]
    reader = EventAccumulator(str(tmp_path / "layers"))
    reader.Reload()
    assert reader.Tags()["scalars"] == ["stat/a/weight"]
    assert [(e.step, e.value) for e in reader.Scalars("stat/a/weight")] == [(3, 1.5)]
    (event,) = reader.Histograms("stat/a")
    found = event.histogram_value
    assert (found.min, found.max, found.num) == (-1.0, 2.0, 15)
    assert (list(found.bucket_limit), list(found.bucket)) == ([0.0, 2.0], [3.0, 12.0])
    assert "stat/a/weight" not in board(tmp_path).Tags()["scalars"], "HPARAMS would show it"


def test_layers_are_cut_too(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path)
    for step in (1, 2):
        logbook.write_layers(step, 0, measured(step))
    mark = logbook.mark()
    assert set(mark) >= {"layers.jsonl"}
    before = layers(tmp_path)
    logbook.write_layers(3, 0, measured(3))
    logbook.close()
    again = Logbook(tmp_path)
    again.cut(mark)
    assert layers(tmp_path) == before
    again.write_layers(4, 0, measured(4))
    again.close()
    reader = EventAccumulator(str(tmp_path / "layers"))
    reader.Reload()
    assert [e.step for e in reader.Scalars("stat/a/weight")] == [1, 2, 4]
    Logbook(tmp_path).cut({})
    assert not (tmp_path / "layers.jsonl").exists()
    assert not list((tmp_path / "layers").iterdir())


def test_files_shorter_than_their_mark_stay(tmp_path: Path) -> None:
    logbook = written(tmp_path)
    mark = logbook.mark()
    logbook.close()
    (tmp_path / "metrics.jsonl").write_text("")
    Logbook(tmp_path).cut(mark)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_cut_everything_or_nothing(tmp_path: Path) -> None:
    Logbook(tmp_path).cut({})
    assert not (tmp_path / "metrics.jsonl").exists()
    logbook = written(tmp_path)
    mark = logbook.mark()
    logbook.close()
    Logbook(tmp_path).cut(mark)
    assert len(rows(tmp_path)) == 5
    Logbook(tmp_path).cut({})
    assert not (tmp_path / "metrics.jsonl").exists()
    assert not list((tmp_path / "stats").iterdir())


def test_hyperparameters_in_the_same_run(tmp_path: Path) -> None:
    logbook = written(tmp_path)
    values = {
        "training.lr": 0.1,
        "seed": 3,
        "augment": True,
        "name": "x",
        "list": [1, 2],
        "no": None,
        "rules": [{"bits": 4}, {"bits": 8, "to": {"input": "x"}}],
    }
    logbook.board.hyperparameters(values)
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
    assert [start[f"rules.{i}.bits"].number_value for i in (0, 1)] == [4, 8]
    assert start["rules.1.to.input"].string_value == "x"
    assert "_hparams_/session_end_info" in reader.summary_metadata


def test_runs_compare_in_the_real_tensorboard(tmp_path: Path) -> None:
    for name, bits in (("a", 4), ("b", 8)):
        logbook = written(tmp_path / name)
        logbook.board.hyperparameters({"alike": 1, "rules": [{"bits": bits}], "only": {name: "x"}})
        logbook.write(9, {"test/top1": 90.0 + bits})
        logbook.close()
    query = {
        "colParams": [{"metric": {"group": "", "tag": "test/top1"}}],
        "allowedStatuses": ["STATUS_SUCCESS"],
        "startIndex": 0,
        "sliceSize": 10,
    }
    with tensorboard([f"--logdir={tmp_path}"], tmp_path) as fetch:
        both = ["a/stats", "b/stats"]
        assert eventually(lambda: fetch("data/runs"), lambda shown: shown == both) == both
        infos = fetch("data/plugin/hparams/experiment", {})["hparamInfos"]
        groups = fetch("data/plugin/hparams/session_groups", query)["sessionGroups"]
    assert [info["name"] for info in infos] == ["rules.0.bits", "alike", "only.a", "only.b"]
    shown = {group["hparams"]["rules.0.bits"]: group["metricValues"] for group in groups}
    assert {bits: [v["value"] for v in values if v["name"]["tag"] == "test/top1"]
            for bits, values in shown.items()} == {4: [94.0], 8: [98.0]}  # fmt: skip


def test_what_is_of_the_whole_run_has_its_row_and_stands_apart(tmp_path: Path) -> None:
    logbook = written(tmp_path)
    logbook.write_end(5, {"test/top1": 0.5}, epoch=2)
    logbook.show_end(5, "test/samples", np.zeros((2, 2, 3), np.uint8))
    logbook.close()
    assert rows(tmp_path)[-1] == {"step": 5, "epoch": 2, "test/top1": 0.5}
    assert scalars(tmp_path, "whole_run/test/top1") == [(5, 0.5)]
    assert board(tmp_path).Tags()["scalars"] == ["train/loss", "whole_run/test/top1"]
    assert board(tmp_path).Tags()["images"] == ["whole_run/test/samples"]


def test_runs_bear_their_names_in_the_real_tensorboard(tmp_path: Path) -> None:
    for number, name in enumerate(("w4 a8: lsq/1", "float")):
        logbook = Logbook(tmp_path / f"exp{number}", name)
        logbook.write(1, {"train/loss": 0.5})
        logbook.write_layers(1, 0, measured(1))
        logbook.close()
    with tensorboard([f"--logdir={tmp_path}"], tmp_path) as fetch:
        names = ["exp0/layers/w4-a8-lsq-1", "exp0/stats/w4-a8-lsq-1"]
        names += ["exp1/layers/float", "exp1/stats/float"]
        assert eventually(lambda: sorted(fetch("data/runs")), names.__eq__) == names


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
