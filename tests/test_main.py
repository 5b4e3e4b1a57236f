"""main.py: what it prints and returns. Bad inputs: one line, the right code, nothing written."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import main
from experiments.library import load_problem
from experiments.storage import ensure_links
from tests.lab import CHECKOUT, TOY_RUN, Lab

Captured = pytest.CaptureFixture[str]
MNIST = ("--problem=MNIST", "--topology=LeNet")
MNIST_FILES = CHECKOUT.parent / "shared" / "data" / "mnist"


def refused(lab: Lab, capsys: Captured, *arguments: str, code: int = 2) -> str:
    """Run a command that must be refused; return its only line."""
    before = lab.everything_in_logs()
    capsys.readouterr()
    assert main.main(list(arguments)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("main.py: ")
    assert said.err.endswith("\n")
    assert len(said.err.splitlines()) == 1, said.err
    assert lab.everything_in_logs() == before
    return said.err


@pytest.mark.parametrize(
    ("rank", "local_rank", "begins"),
    [("0", "0", "main.py: "), ("1", "1", None), ("1", "0", f"main.py: {os.uname().nodename}: ")],
)
def test_each_host_tells_what_its_files_lack(
    lab: Lab,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    rank: str,
    local_rank: str,
    begins: str | None,
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", local_rank)
    assert main.main([*TOY_RUN, "--config=none"]) == 2
    told = capsys.readouterr().err.splitlines()
    missing = "--config=none: neither a file nor a config of Tiny; there are: "
    assert [line.partition(missing)[0] for line in told] == ([] if begins is None else [begins])


def data_folder(problem: str) -> Path:
    """Make a problem's links; return its data folder."""
    found = load_problem(problem)
    ensure_links(found)
    return found.data_folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["train needs --problem=..."]),
        (["trian", *TOY_RUN], ["no command named 'trian'", "'train'"]),
        (["train", "--problem=Toy"], ["train needs --topology=..."]),
        ([*TOY_RUN, "--problem=Toy"], ["--problem: given twice"]),
        ([*TOY_RUN, "--confg=quantized"], ["--confg", "did you mean 'config'"]),
        (["--problem=Toy", "--topology"], ["--topology: needs a value"]),
        ([*TOY_RUN, "stray"], ["'stray'"]),
        ([*TOY_RUN, "--dist=mpi"], ["--dist=mpi", "horovod, torch, slurm, single"]),
        (["--problem=Tyo", "--topology=Tiny"], ["'Tyo'", "did you mean 'Toy'"]),
        (["--problem=mnist", "--topology=LeNet"], ["'mnist'", "did you mean 'MNIST'"]),
        (["--problem=../Toy", "--topology=Tiny"], ["no problem named '../Toy'"]),
        (["--problem=Toy", "--topology=Tinny"], ["'Tinny'", "did you mean 'Tiny'"]),
        ([*TOY_RUN, "--config=quantised"], ["--config=quantised", "did you mean 'quantized'"]),
        ([*TOY_RUN, "--training.epoch=3"], ["training.epoch: unknown key", "(command line)"]),
        (
            [*TOY_RUN, "--experiment.epoch=3"],
            ["experiment.epoch: unknown key; did you mean 'epochs'"],
        ),
        ([*TOY_RUN, "--trainig.accumulate=3"], ["trainig: unknown key; did you mean 'training'"]),
        ([*TOY_RUN, "--experiment.epochs=many"], ["experiment.epochs", "'many'", "command line"]),
        ([*TOY_RUN, "--experiment.epochs=0"], ["experiment.epochs", "greater than or equal to 1"]),
        ([*TOY_RUN, "--experiment.epochs=1.5"], ["experiment.epochs", "1.5"]),
        ([*TOY_RUN, "--experiment.epochs=true"], ["experiment.epochs", "True"]),
        ([*TOY_RUN, "--data.workers=-1"], ["data.workers"]),
        ([*TOY_RUN, "--data.source=web"], ["data.source", "'synthetic'", "'web'"]),
        ([*TOY_RUN, "--experiment.target=top9"], ["experiment.target", "'top1'", "command line"]),
        ([*TOY_RUN, "--experiment.device=cuda"], ["experiment.device: 'cuda'"]),
        ([*TOY_RUN, "--training.optimizer.params.lr=abc"], ["training.optimizer.params.lr", "abc"]),
        ([*TOY_RUN, "--training.optimizer.params.rl=1"], ["no such parameter; allowed: lr, mom"]),
        ([*TOY_RUN, "--training.optimizer.params.lr=-1"], ["SGD refuses"]),
        ([*TOY_RUN, "--training.optimizer.class=SDG"], ["training.optimizer.class", "'SGD'"]),
        ([*TOY_RUN, "--training.loss.class=CrossEntropyLos"], ["'CrossEntropyLoss'"]),
        ([*TOY_RUN, "--training.lr_scheduler.class=Cosin"], ["'Cosine'"]),
        ([*TOY_RUN, "--training.lr_scheduler.class=Step"], ["Step needs every"]),
        ([*TOY_RUN, "--network.class=Tny"], ["network.class", "'Tiny'"]),
        ([*TOY_RUN, "--network.params.widht=3"], ["network.params.widht", "did you mean 'width'"]),
        ([*TOY_RUN, "--network.params.width=0"], ["Tiny refuses", "width: 0; at least 1"]),
        (
            [*TOY_RUN, "--network.class=Plain", "--network.params.hidden=-1"],
            ["network.params: Plain refuses"],
        ),
        ([*TOY_RUN, "--network.params.shape=['3', '3']"], ["network.params.shape"]),
        ([*TOY_RUN, "--network.params.width=a"], ["network.params.width", "'a'"]),
        ([*TOY_RUN, "--network.params.shape=[3]"], ["network.params.shape"]),
        ([*TOY_RUN, "--network.pretrained={}"], ["network.pretrained: give either `file` or"]),
        ([*TOY_RUN, "--network.pretrained.file=none.ckpt"], ["none.ckpt", "No such file"]),
        ([*TOY_RUN, "--network.pretrained.exp_id=4"], ["exp_id=4", "no such run"]),
        ([*TOY_RUN, "--monitor=[x]"], ["monitor"]),
        ([*TOY_RUN, "--experiment..name=x"], ["--experiment..name", "empty part"]),
        ([*TOY_RUN, "--experiment.name.x=3"], ["--experiment.name.x", "'toy', no section"]),
        ([*TOY_RUN, "--experiment.epochs=[1"], ["--experiment.epochs", "not valid YAML"]),
        ([*TOY_RUN, "--experiment.epochs=!!python/object:os.system 1"], ["tag", "plain data"]),
        (
            [*TOY_RUN, "--config=quantized", "--quantize.rules.1.on=input"],
            ["--quantize.rules.1.on: 1 is no item of the list; allowed: 0 to 0"],
        ),
        (
            [*TOY_RUN, "--config=quantized", "--quantize.rules.0.algorithm.num_bitz=3"],
            ["quantize.rules.0.algorithm.num_bitz: unknown key", "did you mean 'num_bits'"],
        ),
        (
            [*TOY_RUN, "--config=quantized", "--quantize.rules.0.algorithm.kind=stee"],
            ["quantize.rules.0.algorithm", "'ste'"],
        ),
        (
            [*TOY_RUN, "--config=quantized", "--quantize.rules.0.select=conv9"],
            ["quantize.rules.0", "conv9"],
        ),
        ([*TOY_RUN, "--data.valid_fraction=0", "--experiment.early_stop.patience=1"],
         ["experiment.early_stop", "data.valid_fraction"]),
        (
            [*TOY_RUN, "--training.lr_scheduler={class: Step, params: {every: 0}}"],
            ["training.lr_scheduler.params: Step refuses them: every is 0"],
        ),
        (
            [*TOY_RUN, "--experiment.epochs=3", "--training.lr_scheduler="
             "{class: OneCycleLR, params: {max_lr: 0.1, total_steps: 2}}"],
            ["training.lr_scheduler: OneCycleLR does not last 3 epochs", "number of total steps"],
        ),
        ([*TOY_RUN, "--data.valid_fraction=0.999"], ["data.valid_fraction"]),
        ([*TOY_RUN, "--experiment.folds=99"], ["experiment.folds"]),
        (["resume", "--problem=Toy"], ["resume needs --exp_id"]),
        (["resume", "--problem=Toy", "--exp_id=3"], ["exp_id=3", "no such run"]),
        (["resume", "--problem=Toy", "--exp_id=x"], ["--exp_id=x: expected a whole number"]),
        (["test", "--problem=Toy", "--exp_id=3"], ["exp_id=3", "no such run"]),
        (["verify", "--problem=Toy", "--exp_id=3", "--samples=-3"], ["whole number from 1"]),
        (["verify", "--problem=Toy", "--exp_id=3", "--tested=alle"], ["or all,", "mean 'all'"]),
        (["verify", "--problem=Toy", "--exp_id=3", "--tested=-3"], ["from 1, or all"]),
        (["predict", "--problem=Toy", "--exp_id=3"], ["at least one image"]),
        (["list", "--problem=Tyo"], ["did you mean 'Toy'"]),
        (["list", "--json=yes"], ["--json=yes: takes no value"]),
        (["list", "--data.limit=3"], ["data.limit"]),
    ],
)  # fmt: skip
def test_bad_usage(lab: Lab, capsys: Captured, arguments: list[str], words: list[str]) -> None:
    line = refused(lab, capsys, *arguments)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment:\n  epochs: 2\n  epochs: 3\n", [":3: experiment.epochs: given twice", ":2"]),
        ("- experiment\n", ["a list", "mapping"]),
        ("just text\n", ["a str", "mapping"]),
        ("experiment: !!python/object/apply:os.system [true]\n", [":1", "tag", "plain data"]),
        ("experiment: {name: &a [*a]}\n", ["alias"]),
        ("experiment:\n\tepochs: 2\n", [":2", "not valid YAML"]),
        ("experiment:\n  epochs: on\n", ["experiment.epochs", "'on'", "overlay.yaml:2"]),
        ("experiment:\n  seeed: 1\n", ["experiment.seeed", "'seed'", "overlay.yaml:2"]),
        ("experiment: 3\n", ["experiment", "(overlay.yaml:1)"]),
        ("experiment: {seed: " + "1" * 5000 + "}\n", ["overlay.yaml:1: a number of 5000"]),
        ("experiment: " + "[" * 3000 + "\n", ["overlay.yaml"]),
        ("data:\n  batch_size: 1e400\n", ["data.batch_size"]),
        ("? [a]\n: 1\n", ["overlay.yaml:1", "a key is text or a number"]),
    ],
)  # fmt: skip
def test_bad_yaml(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]
) -> None:
    monkeypatch.chdir(lab.home)
    (lab.home / "overlay.yaml").write_text(text)
    line = refused(lab, capsys, *TOY_RUN, "--config=overlay.yaml")
    for word in words:
        assert word in line


