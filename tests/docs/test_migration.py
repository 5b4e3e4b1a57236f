"""docs/migration.md: every command and flag is run, every key, file and import is there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import main
from experiments.configuration.documents import parse_document
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from tests.board_server import eventually, tensorboard
from tests.docs.keys import is_key
from tests.docs.markdown import CHECKOUT, read_page, spans
from tests.lab import BIN, TOY, Lab
from tests.quantlab.conversion import early_exits

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
XYZ = ["--problem=XYZ", "--topology=ABC"]
SMALL = {
    "ImageNet": ["--network.params.num_classes=2", "--data.batch_size=2", "--data.workers=0"],
    "XYZ": [],
}


def commands(heading: str) -> list[str]:
    """Return the commands in the column `here`; their order is that of the rows."""
    return [spans(row[1])[0] for row in PAGE.section(heading).rows]


SCRIPTS = [c for c in commands("Commands") if "bash " in c]
LAUNCHED = [c for c in commands("Commands") if c.startswith("horovodrun")]
FLAGS = commands("Flags of main.py")


@pytest.fixture
def xyz(lab: Lab) -> Lab:
    """A checkout with the problem XYZ and its topology ABC."""
    shutil.copytree(TOY, lab.problems / "XYZ")
    (lab.problems / "XYZ" / "Tiny").rename(lab.problems / "XYZ" / "ABC")
    return lab


def logs(lab: Lab, problem: str = "XYZ") -> Path:
    return lab.problems / problem / "logs"


def record(lab: Lab, exp_id: int, problem: str = "XYZ") -> dict[str, object]:
    text = (logs(lab, problem) / f"exp{exp_id:03d}" / "run.json").read_text()
    found: dict[str, object] = json.loads(text)
    return found


def test_no_command_is_left_out() -> None:
    others = {"conda env create -f environment.yml", "tensorboard --logdir problems/XYZ/logs"}
    assert set(commands("Commands")) == {*SCRIPTS, *LAUNCHED, *others}
    assert all(command.startswith("python main.py ") for command in FLAGS)


@pytest.mark.long
def test_conda_reads_the_environment_file() -> None:
    conda = shutil.which("conda") or shutil.which("mamba")
    if conda is None:
        pytest.skip("needs conda: install Miniforge")
    command = [conda, *shlex.split(commands("Commands")[0])[1:], "--dry-run", "-n", "quantlab-dry"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", SCRIPTS)
def test_scripts(lab: Lab, command: str) -> None:
    subprocess.run(["bash", "-ec", command], cwd=lab.home, check=True, capture_output=True)
    name = command.split()[-1]
    made = [lab.home / "storage" / "QuantLab" / "problems"]
    if not name.endswith(".sh"):
        made = [lab.problems / name / folder for folder in ("data", "logs", "__init__.py")]
    assert all(path.exists() for path in made)


def test_the_documented_sample_of_hard_folders(xyz: Lab) -> None:
    disks = {letter: xyz.home.parent / f"scratch{letter}" for letter in "ab"}
    for disk in disks.values():
        disk.mkdir()
    sample = f"{{\n    'data': '{disks['b']}',\n    'logs': '{disks['a']}'\n}}\n"
    (xyz.home / "cfg" / "hard_folders.json").write_text(sample)
    assert main.main(XYZ) == 0
    assert (disks["a"] / "QuantLab/problems/XYZ/logs/exp000/run.json").is_file()
    assert (disks["b"] / "QuantLab/problems/XYZ/data/patches.txt").is_file()


@pytest.mark.parametrize("command", LAUNCHED)
def test_under_the_real_horovodrun(xyz: Lab, command: str) -> None:
    if not (BIN / "horovodrun").exists():
        pytest.skip("needs Horovod: bash cfg/horovod.sh")
    problem = re.findall(r"--problem=(\w+)", command)[0]
    subprocess.run(["bash", "cfg/problem.sh", problem], cwd=xyz.home, check=True)
    if problem == "ImageNet":
        for photo in ("train/n01/a", "train/n02/b", "val/n01/c", "val/n02/d"):
            file = (xyz.problems / "ImageNet" / "data" / photo).with_suffix(".png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), (200, 100, 50)).save(file)
    words = shlex.split(command)
    program = words.index("python")
    small = ["--experiment.threads=1", "--experiment.epochs=1", *SMALL[problem]]
    done = xyz.run(*words[program + 2 :], *small, launcher=tuple(words[:program]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (record(xyz, 0, problem)["launcher"], record(xyz, 0, problem)["status"]) == (
        "horovod",
        "done",
    )


def test_the_real_tensorboard_shows_the_run(xyz: Lab) -> None:
    assert main.main(XYZ) == 0
    program, *arguments = shlex.split(commands("Commands")[-1])
    assert program == "tensorboard"
    runs = [f"exp000/fold0/stats/{record(xyz, 0)['name']}"]
    with tensorboard(arguments, xyz.home) as fetch:
        assert eventually(lambda: fetch("data/runs"), lambda shown: shown == runs) == runs


def interrupt_when(is_due: Callable[[], bool]) -> threading.Thread:
    """Press Ctrl-C in this process as soon as something is the case."""

    def watch() -> None:
        while not is_due():
            time.sleep(0.001)
        os.kill(os.getpid(), 2)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher


def test_exp_id_goes_on_with_a_run(xyz: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = interrupt_when((logs(xyz) / "exp000" / "fold0" / "metrics.jsonl").exists)
    assert main.main([*XYZ, "--experiment.epochs=50"]) == 130
    watcher.join()
    assert record(xyz, 0)["status"] == "interrupted"
    (command,) = [c for c in FLAGS if " resume " in c]
    assert f"go on with: {command}" in capsys.readouterr().out
    assert main.main(shlex.split(command)[2:]) == 0
    assert "resumed at epoch" in capsys.readouterr().out
    assert record(xyz, 0)["status"] == "done"


@pytest.mark.parametrize("command", sorted({c for c in FLAGS if " resume " not in c}))
def test_flags(xyz: Lab, capsys: pytest.CaptureFixture[str], command: str) -> None:
    needs_run = "exp_id=0" in command
    if needs_run:
        every = ["--experiment.epochs=5", "--checkpoint.every_epochs=5"]
        assert main.main([*XYZ, *every]) == 0
    capsys.readouterr()
    longer = ["--experiment.epochs=5"] if "every_epochs" in command else []
    assert main.main([*shlex.split(command)[2:], *longer]) == 0
    said = capsys.readouterr().out
    if command.split()[2] == "test":
        name = command.partition("--checkpoint=")[2] or "best"
        assert f"XYZ/exp000 {name}.ckpt" in said
        return
    assert "test accuracy" in said
    newest = int(needs_run)
    assert record(xyz, newest)["status"] == "done"
    saves = logs(xyz) / f"exp{newest:03d}" / "fold0" / "saves"
    assert (saves / "epoch0005.ckpt").exists() == ("every_epochs=5" in command)


def test_flags_of_the_original(xyz: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {spans(row[0])[0] for row in PAGE.section("Flags of main.py").rows}
    assert set(XYZ) < flags
    for flag in flags - set(XYZ):
        assert main.main([*XYZ, flag]) == 2
        name = flag.partition("=")[0]
        assert f"{name}: train has no such option" in capsys.readouterr().err


def test_files(xyz: Lab) -> None:
    assert main.main([*XYZ, "--experiment.epochs=5", "--checkpoint.every_epochs=5"]) == 0
    subprocess.run(["bash", "cfg/problem.sh", "XYZ"], cwd=xyz.home, check=True)
    homes = (CHECKOUT, xyz.home, logs(xyz) / "exp000")
    for row in PAGE.section("Files").rows:
        file = spans(row[1])[0]
        assert any((home / file).exists() for home in homes), file


KEYS = PAGE.section("Keys of config.json").rows + PAGE.section("Distillation by MLG").rows


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row[0])
def test_keys(row: list[str]) -> None:
    assert is_key(spans(row[1])[0].split("."))


def test_a_config_in_json_with_the_hand_scheduler() -> None:
    text = """{"experiment": {"folds": 1, "epochs": 100, "target": "loss", "seed": 4711},
        "data": {"augment": true, "batch_size": 48, "eval_batch_size": 48},
        "network": {"class": "ResNet", "params": {"layers": [2, 2, 2, 2]}},
        "training": {"loss": {"class": "CrossEntropyLoss", "params": {}},
            "optimizer": {"class": "SGD", "params": {"lr": 0.1, "momentum": 0.9}},
            "lr_scheduler": {"class": "Hand", "params": {"schedule": {"0": 1, "25": 0.1}}}}}"""
    config = validate(Config, parse_document(text, name="config.json"))
    assert config.experiment.epochs == 100


CONVERSION = PAGE.section("Conversion by SparseComp").rows
EXITS = PAGE.section("Early exits by SparseComp").rows
CALLS = [row for row in CONVERSION if row[1].startswith("`save_")]


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row[0])
def test_calls_of_the_conversion(
    row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layers = {"conv1": nn.Conv2d(1, 4, 3), "relu": nn.ReLU(), "flatten": nn.Flatten()}
    model = nn.Sequential(OrderedDict(layers, fc1=nn.Linear(4 * 16, 3)))
    names: dict[str, object] = {"model": model, "single_sample": torch.rand(1, 1, 6, 6)}
    imported = next(spans(row[1])[0] for row in CONVERSION if "import" in row[1])
    exec(compile(imported, "migration.md", "exec"), names)
    call = spans(row[1])[0]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        exec(compile(call, "migration.md", "exec"), names)
    assert len(said) == ("f32" not in call)
    for path in (spans(row[1])[0] for row in CONVERSION if row[1].startswith("`my_model/")):
        assert (tmp_path / path).is_file(), path


@pytest.mark.parametrize("row", [row for row in EXITS if row[1].startswith("`save_")], ids=str)
def test_calls_of_early_exits(
    row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    baseline, exit_model = early_exits.models()
    names: dict[str, object] = {
        "baseline": baseline,
        "exit_model": exit_model,
        "simulate_exit": lambda outputs: [*outputs[:2], torch.zeros_like(outputs[2])],
        "single_sample": early_exits.images(1),
    }
    imported = next(spans(row[1])[0] for row in EXITS if "import" in row[1])
    exec(compile(imported, "migration.md", "exec"), names)
    with pytest.warns(UserWarning, match="^samples: 1 given"):
        exec(compile(spans(row[1])[0], "migration.md", "exec"), names)
    files = [spans(row[1])[0] for row in EXITS if row[1].startswith("`my_model/")]
    assert len(files) == 9
    for path in files:
        assert (tmp_path / path).is_file(), path


def test_each_call_of_the_conversion_is_told() -> None:
    original = [row[0] for row in [*CONVERSION, *EXITS] if "save_compressed" in row[0]]
    documented = (
        "from conversion import save_compressed_model",
        "save_compressed_model(model, 'csr', input_data=single_sample)",
        "save_compressed_early_exit_model(baseline, exit_model, 'csr', ",
    )
    assert [any(call in row for row in original) for call in documented] == [True] * 3
    assert all(row[2] for row in [*CONVERSION, *EXITS] if row[1] == "none")


@pytest.mark.parametrize("row", PAGE.section("Imports").rows, ids=lambda row: row[0])
def test_imports(row: list[str]) -> None:
    if row[1] == "none":
        assert row[2], "what to do instead"
        return
    exec(compile(spans(row[1])[0], "migration.md", "exec"), {})
