"""Runs of networks with generated layers, of the toy problem."""

from typing import Any

import pytest
import torch
from torch import nn

import main
from experiments.progress import Steps
from quantlab.generation import MLGConv2d, MLGSpec, inherit
from tests.experiments.training.test_resume import kill
from tests.experiments.training.test_trainer import run, saved
from tests.lab import TOY_RUN, Lab

GENERATED = (*TOY_RUN, "--mlg.base_in=2", "--mlg.base_out=3", "--mlg.layers=type:Conv2d")
FACTORS = {"basis", "coeff_in", "coeff_out"}


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main.main([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("main.py: ")


def state(lab: Lab, exp_id: int) -> dict[str, Any]:
    path = lab.folder(exp_id).fold(0) / "saves" / "last.ckpt"
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def test_what_is_trained_is_factors(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run(*GENERATED, "--training.ema.decay=0.9")
    said = "note: generate makes a pack of it; export and verify need quantize.rules too\n"
    assert said in capsys.readouterr().out
    weights = saved(lab, 0)
    assert not any(name.startswith("conv") and name.endswith("weight") for name in weights)
    assert FACTORS & {name.rsplit(".", 1)[-1] for name in weights}
    groups = state(lab, 0)["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups][1:] == [0.0]
    run("test", "--problem=Toy", "--exp_id=0")
    for command in ("export", "verify"):
        said = refusal(capsys, command, "--problem=Toy", "--exp_id=0")
        assert "quantize" in said
    said = refusal(capsys, "compress", "--budget.flash=20 KB", "--problem=Toy", "--exp_id=0")
    assert said.startswith("layer 'conv': its weight is generated from factors")


def test_a_quantized_run_of_generated_weights_becomes_a_program(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lsq = "kind: lsq, num_bits: 8, start_epoch: 0"
    rules = f"[{{select: '*', on: input, algorithm: {{{lsq}, observe_steps: 1}}}}, "
    rules += f"{{select: linear, on: weight, algorithm: {{{lsq}}}}}]"
    slow = "--training.optimizer.params.lr=0.001"
    run(*GENERATED, f"--quantize.rules={rules}", "--mlg.mode=factored", slow)
    assert "note: " not in capsys.readouterr().out
    run("verify", "--problem=Toy", "--exp_id=0")
    assert "0 mismatches" in capsys.readouterr().out


def test_a_factored_run_is_the_generated_one_but_for_rounding(lab: Lab) -> None:
    chosen = (*GENERATED, "--mlg.quantizer=lsq", "--training.precision=float64")
    run(*chosen)
    run(*chosen, "--mlg.mode=factored")
    usual, other = saved(lab, 0), saved(lab, 1)
    assert usual.keys() == other.keys()
    assert not torch.equal(usual["conv.basis"], other["conv.basis"])
    for name, value in usual.items():
        torch.testing.assert_close(other[name], value, rtol=1e-9, atol=1e-9, msg=name)
    run("test", "--problem=Toy", "--exp_id=1")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(
    "changes",
    [
        ("--training.compile=true",),
        ("--training.precision=bfloat16", "--training.ema.decay=0.9"),
        ("--training.channels_last=true", "--criterion.ortho_loss_weight=0.05"),
        ("--criterion.rate_weight=0.01", "--training.accumulate=2"),
    ],
)
def test_factored_runs_are_near_the_generated_one(lab: Lab, changes: tuple[str, ...]) -> None:
    chosen = (*GENERATED, "--mlg.quantizer=lsq", *changes)
    run(*chosen)
    run(*chosen, "--mlg.mode=factored")
    usual, other = saved(lab, 0), saved(lab, 1)
    near = 0.05 if "--training.precision=bfloat16" in changes else 1e-4
    for name, value in usual.items():
        torch.testing.assert_close(other[name], value, rtol=near, atol=near, msg=name)


@pytest.mark.parametrize(
    ("quantizer", "mode"),
    [
        ("dorefa_sym", "generated"),
        pytest.param("lsq", "generated", marks=pytest.mark.long),
        pytest.param("lsq", "factored", marks=pytest.mark.long),
        pytest.param("lsq", "auto", marks=pytest.mark.long),
    ],
)
def test_a_killed_run_goes_on_to_the_same_weights(
    lab: Lab, quantizer: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (
        *GENERATED,
        f"--mlg.quantizer={quantizer}",
        f"--mlg.mode={mode}",
        "--training.ema.decay=0.8",
        "--training.optimizer.class=Adam",
        "--training.optimizer.params.lr=0.01",
        "--checkpoint.every_epochs=1",
    )
    run(*chosen)
    kill(chosen, 3, monkeypatch, (Steps, "advance"))
    assert lab.record(1)["status"] != "done"
    run("resume", "--problem=Toy", "--exp_id=1")
    assert lab.record(1)["weights_sha256"] == lab.record(0)["weights_sha256"]


def test_the_documented_flags_are_taken(lab: Lab) -> None:
    run(*GENERATED, "--mlg.basis_bit=3", "--mlg.coeff_in_bit=6", "--mlg.coeff_out_bit=3")
    assert lab.folder(0).path.exists()


def test_a_run_begins_with_the_projection_of_its_teacher(lab: Lab) -> None:
    run(*TOY_RUN)
    still = ("--training.optimizer.params={lr: 1.0e-300}", "--training.ema.decay=0.9")
    run(*GENERATED, *still, "--teacher.exp_id=0", "--mlg.projection_alg=qals")
    before, after = saved(lab, 0, "best"), saved(lab, 1)
    torch.testing.assert_close(after["linear.weight"], before["linear.weight"])
    torch.testing.assert_close(after["norm.weight"], before["norm.weight"])
    assert not torch.equal(after["norm.running_mean"], before["norm.running_mean"])
    dense = before["conv.weight"]
    expected = nn.Conv2d(1, 4, 3)
    with torch.no_grad():
        expected.weight.copy_(dense)
    spec = MLGSpec(base_in=0, base_out=3)
    layer = MLGConv2d.from_dense(expected, spec)
    layer.load_state_dict(
        {k.removeprefix("conv."): v for k, v in after.items() if k.startswith("conv.")}
    )
    error = float((layer.weight.detach() - dense).norm() / dense.norm())
    assert error < 0.6
    assert "teacher" not in "".join(after)
    run("test", "--problem=Toy", "--exp_id=1")


def test_a_killed_projected_run_goes_on_to_the_same_weights(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*TOY_RUN)
    chosen = (*GENERATED, "--teacher.exp_id=0", "--mlg.projection_alg=svd", "--mlg.kd=1")
    run(*chosen)
    kill(chosen, 3, monkeypatch, (Steps, "advance"))
    projected: list[object] = []
    monkeypatch.setattr(inherit, "projection_for", lambda *a, **k: projected.append(a))
    run("resume", "--problem=Toy", "--exp_id=2")
    assert projected == []
    assert lab.record(2)["weights_sha256"] == lab.record(1)["weights_sha256"]


def test_a_teacher_of_another_shape_is_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*TOY_RUN, "--network.params.width=8")
    chosen = (*GENERATED, "--teacher.exp_id=0", "--mlg.projection_alg=svd")
    said = refusal(capsys, *chosen)
    assert "mlg.projection_alg: Toy/exp000 best.ckpt: 'conv." in said
    assert not lab.folder(1).path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mlg.basis_bit=9",), "mlg.basis_bit: 9 given, 1 to 8, or 32 for floats, allowed"),
        (("--mlg.mode=two_stage",), "mlg.mode: input should be 'generated', 'factored'"),
        (("--mlg.base_on=9",), "mlg.base_on: unknown key; did you mean 'base_in'"),
        (("--mlg.layers=type:Conv3d",), "mlg.layers: select: 'type:Conv3d' matches no layer"),
        (("--mlg.projection_alg=svd",), "mlg.projection_alg: 'svd' given without a teacher; set"),
        (("--prune.sparsity=0.5",), "mlg: given beside prune; one of them allowed"),
    ],
)
def test_impossible_sections_are_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in refusal(capsys, *GENERATED, *arguments)
    assert not lab.folder(0).path.exists()
