"""Targets that are no classes go through all commands: boxes, several labels of an image."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from experiments.library import load_problem
from experiments.protocols import InMemory
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


def test_images_of_floats_train_and_test(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    data = lab.problems / "Toy" / "data.py"
    data.write_text(data.read_text().replace("inputs=inputs,", "inputs=inputs / 255,"))
    assert "test accuracy" in said(capsys, *TOY_RUN)
