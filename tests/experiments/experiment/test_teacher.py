"""A run that learns from another's scores: whose they are, what it keeps, what it refuses."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import main
from experiments.experiment import experiment
from experiments.progress import Steps
from quantlab.numerics.digest import weights_sha256
from tests.experiments.training.test_resume import kill
from tests.lab import TOY_RUN, Lab
from tests.recorded_graphs import RecordedGraphs

WIDE = ("--network.params.width=8", "--experiment.seed=7")
TEACHER = "--teacher.exp_id=0"


def train(*arguments: str) -> int:
    return main.main([*TOY_RUN, *arguments])


def saved(lab: Lab, exp_id: int, name: str = "last") -> dict[str, Any]:
    file = lab.folder(exp_id).fold(0) / "saves" / f"{name}.ckpt"
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def digest(lab: Lab, exp_id: int) -> str:
    return str(lab.record(exp_id)["weights_sha256"])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that answers a run that is not begun."""
    capsys.readouterr()
    assert train(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("main.py: ")


def test_a_student_keeps_nothing_of_its_teacher_but_a_hash(lab: Lab) -> None:
    assert train(*WIDE) == 0
    before = saved(lab, 0, "best")
    assert train() == 0
    assert train(TEACHER) == 0
    assert digest(lab, 1) != digest(lab, 2)
    entry = {"weights": "Toy/exp000 best.ckpt", "weights_sha256": weights_sha256(before["network"])}
    assert lab.record(2)["teacher"] == entry
    assert lab.record(1)["teacher"] is None
    for name in ("last", "best"):
        alone, taught = saved(lab, 1, name), saved(lab, 2, name)
        assert alone.keys() == taught.keys()
        assert taught["teacher"] == entry
        assert alone["network"].keys() == taught["network"].keys()
        assert alone["loss"].keys() == taught["loss"].keys()
    optimizers = [saved(lab, exp_id)["optimizer"]["param_groups"] for exp_id in (1, 2)]
    assert optimizers[0] == optimizers[1]
    rows = [lab.rows(exp_id)[-1] for exp_id in (1, 2)]
    assert rows[0].keys() == rows[1].keys()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(WIDE, marks=pytest.mark.long),
        ("--config=quantized",),
        pytest.param(
            ("--prune.sparsity=0.5", "--prune.select=type:Linear"), marks=pytest.mark.long
        ),
        pytest.param(("--training.ema.decay=0.5",), marks=pytest.mark.long),
        pytest.param(("--training.precision=float64",), marks=pytest.mark.long),
    ],
    ids=["float", "quantized", "pruned", "average", "double"],
)
def test_teachers_of_all_kinds(lab: Lab, arguments: tuple[str, ...]) -> None:
    """A run, its file and a copy of that file with what describes it are the same teacher."""
    once = "--experiment.epochs=1"
    assert train(*arguments, once) == 0
    assert train(TEACHER, once) == 0
    file = lab.folder(0).fold(0) / "saves" / "best.ckpt"
    assert train(f"--teacher.checkpoint={file}", once) == 0
    copied = lab.home / "copied.ckpt"
    copied.write_bytes(file.read_bytes())
    described = f"--teacher.config={lab.folder(0).config_file}"
    assert train(f"--teacher.checkpoint={copied}", described, once) == 0
    assert digest(lab, 1) == digest(lab, 2) == digest(lab, 3)


def test_a_file_alone_has_the_students_network_unquantized(lab: Lab) -> None:
    assert train("--experiment.seed=7") == 0
    file = lab.home / "weights.pt"
    torch.save(saved(lab, 0, "best")["network"], file)
    assert train("--config=quantized", f"--teacher.checkpoint={file}") == 0
    assert train("--config=quantized", TEACHER) == 0
    assert digest(lab, 1) == digest(lab, 2)
    assert main.main(["resume", "--problem=Toy", "--exp_id=1", "--experiment.epochs=3"]) == 0