def test_files_that_are_no_yaml(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    assert "a directory" in refused(lab, capsys, *TOY_RUN, "--config=cfg")
    (lab.home / "binary.yaml").write_bytes(b"experiment: \xff\xfe\n")
    assert "not UTF-8" in refused(lab, capsys, *TOY_RUN, "--config=binary.yaml")
    (lab.home / "zeros.yaml").write_bytes(bytes(100))
    assert "not valid YAML" in refused(lab, capsys, *TOY_RUN, "--config=zeros.yaml")


def test_the_topologys_own_config_is_checked_too(lab: Lab, capsys: Captured) -> None:
    file = lab.problems / "Toy" / "Tiny" / "config.yaml"
    file.write_text(file.read_text() + "trainning: {}\n")
    line = refused(lab, capsys, *TOY_RUN)
    number = len(file.read_text().splitlines())
    assert f"did you mean 'training'? (problems/Toy/Tiny/config.yaml:{number})" in line


def test_missing_data(lab: Lab, capsys: Captured) -> None:
    line = refused(lab, capsys, "--problem=ImageNet", "--topology=ResNet", code=3)
    assert "cannot be fetched" in line
    assert "no data in" in line
    assert "patches.txt" in refused(lab, capsys, *TOY_RUN, "--data.source=folder", code=3)
    line = refused(lab, capsys, *MNIST, "--data.source=folder", code=3)
    assert "python main.py data --problem=MNIST" in line


@pytest.mark.skipif(not MNIST_FILES.is_dir(), reason=f"needs the MNIST files in {MNIST_FILES}")
def test_damaged_data(lab: Lab, capsys: Captured) -> None:
    data = data_folder("MNIST")
    shutil.copytree(MNIST_FILES, data, dirs_exist_ok=True)
    labels = data / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-20])
    line = refused(lab, capsys, *MNIST, "--data.source=folder", code=3)
    assert "train-labels-idx1-ubyte" in line


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_photo_met_on_the_way(lab: Lab, workers: int) -> None:
    for name in ("n01", "n02"):
        folder = data_folder("ImageNet") / "val" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(folder / "fine.png")
    (folder / "torn.png").write_bytes((folder / "fine.png").read_bytes()[:60])
    done = lab.run(
        "--problem=ImageNet",
        "--topology=MobileNetV2",
        "--network.params.num_classes=2",
        "--data.batch_size=1",
        f"--data.workers={workers}",
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "torn.png: cannot be decoded" in done.stderr


def test_runs_of_another_topology(lab: Lab, capsys: Captured) -> None:
    assert main.main([*TOY_RUN]) == 0
    for command in ("resume", "test"):
        line = refused(lab, capsys, command, "--problem=Toy", "--exp_id=0", "--topology=Other")
        assert "--topology=Other: Toy/exp000 is a run of Tiny" in line
    folder = lab.folder().path
    saves = folder / "fold0" / "saves"
    for option in (f"file={saves / 'last.ckpt'}", "exp_id=0"):
        line = refused(
            lab, capsys, *TOY_RUN, "--network.class=Plain", f"--network.pretrained.{option}"
        )
        assert "last.ckpt: has no entry" in line or "superfluous entry" in line
    line = refused(lab, capsys, "test", "--problem=Toy", "--exp_id=0", "--checkpoint=epoch0009")
    assert "epoch0009.ckpt: no such checkpoint; there are: best, last" in line
    line = refused(lab, capsys, "test", "--problem=Toy", "--exp_id=0", "--fold=4")
    assert "--fold=4: Toy/exp000 has 1 fold; 0 allowed" in line
    line = refused(
        lab, capsys, *TOY_RUN, "--network.pretrained.exp_id=0", "--network.pretrained.fold=3"
    )
    assert "network.pretrained.fold: 3 given; Toy/exp000 has fold 0" in line
    (saves / "best.ckpt").unlink()  # another name of last.ckpt, maybe
    (saves / "best.ckpt").write_bytes(b"torn")
    assert "best.ckpt: damaged" in refused(lab, capsys, "test", "--problem=Toy", "--exp_id=0")
    # A checkpoint put into the run of another topology, manifest and all.
    assert main.main(["--problem=Toy", "--topology=Other"]) == 0
    shutil.copytree(saves, lab.folder(1).path / "fold0" / "saves", dirs_exist_ok=True)
    line = refused(lab, capsys, "test", "--problem=Toy", "--exp_id=1", "--checkpoint=last")
    assert "last.ckpt: a checkpoint of Toy/Tiny; expected one of Toy/Other" in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no checkpoint of tensors"),
        (b"PK\x03\x04 torn", "is no checkpoint of tensors"),
        ({"a": 3}, "holds no network weights"),
        ([1, 2], "holds no network weights"),
        ({"network": {"conv.weight": 1}}, "holds no network weights"),
        (Path("a pickle"), "is no checkpoint of tensors"),
    ],
)
def test_pretrained_files_that_are_none(
    lab: Lab, capsys: Captured, content: object, words: str
) -> None:
    file = lab.home / "weights.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    line = refused(lab, capsys, *TOY_RUN, f"--network.pretrained.file={file}")
    assert str(file) in line
    assert words in line


