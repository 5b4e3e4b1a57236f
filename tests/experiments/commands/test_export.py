"""`main.py export` on runs of the toy problem, in this process."""

import re
from pathlib import Path

import onnx
import pytest

import main
from quantlab.deploy.c.options import ENCODINGS
from quantlab.deploy.table import ARTEFACTS
from quantlab.integer.file import from_bytes
from tests.experiments.commands.test_verify import RULES, VERIFY, deployed
from tests.lab import TOY_RUN, Lab

EXPORT = ("export", "--problem=Toy", "--exp_id=0")


@pytest.fixture
def trained(lab: Lab) -> Lab:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}"]) == 0
    return lab


def test_all_files_are_written_and_said(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main(EXPORT) == 0
    out = capsys.readouterr().out
    folder = deployed(trained)
    files = sorted(path.name for path in folder.iterdir())
    assert {"exact.onnx", "program.qlp", "qdq.onnx"} <= set(files)
    for name in files:
        within = [path for path in (folder / name).rglob("*") if path.is_file()] or [folder / name]
        assert f"{sum(path.stat().st_size for path in within):,}" in out
        assert name in out
    assert f"c/: {sum(path.is_file() for path in (folder / 'c').rglob('*'))} files" in out
    program = from_bytes((folder / "program.qlp").read_bytes(), "program.qlp")
    for name in ("exact.onnx", "qdq.onnx"):
        model = onnx.load(folder / name)
        onnx.checker.check_model(model, full_check=True)
        assert {output.name for output in model.graph.output} >= set(program.outputs)
    # What is exported is what is verified.
    assert main.main([*VERIFY, "--samples=4"]) == 0


def test_one_file_replaces_a_damaged_one(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path: Path = deployed(trained) / "program.qlp"
    assert main.main([*EXPORT, "--to=program"]) == 0
    assert [file.name for file in deployed(trained).iterdir()] == ["program.qlp"]
    good = path.read_bytes()
    path.write_bytes(good[:-7])
    assert main.main([*VERIFY, "--samples=2"]) == 5
    assert main.main([*EXPORT, "--to=program"]) == 0
    assert path.read_bytes() == good


@pytest.mark.parametrize("name", ["program.qlp", "exact.onnx"])
def test_a_folder_in_the_place_of_a_file(
    trained: Lab, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (deployed(trained) / name).mkdir(parents=True)
    capsys.readouterr()
    for arguments in (EXPORT, (*VERIFY, "--samples=2")):
        assert main.main(arguments) == 2
        error = capsys.readouterr().err
        assert f"{name}: cannot be written: Is a directory" in error
        assert error.count("\n") == 1
    assert not list(deployed(trained).glob(".*"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--to=programs", f"--to: 'programs' given, {', '.join(ARTEFACTS)} allowed; did"),
        ("--to=", f"--to: '' given, {', '.join(ARTEFACTS)} allowed"),
        ("--exp_id=7", "--exp_id=7: Toy has no such run"),
        ("--encoding=csrr", f"encoding: 'csrr' given, {', '.join(ENCODINGS)} allowed; did you"),
        ("--encoding=csr --to=onnx-qdq", "--encoding: no effect on onnx-qdq; c allowed"),
        ("--board=c-m5", "--board: 'c-m5' given, c-m0, "),
        ("--ram=0", "--ram=0: "),
        ("--vectors=0", "--vectors=0: "),
        ("--vectors=3 --to=program", "--vectors: no effect on program; c allowed"),
        ("--vectors=9999 --to=c", "--vectors: 9999 given, 1 to "),
        ("--ram=10", "ram: "),
        ("--energy=100", "--energy: 100 given, no effect without --intermittent"),
        ("--intermittent=yes", "--intermittent=yes: takes no value"),
        ("--intermittent --energy=0", "--energy=0: at least 1 allowed"),
        ("--intermittent --energy=9", "energy: 9 instructions a charge given, but the smallest"),
        ("--intermittent --to=program", "--intermittent: no effect on program; c allowed"),
        ("--flash=10", "flash: "),
    ],
)
def test_wrong_options(
    trained: Lab, capsys: pytest.CaptureFixture[str], argument: str, message: str
) -> None:
    capsys.readouterr()
    arguments = [*(EXPORT[:2] if "exp_id" in argument else EXPORT), *argument.split()]
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not deployed(trained).exists()


def test_what_was_exported_with_an_option_is_verified(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--ram=100000", "--board=c-m0", "--intermittent", "--energy=90000")
    assert main.main([*EXPORT, "--to=c", "--encoding=dense", *options]) == 0
    assert re.search(r"Cortex-M0\+ \(microbit\): [\d,]{3,} bytes of code|not measured without",
                     capsys.readouterr().out.replace("\n", " "))  # fmt: skip
    manifest = (deployed(trained) / "c" / "model.json").read_text()
    assert '"encoding": "dense"' in manifest
    assert '"intermittent": "yes",\n  "energy": "90000"' in manifest
    assert main.main([*VERIFY, "--samples=2", "--backends=c"]) == 0


def test_test_samples_become_golden_vectors(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*EXPORT, "--to=c", "--vectors=3", "--board=c-m0"]) == 0
    header = (deployed(trained) / "c" / "headers" / "input.h").read_text()
    assert "enum { QL_NUM_VECTORS = 3 };" in header
    assert main.main([*VERIFY, "--samples=2", "--backends=c"]) == 0
    assert (deployed(trained) / "c" / "headers" / "input.h").read_text() == header
    assert main.main([*EXPORT, "--to=c"]) == 0
    assert not (deployed(trained) / "c" / "headers" / "input.h").exists()


def test_what_is_in_the_folder_of_c_beside_it_stays(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*EXPORT, "--to=c"]) == 0
    own = deployed(trained) / "c" / "main.c"
    own.write_text("mine")
    capsys.readouterr()
    assert main.main([*EXPORT, "--to=program,c"]) == 2
    assert "main.c: no file of an earlier export" in capsys.readouterr().err
    assert [path.name for path in deployed(trained).iterdir()] == ["c"]
    own.unlink()
    assert main.main([*EXPORT, "--to=program,c"]) == 0
