"""Targets that are no classes go through all commands: boxes, several labels of an image."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from experiments.library import load_problem
from experiments.protocols import InMemory
from tests.docs.test_snippets import TUTORIAL, file_of
from tests.lab import CHECKOUT, TOY_RUN, Lab

SQUARES = CHECKOUT / "tests" / "toy" / "Squares"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main.main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_boxes_go_through_all_commands(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lab.problems / "Squares"
    shutil.copytree(SQUARES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    run = ("--problem=Squares", "--exp_id=0")
    out = said(capsys, "--problem=Squares", "--topology=Grid")
    assert "test: test/map 100  test/map50 100" in out
    assert "nothing to resume" in said(capsys, "resume", *run)
    assert json.loads(said(capsys, "test", *run, "--json"))["metrics"]["map"] == 100
    assert "map of 20 samples: integers 100, fake-quantized 100" in said(capsys, "verify", *run)
    assert "measured on 20 test images" in said(capsys, "report", *run)
    assert "exact.onnx" in said(capsys, "export", *run)
    assert "map 100 (synthetic)" in said(capsys, "list", "--problem=Squares")
    test = load_problem("Squares").data.load(Path(), "synthetic").test
    assert isinstance(test, InMemory)
    Image.fromarray(test.inputs[0, 0].numpy()).save(lab.home / "one.png")
    (found,) = json.loads(said(capsys, "predict", *run, "--json", str(lab.home / "one.png")))
    boxes = {(*map(round, box[:4]), round(box[5])) for box in found["prediction"] if box[5] >= 0}
    assert boxes == {tuple(map(int, box)) for box in test.targets[0].tolist() if box[4] >= 0}
    assert " and 40 more" in said(capsys, "predict", *run, str(lab.home / "one.png"))


METER = """
import torch


class Meter:
    directions = {"exact": "max"}

    def __init__(self, classes):
        self.reset()

    def reset(self):
        self.counts = {"right": torch.zeros(()), "all": torch.zeros(())}

    def update(self, predictions, targets, loss):
        self.counts["right"] += ((predictions > 0) == targets.bool()).all(1).sum()
        self.counts["all"] += len(targets)

    def state(self):
        return dict(self.counts)

    def load_state(self, state):
        self.counts = dict(state)

    def compute(self):
        yield "exact", 100 * float(self.counts["right"] / self.counts["all"])
"""


def test_several_labels_of_an_image(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    toy = lab.problems / "Toy"
    text = (toy / "data.py").read_text()
    labels = "targets=torch.nn.functional.one_hot(targets, 4).float(),"
    (toy / "data.py").write_text(text.replace("targets=targets,", labels))
    (toy / "meter.py").write_text(METER)
    given = ("--experiment.target=exact", "--training.loss.class=BCEWithLogitsLoss")
    assert "test: test/exact" in said(capsys, *TOY_RUN, *given)
    np.savez(lab.home / "some.npz", inputs=np.zeros((2, 1, 6, 6), np.uint8))
    out = said(capsys, "predict", "--problem=Toy", "--exp_id=0", str(lab.home / "some.npz"))
    assert out.count("some.npz") == 2


def change(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


def test_a_table_with_a_category_as_its_target(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    sales = lab.problems / "Sales"
    subprocess.run(["bash", "cfg/problem.sh", "Sales"], check=True, capture_output=True)
    for block in TUTORIAL.blocks:
        name = file_of(block)
        if name is not None and "/Sales/" in name:
            (lab.home / name).parent.mkdir(parents=True, exist_ok=True)
            (lab.home / name).write_text(block.text)
    (sales / "Small" / "loss.py").unlink()
    names = '    Category(name="region", values=("north", "south", "west")),\n'
    change(
        sales / "data.py",
        (names, ""),
        ('TARGET = Number(name="sold", mean=50, std=25)', f"TARGET = {names.strip().strip(',')}"),
        ("COLUMNS = (", 'COLUMNS = (\n    Number(name="sold", mean=50, std=25),'),
    )
    change(sales / "meter.py", ("problems.tables.meter", "problems.images.meter"))
    change(sales / "meter.py", ("ErrorMeter", "ClassificationMeter"))
    (sales / "Small" / "postprocess.py").write_text(
        "from problems.images.scores import postprocess"
    )
    network = sales / "Small" / "network.py"
    change(network, ("num_features: int = 5", "num_features: int = 3"))
    change(network, ("nn.Linear(hidden, 1)", "nn.Linear(hidden, 3)"))
    config = sales / "Small" / "config.yaml"
    change(config, ("StandardizedError", "CrossEntropyLoss"), (", target: mae", ""))
    table = sales / "data" / "sales.csv"
    assert main.main(["--problem=Sales", "--topology=Small"]) == 3
    assert "sales.csv:17: column 'region': '' given; allowed: north, south, west" in (
        capsys.readouterr().err
    )
    change(table, ("11.48,608,,72", "11.48,608,north,72"))
    assert "test accuracy (top-1)" in said(capsys, "--problem=Sales", "--topology=Small")
    run = ("--problem=Sales", "--exp_id=0")
    assert "the same class for 100.00 %" in said(capsys, "verify", *run)
    found = json.loads(said(capsys, "predict", *run, "--json", "--top=1", str(table)))
    assert [row["row"] for row in found] == list(range(24))
    assert {row["predictions"][0]["class"] for row in found} <= {"north", "south", "west"}


def test_images_of_floats_train_and_test(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    data = lab.problems / "Toy" / "data.py"
    data.write_text(data.read_text().replace("inputs=inputs,", "inputs=inputs / 255,"))
    assert "test accuracy" in said(capsys, *TOY_RUN)