def test_a_teacher_of_another_topology(lab: Lab) -> None:
    assert main.main(["--problem=Toy", "--topology=Other", *WIDE]) == 0
    assert train(TEACHER) == 0
    file = lab.home / "copied.ckpt"
    torch.save({"network": saved(lab, 0, "best")["network"]}, file)
    wide = lab.home / "wide.yaml"
    wide.write_text("network: {params: {width: 8}}")
    given = (f"--teacher.checkpoint={file}", "--teacher.topology=Other", f"--teacher.config={wide}")
    assert train(*given) == 0
    assert digest(lab, 1) == digest(lab, 2)


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--training.accumulate=2", "--data.batch_size=7"),
        ("--training.ema.decay=0.8", "--training.clip_norm=0.5"),
        ("--training.precision=bfloat16", "--training.channels_last=true"),
        ("--config=quantized",),
    ],
    ids=["plain", "accumulate", "average", "mixed", "quantized"],
)
def test_captured_steps_and_resumed_runs_give_the_same_bytes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert train(*WIDE) == 0
    given = (
        *arguments, TEACHER, "--training.lr_scheduler.class=Constant", "--experiment.epochs=4",
    )  # fmt: skip
    graphs = RecordedGraphs()
    monkeypatch.setattr(experiment, "graphs_of", lambda device: graphs)
    assert train(*given, "--training.capture=never") == 0
    assert graphs.num_recorded == 0
    assert train(*given) == 0
    assert graphs.num_recorded
    assert not lab.record(2)["captured"][0].startswith("0 of")
    assert train(*given, "--experiment.epochs=2") == 0
    longer = ("--problem=Toy", "--exp_id=3", "--experiment.epochs=4")
    assert main.main(["resume", *longer]) == 0
    assert digest(lab, 1) == digest(lab, 2) == digest(lab, 3)
    assert lab.rows(1) == lab.rows(2) == lab.rows(3)


@pytest.mark.long
@pytest.mark.parametrize("num_steps", [1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, num_steps: int
) -> None:
    assert train(*WIDE) == 0
    given = (*TOY_RUN, TEACHER, "--training.ema.decay=0.8", "--checkpoint.every_steps=1")
    assert main.main(given) == 0
    kill(given, num_steps, monkeypatch, (Steps, "advance"))
    assert lab.record(2)["status"] != "done"
    assert main.main(["resume", "--problem=Toy", "--exp_id=2"]) == 0
    assert digest(lab, 1) == digest(lab, 2)
    assert lab.rows(1) == lab.rows(2)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_student_learns_the_same(lab: Lab) -> None:
    assert train(*WIDE) == 0
    given = (TEACHER, "--network.params.dropout=0", "--data.batch_size=7")
    assert train(*given) == 0
    assert train(*given, "--training.compile=true") == 0
    weights = saved(lab, 1)["network"]
    for name, tensor in saved(lab, 2)["network"].items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)


def test_folds_learn_from_one_teacher(lab: Lab) -> None:
    assert train(*WIDE, "--experiment.folds=2", "--data.valid_fraction=0") == 0
    folds = ("--experiment.folds=2", "--data.valid_fraction=0", TEACHER, "--teacher.fold=1")
    assert train(*folds) == 0
    taught = [
        torch.load(lab.folder(1).fold(fold) / "saves" / "last.ckpt", weights_only=True)["teacher"]
        for fold in range(2)
    ]
    assert taught[0] == taught[1] == lab.record(1)["teacher"]
    file = lab.folder(0).fold(1) / "saves" / "best.ckpt"
    weights = torch.load(file, weights_only=True)["network"]
    assert taught[0]["weights_sha256"] == weights_sha256(weights)


