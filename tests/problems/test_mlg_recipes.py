"""The documented commands of MLG, on made-up photos and small networks."""

import pytest
import torch

import main
from experiments.runs.folder import RunFolder, open_run
from tests.lab import Lab

SMALL = [
    *("--quick", "--data.source=synthetic", "--experiment.epochs=1", "--experiment.threads=1"),
    *("--data.batch_size=4", "--data.limit=8", "--data.eval_batch_size=4", "--data.limit_test=8"),
]
STUDENT = [
    *("--mlg.projection_alg=train", "--mlg.kd=1", "--mlg.base_in=2", "--mlg.base_out=44"),
    *("--mlg.basis_bit=3", "--mlg.coeff_in_bit=6", "--mlg.coeff_out_bit=3"),
]


def run_of(lab: Lab, problem: str, exp_id: int) -> RunFolder:
    return open_run(problem, lab.problems / problem / "logs", exp_id)


@pytest.mark.long
@pytest.mark.parametrize(
    ("problem", "topology", "params"),
    [
        ("CIFAR10", "ResNet", ["--network.params.width=16"]),
        ("CIFAR100", "DenseNet", ["--network.params.depth=10", "--network.params.growth=24"]),
    ],
)
def test_a_dense_network_then_a_generated_one(
    problem: str, topology: str, params: list[str], lab: Lab
) -> None:
    common = ["train", f"--problem={problem}", f"--topology={topology}", *SMALL, *params]
    assert main.main([*common, "--config=mlg_pretrain"]) == 0
    dense = run_of(lab, problem, 0)
    teacher = dense.path / "fold0" / "saves" / "last.ckpt"
    given = [f"--teacher.checkpoint={teacher}", "--criterion.ortho_loss_weight=0.05"]
    assert main.main([*common, "--config=mlg_train", *given, *STUDENT]) == 0
    student = run_of(lab, problem, 1)
    record = student.record()
    assert record["status"] == "done"
    assert record["teacher"]["weights_sha256"] == dense.record()["weights_sha256"]
    saved = torch.load(student.path / "fold0" / "saves" / "last.ckpt", weights_only=True)
    names = set(saved["network"])
    generated = {name.removesuffix(".basis") for name in names if name.endswith(".basis")}
    assert len(generated) > 5
    assert not [name for name in generated if f"{name}.weight" in names]


@pytest.mark.parametrize("problem", ["CIFAR10", "CIFAR100"])
@pytest.mark.parametrize("topology", ["ResNet", "DenseNet"])
def test_a_student_needs_its_teacher(
    problem: str, topology: str, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--problem={problem}", f"--topology={topology}", "--config=mlg_train"]
    assert main.main(["train", *where, *SMALL]) == 2
    assert "mlg.kd: true given without a teacher" in capsys.readouterr().err
