"""`main.py compress` on runs of the toy problem, in this process and, killed, in others."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import torch

import main
from experiments.command_line import Invocation
from experiments.commands.restored import dense_network, restore
from experiments.compression.shown import Shown
from experiments.configuration.documents import read_document
from quantlab.integer.file import from_bytes
from tests.experiments.commands.test_verify import RULES
from tests.lab import BIN, TOY_RUN, Lab

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")

FLOAT_RUN = (*TOY_RUN, "--network.class=Plain", "--network.params.hidden=6")
COMPRESS = ("compress", "--problem=Toy", "--exp_id=0", "--board=host")
SHORT = ("--budget.ram=4000", "--recipe.epochs=3", "--recipe.calibration=16")
# More weights than fit.
WIDE_RUN = (*TOY_RUN, "--network.class=Plain", "--network.params.hidden=64")
WIDE_BUDGET = ("--budget.flash=4400", "--recipe.epochs=6", "--recipe.calibration=16")
Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *arguments: str, code: int = 0) -> str:
    """Run a command; return what it printed, or its error."""
    capsys.readouterr()
    assert main.main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code in (0, 130) else captured.err


def outcome(lab: Lab, exp_id: int) -> dict[str, Any]:
    """All that must not depend on having been interrupted."""
    record, folder = lab.record(exp_id), lab.folder(exp_id).path
    made = [*folder.glob("report.*"), *folder.glob("*.qlp"), *folder.rglob("c/**/*")]
    return {
        "entries": {
            name: record[name] for name in ("status", "exit_code", "metrics", "weights_sha256")
        },
        "files": {
            str(path.relative_to(folder)): path.read_bytes() for path in made if path.is_file()
        },
    }


def test_a_compression_is_a_run_that_goes_on_to_the_same_bytes(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.main([*FLOAT_RUN, "--experiment.folds=2"]) == 0
    asked = (*COMPRESS, *SHORT, "--fold=1", "--checkpoint=last")
    out = said(capsys, *asked)
    record, folder = lab.record(1), lab.folder(1).path
    assert record["config"] == read_document(folder / "config.yaml").values
    assert record["config"]["parent"] == {"exp_id": 0, "fold": 1, "checkpoint": "last"}
    assert (record["status"], record["exit_code"], record["parent"]) == ("done", 0, "Toy/exp000")
    assert "Toy/exp001  Tiny  compresses Toy/exp000" in out
    assert (folder / "report.txt").read_text() in out
    assert f"C: {folder / 'c'}" in out
    report = json.loads((folder / "report.json").read_text())
    assert record["metrics"] == {
        "dense/top1": report["dense_accuracy"],
        "valid/top1": report["accuracy"],
        "test/top1": report["test_accuracy"],
        "flash": report["flash"],
        "ram": report["ram"],
    }
    program = from_bytes((folder / "program.qlp").read_bytes(), "program.qlp")
    assert program.inputs["input"].shape == (1, 6, 6)

    epochs = Shown.epoch

    def interrupted(shown: Shown, what: str, done: int, total: int | None) -> None:
        epochs(shown, what, done, total)
        if done == 2:  # trained, but not kept yet
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Shown, "epoch", interrupted)
        out = said(capsys, *asked, code=130)
    resume = ("resume", "--problem=Toy", "--exp_id=2")
    assert f"interrupted; go on with: python main.py {' '.join(resume)}" in out
    assert (lab.record(2)["status"], lab.record(2)["exit_code"]) == ("interrupted", 130)
    assert "report.json: not there; Toy/exp002 is interrupted" in said(
        capsys, "report", "--problem=Toy", "--exp_id=2", "--json", code=2
    )
    assert said(capsys, *resume, "--experiment.epochs=9", code=2).startswith(
        "main.py: --experiment.epochs: no effect on Toy/exp002, a compression"
    )
    said(capsys, *resume)
    assert outcome(lab, 2) == outcome(lab, 1)
    assert len(lab.record(2)["resumed"]) == 1
    assert "Toy/exp002 is done; nothing to resume" in said(capsys, *resume)
    check_other_commands(lab, capsys)


def check_other_commands(lab: Lab, capsys: Captured) -> None:
    """Check what the other commands make of a compression, run 1."""
    record, folder = lab.record(1), lab.folder(1).path
    flash = f"{record['metrics']['flash']:,}"
    assert f"(compresses Toy/exp000, {flash} bytes, synthetic)" in said(capsys, "list")
    run = ("--problem=Toy", "--exp_id=1")
    assert said(capsys, "report", *run) == (folder / "report.txt").read_text()
    assert said(capsys, "report", *run, "--json") == (folder / "report.json").read_text()
    assert "--samples: no effect on Toy/exp001, a compression" in said(
        capsys, "report", *run, "--samples=3", code=2
    )
    assert "0 mismatches in " in said(capsys, "verify", *run, "--samples=3")
    (engine,) = json.loads((folder / "certificate.json").read_text())["engines"]
    assert (engine["engine"], engine["num_samples"]) == ("c", 3)
    assert "--tested: no effect on Toy/exp001, a compression" in said(
        capsys, "verify", *run, "--tested=3", code=2
    )
    for command in ("test", "export", "predict", "compress"):
        more = {"compress": ["--budget.ram=4000"], "predict": ["a.png"]}.get(command, [])
        error = said(capsys, command, *run, *more, code=2)
        assert f"Toy/exp001 is a compression of Toy/exp000, with C in {folder / 'c'}" in error
        assert f"{command} takes runs that train" in error
    kept = outcome(lab, 1)
    assert "done: no state is needed" in said(capsys, "clean", "--apply")
    assert outcome(lab, 1) == kept
    assert not (folder / "state").exists()
    assert "0 B may go" in said(capsys, "clean")


WRONG = {
    "": "budget: neither flash nor ram given, at least one of them needed",
    "--budget.flash=many": "budget.flash: 'many' given, bytes such as 20000 or '20 KB' allowed",
    "--budget.flash=-3": "budget.flash: -3 given, at least 1 byte allowed",
    "--budget.falsh=9": "budget.falsh: unknown key; did you mean 'flash'? (command line)",
    "--budgett.flash=9": "budgett: unknown key; did you mean 'budget'?",
    "--flor=9": "--flor: compress has no such option; did you mean 'floor'?",
    "--budget.ram=900 --floor=high": "floor: input should be a valid number (got 'high')",
    "--budget.ram=900 --floor=0.9": "floor: 0.9 given; it is in percent: 90",
    "--budget.ram=900 --floor=101": "floor: 101.0 given, 0 to 100 percent allowed",
    "--budget.ram=900 --board=c-m5": "board: 'c-m5' given, host, ",
    "--budget.ram=900 --recipe.epoch=9": "recipe.epoch: unknown key; did you mean 'epochs'?",
    "--budget.ram=900 --recipe.epochs=1": "recipe.epochs: input should be greater than or equal",
    "--budget.ram=900 --recipe.weight_bits=[3]": "recipe.weight_bits.0: ",
    "--budget.ram=900 --parent.fold=1": "parent: unknown key",
    "--budget.ram=9": "budget.ram: 76 bytes needed, 9 given: 36 of inputs, 16 of outputs",
    "--budget.flash=99": "budget.flash: 99 bytes given, at least ",
    "--budget.ram=4000 --floor=99": "floor: 99 % given, at most the ",
    "--budget.ram=4000 --fold=1": "--fold=1: Toy/exp000 has 1 fold; 0 allowed",
    "--budget.ram=4000 --checkpoint=first": "first.ckpt: no such checkpoint; there are: best, last",
}


def test_what_is_wrong_is_one_line_and_leaves_nothing(lab: Lab, capsys: Captured) -> None:
    assert main.main([*FLOAT_RUN]) == 0
    before = lab.everything_in_logs()
    for given, message in WRONG.items():
        error = said(capsys, *COMPRESS[: 3 if "--board" in given else 4], *given.split(), code=2)
        assert message in error, given
        assert error.count("\n") == 1, given
        assert lab.everything_in_logs() == before, given


def test_a_fraction_as_floor_is_refused_before_the_run_is_read(lab: Lab, capsys: Captured) -> None:
    asked = ("compress", "--problem=Toy", "--exp_id=9", "--board=host", "--budget.ram=900")
    error = said(capsys, *asked, "--floor=0.9", code=2)
    assert error == "main.py: floor: 0.9 given; it is in percent: 90\n"


def test_a_pruned_network_is_one_with_zeros(lab: Lab) -> None:
    assert main.main([*FLOAT_RUN, "--prune={sparsity: 0.5}"]) == 0
    options = {"problem": "Toy", "exp_id": "0"}
    restored = restore(Invocation(command="compress", options=options, overrides=[], operands=[]))
    dense = dense_network(restored)
    weights = [dense.get_parameter(f"{name}.weight") for name in ("linear1", "linear2")]
    assert [weight.shape for weight in weights] == [(6, 36), (4, 6)]
    assert sum(int((weight == 0).sum()) for weight in weights) == (216 + 24) // 2
    samples = torch.rand(8, 1, 6, 6)
    assert torch.allclose(dense(samples), restored.network(samples), atol=1e-5)


def test_a_run_with_quantizers_is_refused(lab: Lab, capsys: Captured) -> None:
    assert main.main([*TOY_RUN]) == 0
    quantized = (f"--quantize.rules={RULES}", "--network.pretrained.exp_id=0")
    assert main.main([*TOY_RUN, *quantized]) == 0
    error = said(capsys, "compress", "--problem=Toy", "--exp_id=1", "--budget.ram=900", code=2)
    assert error == (
        "main.py: --exp_id=1: Toy/exp001 has quantizers, which compress adds itself; a run in "
        "float, such as its parent Toy/exp000 allowed\n"
    )


def test_the_missing_compiler_is_named(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.main([*FLOAT_RUN]) == 0
    monkeypatch.setenv("PATH", str(lab.home))
    error = said(capsys, "compress", "--problem=Toy", "--exp_id=0", "--budget.ram=900", code=2)
    assert "'c-m3' needs arm-none-eabi-gcc: sudo apt-get install gcc-arm-none-eabi" in error


@pytest.mark.long
def test_a_floor_that_cannot_be_held_keeps_the_curve(lab: Lab, capsys: Captured) -> None:
    # Without validation samples a tenth is held out of those that the run has learned by heart.
    learned = ("--experiment.epochs=60", "--data.valid_fraction=0")
    assert main.main([*WIDE_RUN, *learned]) == 0
    capsys.readouterr()
    ruined = ("--recipe.learning_rate=30", "--recipe.distill=0", "--floor=84")
    assert main.main([*COMPRESS, *WIDE_BUDGET, *ruined]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("main.py: floor: 84 % wanted, ")
    record, folder = lab.record(1), lab.folder(1).path
    assert (record["status"], record["exit_code"]) == ("unreachable", 2)
    assert f"run folder: {folder}" in out
    curve = json.loads((folder / "curve.json").read_text())
    assert [point["epoch"] for point in curve] == [0, 1, 2, 3]
    assert record["metrics"] == {"smallest": curve[0]["flash"]}
    for point in curve:
        assert f"{point['flash']:,}" in out
        assert f"{point['accuracy']:.2f}" in out
    assert "accuracy" in (folder / "report.txt").read_text()
    assert "nothing to resume" in said(capsys, "resume", "--problem=Toy", "--exp_id=1")
    assert "unreachable: no state is needed" in said(capsys, "clean", "--apply")
    assert "unreachable" in said(capsys, "list")
    assert said(capsys, "report", "--problem=Toy", "--exp_id=1")


@pytest.mark.long
def test_a_compression_that_is_killed_goes_on_to_the_same_bytes(lab: Lab) -> None:
    """SIGKILL, each time a little later, while weights are removed and later."""
    alone = {"OMP_NUM_THREADS": "1"}
    assert lab.run(*WIDE_RUN, env=alone).returncode == 0
    asked = (*COMPRESS, *WIDE_BUDGET)
    assert lab.run(*asked, env=alone).returncode == 0
    expected = outcome(lab, 1)
    assert 0 < expected["entries"]["metrics"]["flash"] <= 4400
    num_killed = 0
    for exp_id, kept in zip(
        itertools.count(2), ("compression.json", "ramp", "settling"), strict=False
    ):
        process = lab.start(*asked, env=alone)
        state = lab.folder(exp_id).path / "state"
        while process.poll() is None and not list(state.glob(f"{kept}*")):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        num_killed += lab.record(exp_id)["status"] == "killed"
        while lab.record(exp_id)["status"] == "killed":
            resumed = lab.start("resume", "--problem=Toy", f"--exp_id={exp_id}", env=alone)
            resumed.communicate()
        assert outcome(lab, exp_id) == expected, kept
    assert num_killed > 0


@pytest.mark.long
def test_several_processes_are_refused(lab: Lab) -> None:
    assert lab.run(*FLOAT_RUN).returncode == 0
    launcher = (str(BIN / "torchrun"), "--standalone", "--no-python", "--nproc-per-node=2")
    done = lab.run(*COMPRESS, *SHORT, launcher=launcher)
    assert done.returncode != 0
    assert done.stderr.count("main.py: compress: 2 processes given, 1 allowed") == 1
    assert len(lab.everything_in_logs()) == 1


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_process_says_how_to_go_on(lab: Lab, number: signal.Signals) -> None:
    assert lab.run(*FLOAT_RUN).returncode == 0
    process = lab.start(*COMPRESS, "--budget.ram=4000", "--recipe.epochs=9999")
    states = lab.folder(1).path / "state"
    while process.poll() is None and not list(states.glob("*.state")):
        time.sleep(0.05)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("interrupted; go on with: python main.py resume --problem=Toy --exp_id=1\n")
    assert lab.record(1)["status"] == "interrupted"
    assert lab.record(1)["seconds"] > 0


FULL_DISK = """
disk=$1; run="$2 main.py"; logs=$disk/QuantLab/problems/Toy/logs
mount -t tmpfs -o size=2m none $disk || exit 99
$run --problem=Toy --topology=Tiny >&2
for left in 4096 40960; do
    free=$(df --output=avail -B1 $disk | tail -1)
    head -c $((free - left)) /dev/zero >$disk/filler
    $run compress --problem=Toy --exp_id=0 --board=host --budget.ram=4000 2>&1 >/dev/null
    echo $? $(ls $logs)
    rm $disk/filler
done
$run resume --problem=Toy --exp_id=1 >&2
echo $? $(ls $logs/exp001)
"""


@pytest.mark.long
def test_a_full_disk_is_one_line(lab: Lab, tmp_path: Path) -> None:
    """Full when the run begins: nothing is left. Full later: the compression goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    within = [str(which("unshare")), "-m", "sh", "-c"]
    can_mount = "mount -t tmpfs none /mnt"
    if not which("unshare") or subprocess.run([*within, can_mount], check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root and unshare (package util-linux)")
    folders = {"data": "storage", "logs": str(disk)}
    (lab.home / "cfg" / "hard_folders.json").write_text(json.dumps(folders))
    (lab.problems / "Toy" / "logs").unlink()
    script = [*within, FULL_DISK, "-", str(disk), sys.executable]
    done = subprocess.run(script, cwd=lab.home, capture_output=True, text=True, check=False)
    first, nothing, second, kept, end = done.stdout.splitlines()
    for line, file in ((first, "exp001/config.yaml"), (second, "exp001/state/ramp.state")):
        assert f"{file}: cannot be written: No space left on device; free some space" in line
    assert (nothing, kept) == ("2 exp000", "2 exp000 exp001")
    assert end.startswith("0 c config.yaml ")
