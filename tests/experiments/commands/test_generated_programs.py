"""`main.py export`, `verify` and `report` on runs of generated layers, in this process."""

import json

import pytest

import main
from quantlab.integer.file import from_bytes
from quantlab.integer.operations import Convolution
from quantlab.integer.tensor_type import S16
from tests.experiments.commands.test_verify import VERIFY, deployed
from tests.lab import TOY_RUN, Lab

RULES = (
    "[{select: last, on: weight, algorithm: {kind: ste, num_bits: 8, start_epoch: 0}}, "
    "{select: '!first', on: input, algorithm: {kind: lsq, num_bits: 8, start_epoch: 0, "
    "observe_steps: 2}}]"
)
FACTORS = ("--mlg.base_in=2", "--mlg.base_out=3")
RUN = [*TOY_RUN, *FACTORS, f"--quantize.rules={RULES}"]


def test_a_generated_run_is_certified(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(RUN) == 0
    assert main.main(["export", *VERIFY[1:]]) == 0
    capsys.readouterr()
    assert main.main([*VERIFY, "--samples=20", "--backends=numpy,fast,onnx,c"]) == 0
    assert "0 mismatches" in capsys.readouterr().out
    certificate = json.loads((deployed(lab) / "certificate.json").read_text())
    assert {engine["num_mismatches"] for engine in certificate["engines"]} == {0}
    assert certificate["against_fake_quantized"]["same_class"] >= 90
    assert certificate["against_fake_quantized"]["num_unmatched"] == 0
    program = from_bytes((deployed(lab) / "program.qlp").read_bytes(), "program.qlp")
    inputs = [program.types[o.inputs[0]] for o in program.operations if isinstance(o, Convolution)]
    assert S16 in [given.kind for given in inputs]
    assert main.main(["report", *VERIFY[1:], "--samples=2"]) == 0


def test_a_network_that_was_trained_on_is_another_program(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(RUN) == 0
    assert main.main(["export", *VERIFY[1:], "--to=program"]) == 0
    before = (deployed(lab) / "program.qlp").read_bytes()
    assert main.main([*RUN, "--experiment.seed=8"]) == 0
    other = lab.folder(1).path / "fold0" / "deploy" / "best"
    other.mkdir(parents=True, exist_ok=True)
    (other / "program.qlp").write_bytes(before)
    capsys.readouterr()
    arguments = ["verify", "--problem=Toy", "--exp_id=1", "--samples=2", "--backends=fast"]
    assert main.main(arguments) == 5
    error = capsys.readouterr().err
    assert "program.qlp: tensor '" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("--mlg.basis_bit=8", "its basis has codes from -255 to 255, -128 to 127 allowed; "),
        pytest.param(
            "--mlg.coeff_out_bit=32",
            "its coeff_out has no quantizer, 8 bits or fewer allowed; ",
            marks=pytest.mark.long,
        ),
    ],
)
def test_factors_that_do_not_fit(
    setting: str, line: str, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main.main([*RUN, setting]) == 0
    captured = capsys.readouterr()
    assert line in " ".join((captured.out + captured.err).split())  # told at its start
    assert main.main(["export", *VERIFY[1:], "--to=program"]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not (deployed(lab) / "program.qlp").exists()