def test_testing_needs_no_teacher_resuming_the_same(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == 0
    file = lab.home / "weights.pt"
    torch.save(saved(lab, 0)["network"], file)
    assert train(f"--teacher.checkpoint={file}") == 0
    file.unlink()
    stored = ["--problem=Toy", "--exp_id=1"]
    assert main.main(["test", *stored]) == 0
    longer = ["resume", *stored, "--experiment.epochs=3"]
    before = lab.record(1)
    capsys.readouterr()
    assert main.main(longer) == 2
    assert f"teacher.checkpoint: {file}: No such file" in capsys.readouterr().err
    other = {name: tensor + 1 for name, tensor in saved(lab, 0)["network"].items()}
    torch.save(other, file)
    assert main.main(longer) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "teacher: Toy/exp001 learned from the weights " in line
    assert lab.record(1) == before


def errors(lab: Lab) -> Sequence[tuple[tuple[str, ...], str]]:
    file = lab.home / "weights.pt"
    torch.save(saved(lab, 0)["network"], file)
    lists = lab.home / "lists.pt"
    torch.save([1, 2], lists)
    run = lab.folder(0).fold(0) / "saves" / "last.ckpt"
    return [
        (("--teacher.exp_id=7",), "teacher.exp_id: --exp_id=7: Toy has no such run"),
        ((TEACHER, "--teacher.fold=3"), "teacher.fold: 3 given; Toy/exp000 has fold 0"),
        ((TEACHER, "--teacher.checkpoint=lats"), "no such checkpoint; there are: best, last"),
        (("--teacher.fold=1",), "teacher: give `exp_id`, or a file as `checkpoint`"),
        (("--teacher.checkpoint=none.pt",), "teacher.checkpoint: none.pt: No such file"),
        ((f"--teacher.checkpoint={lists}",), f"teacher.checkpoint: {lists} holds no network"),
        (
            (f"--teacher.checkpoint={file}", "--network.params.width=3"),
            f"teacher.checkpoint: {file}: conv.bias is (4,), the network's is (3,)",
        ),
        (
            (f"--teacher.checkpoint={file}", "--teacher.fold=1"),
            "teacher: `fold` has no effect without `exp_id`",
        ),
        (
            (TEACHER, "--teacher.topology=Other"),
            "teacher: `topology` has no effect beside `exp_id`: a run tells its own",
        ),
        (
            (f"--teacher.checkpoint={run}", "--teacher.config=quantized"),
            f"teacher.config: no effect: {run} lies in the folder of a run, which tells its own",
        ),
        (
            (f"--teacher.checkpoint={file}", "--teacher.topology=Othr"),
            "no topology of Toy named 'Othr'; did you mean 'Other'?",
        ),
        (
            ("--criterion.alpha=0.5",),
            "criterion.alpha: 0.5 given, without effect as nothing is learned from a teacher",
        ),
        (
            (TEACHER, "--criterion.ortho_loss_weight=0.05"),
            "criterion.ortho_loss_weight: 0.05 given, without effect as no layer is generated",
        ),
        ((TEACHER, "--criterion.alpha=1.5"), "criterion.alpha: input should be less than or equ"),
        ((TEACHER, "--criterion.temprature=2"), "did you mean 'temperature'?"),
    ]


def test_what_is_refused(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--experiment.epochs=1") == 0
    before = lab.everything_in_logs()
    for arguments, said in errors(lab):
        assert said in refusal(capsys, *arguments)
    assert lab.everything_in_logs() == before


OTHERS = """

class Many(Plain):
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return super().forward(x_NCHW).repeat(1, 2)


class Pair(Plain):
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return super().forward(x_NCHW), x_NCHW
"""


def test_a_teacher_of_other_scores(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with (lab.problems / "Toy" / "Tiny" / "network.py").open("a") as code:
        code.write(OTHERS)
    assert train("--network={class: Plain}", "--experiment.epochs=1") == 0
    file, described = lab.home / "weights.pt", lab.home / "described.yaml"
    torch.save(saved(lab, 0)["network"], file)
    given = (f"--teacher.checkpoint={file}", f"--teacher.config={described}")
    described.write_text("network: {class: Plain}")
    assert train(*given, "--experiment.epochs=1") == 0
    for name, returned in {"Many": "scores [8]", "Pair": "a tuple"}.items():
        described.write_text(f"network: {{class: {name}}}")
        said = f"teacher: {file} returns {returned}, the student scores [4]; the same allowed"
        assert said in refusal(capsys, *given)


def test_a_teacher_of_other_inputs(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    prepares = lab.problems / "Toy" / "Other" / "preprocess.py"
    prepares.write_text(prepares.read_text().replace("/ 96.0", "/ 90.0"))
    assert main.main(["--problem=Toy", "--topology=Other", "--experiment.epochs=1"]) == 0
    said = "teacher: Toy/exp000 best.ckpt: its topology's preprocess.evaluate returns other inputs"
    assert said in refusal(capsys, TEACHER)


def test_runs_that_teach_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--experiment.epochs=1") == 0
    for exp_id, changes in ((1, {"kind": "compress"}), (2, {"id": "MNIST/exp002"})):
        shutil.copytree(lab.folder(0).path, lab.folder(exp_id).path)
        lab.folder(exp_id).update(**changes)
    said = "teacher.exp_id: 1: Toy/exp001 is a compression; runs that train allowed"
    assert refusal(capsys, "--teacher.exp_id=1") == said
    file = lab.folder(2).fold(0) / "saves" / "last.ckpt"
    said = f"teacher.checkpoint: {file}: a run of MNIST; one of Toy allowed"
    assert refusal(capsys, f"--teacher.checkpoint={file}") == said
    best = lab.folder(0).fold(0) / "saves" / "best.ckpt"
    best.write_bytes(best.read_bytes()[:-1])
    assert "best.ckpt: damaged" in refusal(capsys, TEACHER)


def test_a_run_tells_its_teacher(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--problem=Toy", "--topology=Other", "--experiment.epochs=1"]) == 0
    assert train(TEACHER, "--experiment.epochs=1") == 0
    assert "\nteacher: Toy/exp000 best.ckpt\n" in capsys.readouterr().out
    code = lab.problems / "Toy" / "Other" / "preprocess.py"
    code.write_text(code.read_text().replace("0.5 * draws", "0.4 * draws"))
    assert train(TEACHER, "--experiment.epochs=1") == 0
    said = "teacher: Toy/exp000 best.ckpt (its code has changed: problems/Toy/Other/preprocess.py:"
    assert said in capsys.readouterr().out.replace("\n", " ")


def test_a_file_of_another_problem(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "digits.ckpt"
    torch.save({"problem": "MNIST", "topology": "LeNet", "network": {}}, file)
    said = refusal(capsys, f"--teacher.checkpoint={file}")
    assert said == f"teacher.checkpoint: {file} is of MNIST; one of Toy allowed"
