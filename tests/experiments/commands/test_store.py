"""`main.py store` and `predict --backend=clickhouse` on runs of the toy problem."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import main
from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.integer.file import from_bytes
from quantlab.integer.interpreter import run
from tests.experiments.commands.test_verify import RULES, deployed
from tests.lab import TOY_RUN, Lab

pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")

RUN = ("--problem=Toy", "--exp_id=0")


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main.main(arguments) == code
    shown = capsys.readouterr()
    if code:
        assert shown.err.startswith("main.py: ")
        assert shown.err.count("\n") == 1
        return shown.err
    return shown.out


def models(capsys: pytest.CaptureFixture[str], *arguments: str) -> Sequence[dict[str, Any]]:
    found: Sequence[dict[str, Any]] = json.loads(said(capsys, "store", *arguments, "--json"))
    return found


def test_models_of_runs_and_files(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}"]) == 0
    assert "no store is there" in said(capsys, "store", "list", code=3)
    (first,) = models(capsys, "load", "--model=toy", *RUN)
    assert (first["name"], first["version"], first["is_active"]) == ("toy", 1, True)
    assert models(capsys, "load", "--model=toy", *RUN) == [first]
    assert main.main(["export", *RUN, "--to=program,clickhouse"]) == 0
    script = deployed(lab) / "clickhouse" / "model.sql"
    for file in (script, deployed(lab) / "program.qlp"):
        assert models(capsys, "load", str(file), "--model=toy") == [first]
    (other,) = models(capsys, "load", "--model=toy", *RUN, "--memory-bits=8", "--sum-bits=32")
    assert other["version"] == 2
    assert [m["is_active"] for m in models(capsys, "list")] == [False, True]
    assert models(capsys, "rollback", "--model=toy") == [first]
    assert "store: " in said(capsys, "store", "list", "--model=toy")
    assert first["image_ms"] is None
    (measured,) = models(capsys, "calibrate", "--model=toy")
    assert measured["fixed_ms"] > 0
    assert measured["image_ms"] >= 0
    assert models(capsys, "list")[0] == measured
    assert "version 1 is active" in said(
        capsys, "store", "remove", "--model=toy", "--version=1", code=2
    )
    assert len(models(capsys, "remove", "--model=toy")) == 2
    assert models(capsys, "list") == []
    script.write_bytes(script.read_bytes() + b"DROP TABLE quantlab.models;\n")
    line = said(capsys, "store", "load", str(script), "--model=toy", code=5)
    assert "its statements are not those of its program" in line
    assert "cannot be read" in said(capsys, "store", "load", "no.sql", "--model=toy", code=3)
    assert models(capsys, "list") == []


def test_predictions_in_a_database(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}"]) == 0
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 6, 6), np.uint8)
    np.savez(tmp_path / "images.npz", inputs=images)
    assert main.main(["export", *RUN, "--to=program"]) == 0
    path = deployed(lab) / "program.qlp"
    program = from_bytes(path.read_bytes(), str(path))
    (output,) = program.outputs
    scores = program.reals[output](run(program, {"input": images})[output])
    expected = torch.from_numpy(scores).softmax(1)
    images_file = str(tmp_path / "images.npz")
    found = json.loads(said(capsys, "predict", *RUN, images_file, "--json", "--backend=clickhouse"))
    for row, one in enumerate(found):
        assert one["row"] == row
        values = [guess["score"] for guess in one["predictions"]]
        best = expected[row].sort(descending=True).values[: len(values)]
        assert values == pytest.approx(best.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "store needs one of load, list, rollback, calibrate, remove"),
        (
            ("lsit",),
            "store: 'lsit' given, load, list, rollback, calibrate, remove allowed; did you mean",
        ),
        (("load", *RUN), "store load needs --model=..."),
        (("load", "--model=toy"), "store load needs --problem=..., or a file that export wrote"),
        (("load", "a.sql", "b.sql", "--model=toy"), "'b.sql' given, one file allowed"),
        (("load", "a.sql", "--model=toy", *RUN), "no effect beside the file 'a.sql'"),
        (("list", "a.sql"), "'a.sql' given, no file allowed"),
        (("list", "--version=1"), "--version=1: no effect on store list"),
        (("remove", "--model=toy", *RUN), "--problem=Toy: no effect on store remove"),
        (("rollback", "--model=toy", "--version=0"), "--version=0: at least 1 allowed"),
        (("rollback",), "store rollback needs --model=..."),
    ],
)
def test_options_without_effect_are_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], line: str
) -> None:
    assert line in said(capsys, "store", *arguments, code=2)


def test_a_store_that_is_open_elsewhere_is_one_line(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with open_chdb(tmp_path / "store"):
        line = said(capsys, "store", "list", f"--store={tmp_path / 'store'}", code=2)
    assert f"{tmp_path / 'store'}: this process has this store open" in line
    assert models(capsys, "list", f"--store={tmp_path / 'store'}") == []


def test_names_are_words(lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for name in ("a'; DROP TABLE quantlab.models; --", "", "a b"):
        line = said(
            capsys, "store", "remove", f"--model={name}", f"--store={tmp_path / 'store'}", code=2
        )
        assert "letters, digits and '_' allowed" in line
    line = said(capsys, "store", "list", f"--store={tmp_path}/a?b", code=3)
    assert "no store is there" in line
