"""What the documents tell to write and to run does what they say."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

import main
from experiments.configuration.documents import parse_document
from experiments.runs.folder import RunFolder
from quantlab.integer.file import from_bytes
from quantlab.integer.interpreter import run as interpret
from quantlab.monitor import Entry
from tests.docs.markdown import CHECKOUT, Block, read_page, spans
from tests.lab import Lab

TUTORIAL = read_page(CHECKOUT / "docs" / "getting-started.md")
README = read_page(CHECKOUT / "README.md")
QUANTIZATION = read_page(CHECKOUT / "docs" / "quantization.md")
AFTER_TRAINING = read_page(CHECKOUT / "docs" / "after-training.md")
INTEGER = read_page(CHECKOUT / "docs" / "integer.md")
MONITOR = read_page(CHECKOUT / "docs" / "monitor.md")
ALL_COMMANDS = ["train", "resume", "test", "predict", "report", "verify", "export", "list"]


def file_of(block: Block) -> str | None:
    """Return the file that a block is the content of: the first that its paragraph names."""
    if block.language not in ("python", "yaml", "csv"):
        return None
    files = (s for s in spans(block.before) if re.fullmatch(r"[\w/.]+\.(py|yaml|csv)", s))
    return next(files, None)


def follow_tutorial(lab: Lab, problem: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Write the files of a problem and run its commands, in the order of the page; return the
    commands of main.py."""
    followed = []
    for block in TUTORIAL.blocks:
        file = file_of(block)
        if file is not None:
            if f"problems/{problem}/" in file:
                (lab.home / file).parent.mkdir(parents=True, exist_ok=True)
                (lab.home / file).write_text(block.text)
            continue
        for line in block.text.splitlines():
            words = shlex.split(line)
            if problem not in line or line.startswith(("$", "main.py:")):
                continue
            if words[:2] == ["python", "main.py"]:
                is_training = words[2].startswith("--problem")
                # More threads than the machine has free are slow; workers do not see the lab.
                few = ["--experiment.threads=1", "--data.workers=0"] if is_training else []
                assert main.main([*words[2:], *few]) == 0, capsys.readouterr().err
                followed.append("train" if is_training else words[2])
            else:
                if words[0] == "python":
                    words[0] = sys.executable
                subprocess.run(words, cwd=lab.home, check=True, capture_output=True)
    return followed


def test_the_tutorial_trains_its_own_problem(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    assert follow_tutorial(lab, "Stripes", capsys).count("train") == 2
    assert capsys.readouterr().out.count("test accuracy") == 2
    logs = lab.problems / "Stripes" / "logs"
    claims = [
        float(number)
        for block in TUTORIAL.blocks
        for number in re.findall(r"Measured: above (\d+) %", block.text)
    ]
    for exp_id, claim in enumerate(claims):
        record = (logs / f"exp{exp_id:03d}" / "run.json").read_text()
        found = re.search(r'"test/top1": ([\d.]+)', record)
        assert found is not None
        assert float(found[1]) > claim


def test_the_tutorials_table_goes_through_all_commands(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    assert follow_tutorial(lab, "Sales", capsys) == ALL_COMMANDS
    out = capsys.readouterr().out
    assert "0 mismatches in" in out
    assert re.search(r"mae of 6 samples: integers [\d.]+, fake-quantized [\d.]+", out)
    run = RunFolder(problem="Sales", exp_id=0, path=lab.problems / "Sales" / "logs" / "exp000")
    metrics = run.record()["metrics"]
    (claim,) = re.findall(r"Measured: an error below (\d+) pieces", "".join(texts("yaml")))
    assert metrics["test/mae"] < float(claim)
    # What was cut off before its test goes on, and ends with the same numbers.
    run.update(status="interrupted", folds=[])
    assert main.main(["resume", "--problem=Sales", "--exp_id=0"]) == 0
    assert run.record()["metrics"] == metrics
    # The exported program alone, its input made of the file as a host does it.
    program = from_bytes((run.fold(0) / "deploy" / "best" / "program.qlp").read_bytes(), "")
    table = "problems/Sales/data/sales.csv"
    module = importlib.import_module("problems.Sales.data")
    codes = program.encode("input", module.read_rows(lab.home / table).numpy())
    (output,) = program.outputs
    reals = program.reals[output](interpret(program, {"input": codes})[output])[:, 0]
    capsys.readouterr()
    assert main.main(["predict", "--problem=Sales", "--exp_id=0", "--json", table]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["row"] for row in said] == list(range(24))
    pieces = [row["prediction"] for row in said]
    np.testing.assert_allclose(reals * module.TARGET.std + module.TARGET.mean, pieces, atol=1.0)


COLORS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def write_photos(folder: Path) -> None:
    """Write twelve images of each color, no two of one size."""
    for color, rgb in COLORS.items():
        (folder / color).mkdir(parents=True)
        for number in range(12):
            size = (40 + 3 * number, 60 - number)
            Image.new("RGB", size, rgb).save(folder / color / f"{number}.png")


def test_the_tutorials_photos_go_through_all_commands(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    subprocess.run(["bash", "cfg/problem.sh", "Photos"], check=True, capture_output=True)
    write_photos(lab.problems / "Photos" / "data" / "photos")
    assert follow_tutorial(lab, "Photos", capsys) == ALL_COMMANDS
    out = capsys.readouterr().out
    assert "test accuracy (top-1): 100.00 % on 9 test samples" in out
    assert "0 mismatches in" in out
    predicted = re.search(r"0\.png +.\s+(\w+)", out)
    assert predicted is not None
    assert predicted[1] == "red"


def texts(language: str) -> list[str]:
    return [block.text for block in TUTORIAL.blocks if block.language == language]


def test_the_tutorials_complaint(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    block = next(b for b in TUTORIAL.blocks if b.text.startswith("$ "))
    for file in TUTORIAL.blocks:
        name = file_of(file)
        if name is not None:
            (lab.home / name).parent.mkdir(parents=True, exist_ok=True)
            (lab.home / name).write_text(file.text)
    (lab.problems / "Stripes" / "__init__.py").touch()
    command, said = block.text.splitlines()
    assert main.main(shlex.split(command)[3:]) == 2
    assert capsys.readouterr().err.strip() == said


EXAMPLES = {
    f"{name}-{number}": block.text
    for name, page in (
        ("README.md", README),
        ("quantization.md", QUANTIZATION),
        ("monitor.md", MONITOR),
        ("after-training.md", AFTER_TRAINING),
    )
    for number, block in enumerate(page.blocks)
    if block.language == "python"
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_examples_run(name: str) -> None:
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": "__example__"})


def test_examples_of_integers_run_one_after_the_other() -> None:
    """The last one goes on with the program of the first."""
    names: dict[str, object] = {"__name__": "__example__"}
    examples = [block.text for block in INTEGER.blocks if block.language == "python"]
    assert len(examples) == 6
    for number, example in enumerate(examples):
        exec(compile(example, f"integer.md-{number}", "exec"), names)


def test_monitor_entries_are_valid() -> None:
    (block,) = [block for block in MONITOR.blocks if block.language == "yaml"]
    document = parse_document(block.text, name="monitor.md")
    entries = TypeAdapter(list[Entry]).validate_python(document.values["monitor"])
    assert [entry.stat for entry in entries] == ["sqnr", "clipping_share", "update_ratio"]