def test_a_schedule_needs_to_last_as_long_as_max_steps_lets_it(lab: Lab) -> None:
    short = "--training.lr_scheduler={class: OneCycleLR, params: {max_lr: 0.1, total_steps: 2}}"
    assert main.main([*TOY_RUN, short, "--experiment.epochs=90", "--experiment.max_steps=4"]) == 0


def test_divergence(lab: Lab, capsys: Captured) -> None:
    assert main.main([*TOY_RUN, "--network.class=Exploding"]) == 4
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert "training diverged" in said.err
    assert (lab.record()["status"], lab.record()["exit_code"]) == ("failed", 4)


def test_help(lab: Lab, capsys: Captured) -> None:
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: python main.py [command] --problem=P --topology=T")
    for command in ("train", "resume", "test", "predict", "data", "list", "clean"):
        assert f"\n  {command} " in text
        assert main.main([command, "--help"]) == 0
        own = capsys.readouterr().out
        assert own.startswith(f"usage: python main.py {command}")
    assert main.main(["-h"]) == 0


def test_a_true_process_is_refused_in_one_line(lab: Lab) -> None:
    done = lab.run(*TOY_RUN, "--experiment.epochss=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "main.py: experiment.epochss: unknown key; did you mean 'epochs'? (command line)\n"
    )
    assert lab.everything_in_logs() == []


