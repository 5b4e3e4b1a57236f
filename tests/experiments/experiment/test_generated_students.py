"""Runs whose layers are generated, and learn from a teacher or are held orthonormal."""

from pathlib import Path

import pytest
import torch

import main
from experiments.experiment import experiment
from experiments.progress import Steps
from quantlab.numerics.digest import weights_sha256
from tests.experiments.experiment.test_teacher import TEACHER, WIDE, digest, refusal, saved, train
from tests.experiments.training.test_resume import kill
from tests.lab import TOY_RUN, Lab
from tests.recorded_graphs import RecordedGraphs

MLG = ("--mlg.layers=type:Linear", "--mlg.linear_block=4", "--mlg.base_in=2", "--mlg.base_out=3")
ORTHO = "--criterion.ortho_loss_weight=0.5"
ONCE = "--experiment.epochs=1"


def test_kd_switches_distillation_on(lab: Lab) -> None:
    assert train(*WIDE, ONCE) == 0
    assert train(*MLG, ONCE) == 0
    assert train(*MLG, ONCE, TEACHER, "--mlg.kd=1") == 0
    assert train(*MLG, ONCE, TEACHER, "--mlg.kd=true") == 0
    assert digest(lab, 1) != digest(lab, 2) == digest(lab, 3)
    assert lab.record(1)["teacher"] is None
    assert lab.record(2)["teacher"]["weights"] == "Toy/exp000 best.ckpt"
    assert saved(lab, 1)["network"].keys() == saved(lab, 2)["network"].keys()


def kill_projected(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Kill run 1 before its second fold begins; return the file that it is projected from."""
    assert train(ONCE) == 0
    file = lab.home / "weights.pt"
    torch.save(saved(lab, 0)["network"], file)
    given = (f"--teacher.checkpoint={file}", "--mlg.projection_alg=svd", "--experiment.folds=2")
    kill((*TOY_RUN, *MLG, *given, ONCE), 1, monkeypatch, (Steps, "advance"))
    return file


RESUME = ("resume", "--problem=Toy", "--exp_id=1")


def test_folds_are_projected_from_one_teacher(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, weights = kill_projected(lab, monkeypatch), saved(lab, 0)["network"]
    before = lab.record(1)
    entry = {"weights": str(file), "weights_sha256": weights_sha256(weights)}
    assert before["teacher"] == entry
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, file)
    capsys.readouterr()
    assert main.main([*RESUME]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "teacher: Toy/exp001 learned from the weights " in line
    assert lab.record(1) == before


@pytest.mark.long
def test_folds_that_have_begun_do_without_their_teacher(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kill_projected(lab, monkeypatch)
    assert main.main([*RESUME]) == 0
    file.unlink()
    assert main.main([*RESUME, "--experiment.epochs=2"]) == 0


@pytest.mark.long
def test_the_documented_flags(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of MLG's README, but for bases that are larger than the toy's layers."""
    assert train(ONCE) == 0
    file = lab.folder(0).fold(0) / "saves" / "last.ckpt"
    bits = ("--mlg.basis_bit=3", "--mlg.coeff_in_bit=6", "--mlg.coeff_out_bit=3")
    documented = (*MLG, *bits, f"--teacher.checkpoint={file}", "--criterion.ortho_weight_loss=0.05")
    assert train(*documented, ONCE, "--mlg.projection_alg=train", "--mlg.kd=1") == 0
    assert "taken for it (command line)" in capsys.readouterr().err
    config = lab.record(1)["config"]
    assert config["criterion"]["ortho_loss_weight"] == 0.05
    assert config["mlg"]["kd"] is True
    assert train(*documented, ONCE, "--mlg.projection_alg=svd", "--mlg.kd=0") == 0
    assert lab.record(2)["teacher"] == lab.record(1)["teacher"]
    assert main.main(["resume", "--problem=Toy", "--exp_id=2", "--experiment.epochs=2"]) == 0


def test_what_is_refused(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(ONCE) == 0
    said = "mlg.kd: true given without a teacher; set teacher.exp_id, or a file as teacher.checkp"
    assert said in refusal(capsys, *MLG, "--mlg.kd=1")
    said = "teacher: given, without effect as mlg.kd is false and mlg.projection_alg is null"
    assert said in refusal(capsys, *MLG, TEACHER)
    said = "criterion.alpha: 0.5 given, without effect as nothing is learned from a teacher"
    assert said in refusal(capsys, *MLG, "--criterion.alpha=0.5")
    projected = (TEACHER, "--mlg.projection_alg=svd")
    said = "network.pretrained: given, without effect as mlg.projection_alg takes all weights of th"
    assert said in refusal(capsys, *MLG, *projected, "--network.pretrained.exp_id=0")


def test_a_generated_teacher(lab: Lab) -> None:
    assert train(*MLG, ONCE) == 0
    assert train(TEACHER, ONCE) == 0
    file = lab.home / "copied.ckpt"
    file.write_bytes((lab.folder(0).fold(0) / "saves" / "best.ckpt").read_bytes())
    described = f"--teacher.config={lab.folder(0).config_file}"
    assert train(f"--teacher.checkpoint={file}", described, ONCE) == 0
    assert digest(lab, 1) == digest(lab, 2)


def test_orthonormality_is_trained_and_not_evaluated(lab: Lab) -> None:
    plain = (*MLG, "--network.params.dropout=0", "--experiment.max_steps=1", ONCE)
    assert train(*plain, "--training.optimizer.params.lr=0") == 0
    assert train(*plain, ORTHO, "--training.optimizer.params.lr=0") == 0
    before, after = ({k: v for row in lab.rows(i) for k, v in row.items()} for i in (0, 1))
    for name in ("train/step_loss", "train/loss"):
        assert after[name] > before[name]
    for name in ("valid/loss", "test/loss"):
        assert after[name] == before[name]
    assert digest(lab, 0) == digest(lab, 1)
    assert train(*plain, ORTHO) == 0
    weights = [saved(lab, exp_id)["network"] for exp_id in (1, 2)]
    factors = [name for name in weights[0] if name.rpartition(".")[2] in ("basis", "coeff_in")]
    assert factors
    assert not any(torch.equal(weights[0][name], weights[1][name]) for name in factors)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), marks=pytest.mark.long),
        ("--training.accumulate=2", "--training.ema.decay=0.8", "--training.precision=bfloat16"),
    ],
    ids=["plain", "mixed"],
)
def test_captured_steps_and_resumed_runs_give_the_same_bytes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert train(*WIDE, ONCE) == 0
    given = (
        *MLG, *arguments, TEACHER, "--mlg.kd=1", ORTHO, "--criterion.rate_weight=0.1",
        "--experiment.epochs=3", "--data.batch_size=8", "--training.lr_scheduler.class=Constant",
    )  # fmt: skip
    graphs = RecordedGraphs()
    monkeypatch.setattr(experiment, "graphs_of", lambda device: graphs)
    assert train(*given, "--training.capture=never") == 0
    assert train(*given) == 0
    assert graphs.num_recorded
    assert not lab.record(2)["captured"][0].startswith("0 of")
    assert train(*given, "--experiment.epochs=2") == 0
    longer = ("--problem=Toy", "--exp_id=3", "--experiment.epochs=3")
    assert main.main(["resume", *longer]) == 0
    assert digest(lab, 1) == digest(lab, 2) == digest(lab, 3)
    assert lab.rows(1) == lab.rows(2) == lab.rows(3)
