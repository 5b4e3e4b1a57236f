"""The training loop against plain arithmetic; whole runs of the toy problem in this process."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import main
from experiments.data.splits import split
from experiments.library import load_library, load_problem
from experiments.training.random_state import seed_everything
from quantlab.numerics.digest import weights_sha256
from tests.lab import TOY_RUN, Lab

PLAIN = (*TOY_RUN, "--network.class=Plain", "--training.precision=float64", "--data.augment=false")


def saved(lab: Lab, exp_id: int, name: str = "last") -> dict[str, Tensor]:
    """The weights in a checkpoint."""
    file = lab.folder(exp_id).fold(0) / "saves" / f"{name}.ckpt"
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)["network"]
    return weights


def run(*arguments: str) -> None:
    assert main.main(list(arguments)) == 0


def difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_one_step_is_the_gradient_step(lab: Lab) -> None:
    """A full-batch step of SGD against one written out here."""
    whole = (*PLAIN, "--data.batch_size=60", "--data.valid_fraction=0", "--experiment.epochs=1")
    run(*whole, "--training.optimizer.params={lr: 0.5}")
    run(*whole, "--training.optimizer.params={lr: 1.0e-300}")
    start, end = saved(lab, 1), saved(lab, 0)
    library = load_library("Toy", "Tiny")
    data = load_problem("Toy").data.load(Path(), "synthetic").train
    network = library.network.Plain().double()
    network.load_state_dict(start)
    inputs = library.preprocess.evaluate(data.inputs).double()
    nn.functional.cross_entropy(network(inputs), data.targets).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.5 * parameter.grad
    assert difference(network.state_dict(), end) < 1e-12
    assert difference(start, end) > 1e-3


@pytest.mark.parametrize("limit", [60, 53])
def test_accumulated_batches_are_one_large_batch(lab: Lab, limit: int) -> None:
    run(*PLAIN, f"--data.limit={limit}", "--data.batch_size=16")
    run(*PLAIN, f"--data.limit={limit}", "--data.batch_size=8", "--training.accumulate=2")
    run(*PLAIN, f"--data.limit={limit}", "--data.batch_size=4", "--training.accumulate=4")
    for other in (1, 2):
        assert difference(saved(lab, 0), saved(lab, other)) < 1e-12
        losses = [[row.get("train/step_loss", 0.0) for row in lab.rows(i)] for i in (0, other)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-12)


def test_the_norm_of_the_gradient_is_clipped(lab: Lab) -> None:
    whole = (*PLAIN, "--data.batch_size=60", "--data.valid_fraction=0", "--experiment.epochs=1")
    run(*whole, "--training.optimizer.params={lr: 1.0}", "--training.clip_norm=0.001")
    run(*whole, "--training.optimizer.params={lr: 1.0e-300}")
    step = [a - b for a, b in zip(saved(lab, 0).values(), saved(lab, 1).values(), strict=True)]
    norm = torch.cat([piece.flatten() for piece in step]).norm()
    assert float(norm) == pytest.approx(0.001, rel=1e-3)


def test_validation_looks_at_the_averaged_weights(lab: Lab) -> None:
    run(*PLAIN, "--training.ema.decay=0.9", "--data.valid_fraction=0.5", "--experiment.epochs=2")
    saved = torch.load(lab.folder().fold(0) / "saves" / "last.ckpt", weights_only=True)
    library = load_library("Toy", "Tiny")
    data = load_problem("Toy").data.load(Path(), "synthetic").train
    limits = {"limit": None, "limit_valid": None}
    valid = split(len(data), valid_fraction=0.5, split_seed=0, **limits, folds=1, fold=0).valid
    losses = {}
    for name in ("network", "ema"):
        network = library.network.Plain().double()
        network.load_state_dict(saved[name])
        with torch.no_grad():
            outputs = network(library.preprocess.evaluate(data.inputs[valid]).double())
        losses[name] = float(nn.functional.cross_entropy(outputs, data.targets[valid]))
    logged = [row["valid/loss"] for row in lab.rows() if "valid/loss" in row][-1]
    assert logged == pytest.approx(losses["ema"], rel=1e-12)
    assert logged != pytest.approx(losses["network"], rel=1e-6)


def test_max_steps_may_end_within_an_epoch(lab: Lab) -> None:
    run(*TOY_RUN, "--experiment.max_steps=4", "--experiment.epochs=9")
    steps = [row["step"] for row in lab.rows() if "train/step_loss" in row]
    assert steps == [1, 2, 3, 4]
    rates = [row["train/lr"] for row in lab.rows() if "train/lr" in row]
    assert rates[-1] < 0.5 * rates[0], "the schedule ends with the run"


def test_the_period_of_the_loss_curve(lab: Lab) -> None:
    run(*TOY_RUN, "--experiment.log_every_steps=2")
    assert [row["step"] for row in lab.rows() if "train/step_loss" in row] == [2, 4, 6]


def test_early_stop(lab: Lab) -> None:
    run(
        *TOY_RUN,
        "--training.optimizer.params={lr: 1.0e-30}",
        "--experiment.epochs=9",
        "--experiment.target=loss",
        "--experiment.early_stop={patience: 2, min_delta: 0.5}",
    )
    epochs = [row["epoch"] for row in lab.rows() if "train/top1" in row]
    assert epochs == [0, 1, 2]
    assert lab.record()["status"] == "done"


def test_equal_seeds_equal_bytes_and_other_seeds_others(lab: Lab) -> None:
    for seed in (5, 5, 6):
        run(*TOY_RUN, f"--experiment.seed={seed}")
    hashes = [lab.record(i)["weights_sha256"] for i in range(3)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert lab.rows(0) == lab.rows(1)


def test_the_stored_config_reruns_the_run(lab: Lab) -> None:
    run(*TOY_RUN, "--config=quantized", "--training.ema.decay=0.9", "--data.limit=50")
    run(*TOY_RUN, f"--config={lab.folder().config_file}")
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.record(0)["config"] == lab.record(1)["config"]


def test_numbers_as_keys_survive_the_stored_config(lab: Lab) -> None:
    schedule = "{class: Hand, params: {schedule: {0: 1, 1: 0.5}}}"
    run(*TOY_RUN, f"--training.lr_scheduler={schedule}")
    run(*TOY_RUN, f"--config={lab.folder().config_file}")
    run("test", "--problem=Toy", "--exp_id=0")
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]


def test_workers_change_nothing(lab: Lab) -> None:
    for workers in (0, 2):
        run(*TOY_RUN, f"--data.workers={workers}")
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)


def test_the_best_epoch_is_the_one_tested(lab: Lab) -> None:
    run(*TOY_RUN, "--experiment.epochs=4", "--training.optimizer.params.lr=0.5")
    values = [row["valid/top1"] for row in lab.rows() if "train/top1" in row]
    metrics = lab.record()["metrics"]
    assert metrics["best/top1"] == max(values)
    assert metrics["best/epoch"] == values.index(max(values)) + 1
    assert weights_sha256(saved(lab, 0)) == lab.record()["weights_sha256"]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precisions_train(lab: Lab, precision: str) -> None:
    run(*TOY_RUN, f"--training.precision={precision}", "--training.clip_norm=5")
    assert all(t.dtype != torch.float64 for t in saved(lab, 0).values())
    losses = [row["train/step_loss"] for row in lab.rows() if "train/step_loss" in row]
    assert 0.5 < losses[0] < 3.0


@pytest.mark.parametrize(
    "schedule",
    [
        "{class: StepLR, params: {step_size: 1, gamma: 0.5}}",
        "{class: ReduceLROnPlateau,"
        " params: {mode: max, factor: 0.5, patience: 0, threshold: 1.0e+9}}",
    ],
)
def test_schedulers_of_torch_step_by_the_epoch(lab: Lab, schedule: str) -> None:
    run(*TOY_RUN, f"--training.lr_scheduler={schedule}", "--experiment.epochs=4")
    rates = [row["train/lr"] for row in lab.rows() if "train/lr" in row]
    assert rates[0] == 0.05
    assert rates[-1] <= 0.025


def test_pretrained_weights(lab: Lab) -> None:
    run(*TOY_RUN)
    frozen = "--training.optimizer.params={lr: 1.0e-300}"
    run(*TOY_RUN, frozen, "--experiment.seed=9", "--network.pretrained.exp_id=0")
    assert torch.equal(saved(lab, 0)["conv.weight"], saved(lab, 1)["conv.weight"])
    run(
        *TOY_RUN,
        frozen,
        "--experiment.seed=9",
        "--network.pretrained={exp_id: 0, prefixes: [linear.]}",
    )
    assert torch.equal(saved(lab, 0)["linear.weight"], saved(lab, 2)["linear.weight"])
    assert not torch.equal(saved(lab, 0)["conv.weight"], saved(lab, 2)["conv.weight"])


def test_pretrained_weights_of_other_bits(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def rules(num_bits: int) -> str:
        algorithm = f"{{kind: lsq, num_bits: {num_bits}, start_epoch: 0}}"
        return f"--quantize.rules=[{{select: '*', on: weight, algorithm: {algorithm}}}]"

    run(*TOY_RUN, rules(8))
    given = (*TOY_RUN, "--network.pretrained.exp_id=0")
    run(*given, rules(8))
    assert main.main([*given, rules(4)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "conv.weight_quantizer: the state of 8 bits given, of 4 bits allowed; " in line
    assert not lab.folder(2).path.exists()


def test_the_number_of_folds(lab: Lab) -> None:
    run(*TOY_RUN, "--experiment.folds=3", "--data.valid_fraction=0", "--experiment.epochs=1")
    record = lab.record()
    tops = [fold["metrics"]["test/top1"] for fold in record["folds"]]
    assert record["metrics"]["test/top1"] == pytest.approx(sum(tops) / 3)
    mean = sum(tops) / 3
    deviation = (sum((top - mean) ** 2 for top in tops) / 2) ** 0.5
    assert record["metrics"]["test/top1_std"] == pytest.approx(deviation)
    assert len({fold["weights_sha256"] for fold in record["folds"]}) == 3


def test_other_random_numbers_of_the_process_do_not_matter(lab: Lab) -> None:
    run(*TOY_RUN)
    seed_everything(12345)
    torch.rand(7)
    run(*TOY_RUN)
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["ste", "lsq"])
def test_a_run_compiles_its_network_once(lab: Lab, kind: str) -> None:
    """Steps that observe a range before quantizers start run uncompiled."""
    settings = f"kind: {kind}, num_bits: 4, start_epoch: 0"
    weight = f"{{select: '*', on: weight, algorithm: {{{settings}}}}}"
    inputs = f"{{select: '*', on: input, algorithm: {{{settings}, observe_steps: 3}}}}"
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    run(*TOY_RUN, "--training.compile=true", f"--quantize.rules=[{weight}, {inputs}]")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_the_best_epoch_is_a_quantized_one(lab: Lab) -> None:
    """Whatever the epochs in float reached before: what is tested is what the run is for."""
    rule = "{select: '*', on: weight, algorithm: {kind: ste, num_bits: 2, start_epoch: 3}}"
    run(*TOY_RUN, "--experiment.epochs=4", f"--quantize.rules=[{rule}]")
    assert lab.record()["metrics"]["best/epoch"] == 4
    enabled = [value for name, value in saved(lab, 0, "best").items() if name.endswith("enabled")]
    assert len(enabled) > 0
    assert all(enabled)
