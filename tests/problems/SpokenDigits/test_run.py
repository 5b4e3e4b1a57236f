"""A DS-CNN from recordings to C: trained, tested, exported and verified by main.py."""

import json
from pathlib import Path
from typing import Any

import pytest

import main
from experiments.runs.folder import RunFolder
from problems.SpokenDigits import data
from quantlab.integer.file import from_bytes
from tests.lab import Lab
from tests.problems.SpokenDigits.recording_files import write_recordings
from tests.quantlab.deploy.boards import engine
from tests.quantlab.integer.test_properties import outliving

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "tinyml" / data.ARCHIVE
PROBLEM = "--problem=SpokenDigits"
TRAIN = (PROBLEM, "--topology=DSCNN")
QUANTIZED = "--config=w8a8"
LIMITS = ("--memory-bits=8", "--sum-bits=32")


@pytest.fixture
def storage(lab: Lab) -> Path:
    """Where the data belongs."""
    folder = lab.home / "storage" / "QuantLab" / "problems" / "SpokenDigits" / "data"
    folder.mkdir(parents=True)
    return folder


def run_folder(lab: Lab, exp_id: int) -> RunFolder:
    path = lab.problems / "SpokenDigits" / "logs" / f"exp{exp_id:03d}"
    return RunFolder(problem="SpokenDigits", exp_id=exp_id, path=path)


def accuracy(lab: Lab, exp_id: int) -> float:
    found: float = run_folder(lab, exp_id).record()["metrics"]["test/top1"]
    return found


def check_deployed(lab: Lab, exp_id: int, backends: str, samples: int) -> None:
    """Export to C and verify: everything in the memory has 8 bits, the first layer takes bytes."""
    run = (PROBLEM, f"--exp_id={exp_id}", *LIMITS)
    assert main.main(["export", *run, "--to=program,c"]) == 0
    assert main.main(["verify", *run, f"--backends={backends}", f"--samples={samples}"]) == 0
    folder = run_folder(lab, exp_id).path / "fold0" / "deploy" / "best"
    certificate: dict[str, Any] = json.loads((folder / "certificate.json").read_text())
    engines = {one["engine"]: one["num_mismatches"] for one in certificate["engines"]}
    assert engines == dict.fromkeys(backends.split(","), 0)
    program = from_bytes((folder / "program.qlp").read_bytes(), "program.qlp")
    assert set(outliving(program).values()) == {8}
    assert program.operations[0].inputs == ("input",)
    assert program.operations[0].layer == "stem.0"


def test_from_recordings_to_c(lab: Lab, storage: Path) -> None:
    write_recordings(storage)
    few = ("--network.params.channels=4", "--experiment.epochs=3", "--data.batch_size=4")
    assert main.main([*TRAIN, QUANTIZED, *few]) == 0
    assert main.main(["test", PROBLEM, "--exp_id=0"]) == 0
    files = [str(storage / "recordings" / f"{digit}_ann_0.wav") for digit in (3, 8)]
    assert main.main(["predict", PROBLEM, "--exp_id=0", *files]) == 0
    check_deployed(lab, 0, "numpy,c", samples=2)


def test_missing_recordings_are_one_line(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(list(TRAIN)) == 3
    error = capsys.readouterr().err
    assert "put spoken_digits.tar.xz" in error
    assert error.count("\n") == 1
    assert not run_folder(lab, 0).path.exists()


@pytest.mark.long
@pytest.mark.skipif(not OFFICIAL.is_file(), reason=f"needs {OFFICIAL}")
@pytest.mark.parametrize("board", [engine("c-m4")])
def test_real_recordings_are_told_apart_on_a_board(lab: Lab, storage: Path, board: str) -> None:
    (storage / data.ARCHIVE).symlink_to(OFFICIAL)
    assert main.main([*TRAIN, "--experiment.epochs=6"]) == 0
    further = ("--experiment.epochs=2", "--network.pretrained.exp_id=0")
    assert main.main([*TRAIN, QUANTIZED, *further]) == 0
    assert min(accuracy(lab, 0), accuracy(lab, 1)) > 90
    check_deployed(lab, 1, f"numpy,fast,c,{board}", samples=4)