def test_started_by_horovodrun_without_horovod(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "horovod"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no such extension\\nand more')\n")
    environment = {"PYTHONPATH": str(broken.parent), "HOROVOD_RANK": "0", "HOROVOD_SIZE": "2"}
    done = lab.run(*TOY_RUN, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "bash cfg/horovod.sh" in done.stderr
    assert "no such extension" in done.stderr
    assert lab.everything_in_logs() == []


# What torch does while it is imported, in Python and in C++: it goes on, whatever is raised.
_SWALLOWING = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException:
    pass
raise SystemExit(7)
"""


# As a shell does with what it starts in the background, such as these tests.
_IGNORING = ("sh", "-c", "trap '' INT; exec \"$@\"", "-")
_HEEDING = (
    *(sys.executable, "-c"),
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])",
)


@pytest.mark.parametrize(("launcher", "code"), [(_HEEDING, 130), (_IGNORING, 7)])
def test_ctrl_c_while_modules_are_imported(
    lab: Lab, tmp_path: Path, launcher: tuple[str, ...], code: int
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(_SWALLOWING)
    done = lab.run(*TOY_RUN, launcher=launcher, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_ctrl_c_when_the_command_is_done(lab: Lab, tmp_path: Path) -> None:
    late = "import atexit, os, signal\natexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    (tmp_path / "sitecustomize.py").write_text(late)
    done = lab.run("list", "--problem=Toy", launcher=_HEEDING, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    assert "launcher" in done.stdout


def test_a_reader_that_stops_reading(lab: Lab) -> None:
    script = f'"{sys.executable}" main.py --help | true; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=lab.home, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


_SMALL_STORAGE = 'mount -t tmpfs -o size=400k none "$1" && shift && exec "$@"'


def test_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = shutil.which("unshare")
    prefix = [str(unshare), "-m", "sh", "-c", _SMALL_STORAGE, "-", str(disk)]
    if (
        not unshare
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root and unshare (package util-linux)")
    folders = {"data": "storage", "logs": str(disk)}
    (lab.home / "cfg" / "hard_folders.json").write_text(json.dumps(folders))
    (lab.problems / "Toy" / "logs").unlink()
    done = lab.run(
        *TOY_RUN, "--network.params.width=999", launcher=tuple(prefix),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "No space left on device; free some space" in done.stderr


def test_everything_is_validated_before_data_is_read(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    import problems.Toy.data

    def read(*_: object) -> None:
        pytest.fail("the data was read")

    monkeypatch.setattr(problems.Toy.data, "load", read)
    refused(lab, capsys, *TOY_RUN, "--experiment.epochs=none")
    refused(lab, capsys, *TOY_RUN, "--data.limitt=3")


def cut(path: Path) -> None:
    os.truncate(path, 10)


def drop(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [cut, drop])
@pytest.mark.parametrize("file", ["run.json", "config.yaml"])
def test_damaged_run_folders(
    lab: Lab, capsys: Captured, file: str, damage: Callable[[Path], None]
) -> None:
    assert main.main([*TOY_RUN]) == 0
    damage(lab.folder().path / file)
    assert file in refused(lab, capsys, "test", "--problem=Toy", "--exp_id=0") or (
        damage is cut and file == "config.yaml"
    )
