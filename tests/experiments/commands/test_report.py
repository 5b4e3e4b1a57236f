"""`main.py report` on runs of the toy problem, in this process."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import main
from experiments.commands.report import table
from quantlab.integer.report import LayerCost, Report
from tests.lab import TOY_RUN, Lab

RULES = (
    "[{select: '*', on: weight, algorithm: {kind: lsq, num_bits: 4, start_epoch: 0}}, "
    "{select: '!first', on: input, algorithm: {kind: lsq, num_bits: 4, start_epoch: 0, "
    "observe_steps: 2}}]"
)
REPORT = ("report", "--problem=Toy", "--exp_id=0")


@pytest.fixture
def trained(lab: Lab) -> Lab:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}"]) == 0
    return lab


def deployed(lab: Lab, checkpoint: str = "best") -> Path:
    return lab.folder().path / "fold0" / "deploy" / checkpoint


def test_files_and_table(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main([*REPORT, "--samples=7"]) == 0
    shown = capsys.readouterr().out
    files = {name: deployed(trained) / name for name in ("layers.jsonl", "report.html")}
    assert all(str(path) in shown for path in files.values())
    assert "measured on 7 test images" in shown
    rows: list[dict[str, Any]] = list(
        map(json.loads, files["layers.jsonl"].read_text().split("\n")[:-1])
    )
    assert all(set(row) == {field.name for field in fields(LayerCost)} for row in rows)
    for row in rows:
        is_rounding = row["operation"] in ("Requantize", "Add", "Threshold")
        assert (row["sqnr_db"] is not None) == is_rounding
        assert (row["clipping_percent"] is not None) == is_rounding
    page = files["report.html"].read_text()
    assert all(f">{row['layer']}<" in page for row in rows)
    assert "Toy/exp000, best.ckpt" in page
    assert "measured on 7 test images" in page
    # The same again, and on all samples there are.
    before = files["layers.jsonl"].read_bytes()
    assert main.main([*REPORT, "--samples=7"]) == 0
    assert files["layers.jsonl"].read_bytes() == before
    assert main.main([*REPORT, "--samples=100000"]) == 0
    assert files["layers.jsonl"].read_bytes() != before


def test_json_is_what_the_file_holds(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main([*REPORT, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = (deployed(trained) / "layers.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == found["layers"]
    assert main.main(["verify", "--problem=Toy", "--exp_id=0", "--samples=2"]) == 0
    size = (deployed(trained) / "program.qlp").stat().st_size
    parts = found["reading_bytes"] + found["header_bytes"]
    assert sum(row["num_bytes"] for row in found["layers"]) + parts == found["num_bytes"] == size


def test_the_page_elsewhere(
    trained: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "there.html"
    assert main.main([*REPORT, "--checkpoint=last", f"--html={path}", "--samples=2"]) == 0
    assert str(path) in capsys.readouterr().out
    assert path.read_text().startswith("<!doctype html>")
    assert {file.name for file in deployed(trained, "last").iterdir()} == {"layers.jsonl"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--exp_id=0", "--samples=0"), "--samples=0: at least 1 allowed"),
        (("--exp_id=0", "--samples=many"), "--samples=many: expected a whole number"),
        (
            ("--exp_id=0", "--html=/nowhere/a.html"),
            "--html=/nowhere/a.html: a file in a folder",
        ),
        (("--exp_id=0", "--html="), "--html=: a file in a folder that exists allowed"),
        (("--exp_id=0", "--html=/"), "--html=/: a file in a folder that exists"),
        (("--exp_id=0", "--sample=3"), "did you mean 'samples'?"),
        (("--samples=3",), "report needs --exp_id=..."),
    ],
)
def test_wrong_options(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main.main(["report", "--problem=Toy", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_made(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    deployed(trained).parent.write_text("a file, not a folder")
    capsys.readouterr()
    assert main.main([*REPORT, "--samples=2"]) == 2
    assert "cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize("size", [1, 10**3, 10**6, 10**9 - 1, 10**13])
def test_the_table_fits_120_letters(size: int) -> None:
    cost = LayerCost(
        layer="features.of.a.very.long.name.conv2", operation="AdaptiveSumPool", output="y",
        shape=(2048, 112, 112), input_bits=16, weight_bits=8, num_bytes=size, macs=size,
        bit_operations=size, accumulator_bits=61, headroom=32, sqnr_db=171.7, clipping_percent=100,
    )  # fmt: skip
    found = Report(layers=(cost, cost), reading_bytes=1, header_bytes=1)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(found, "a run"))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 120
    (first, _) = [line for line in lines if "AdaptiveSumPool" in line]
    assert "..a.very.long.name.conv2 " in first
    assert "2048x112x112" in first
    assert "171.7" in first
