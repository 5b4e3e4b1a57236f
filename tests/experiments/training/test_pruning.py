"""Runs that train a pruned network on, of the toy problem."""

import pytest
import torch

import main
from experiments.progress import Steps
from tests.experiments.training.test_resume import kill
from tests.experiments.training.test_trainer import difference, run, saved
from tests.lab import TOY_RUN, Lab

PRUNED = (*TOY_RUN, "--prune.sparsity=0.6", "--prune.select=type:Linear | type:Conv2d")


@pytest.mark.parametrize("scope", ["global", "uniform"])
@pytest.mark.parametrize("layers", ["sparse", "half", "int8"])
def test_what_is_trained_is_tested(lab: Lab, scope: str, layers: str) -> None:
    chosen = (*PRUNED, f"--prune.scope={scope}", f"--prune.layers={layers}")
    run(*chosen, "--training.ema.decay=0.9")
    weights = saved(lab, 0)
    kept = sum(len(weights[f"{name}.indices"]) for name in ("conv", "linear"))
    assert kept == weights["conv.weight"].numel() + weights["linear.weight"].numel()
    run("test", "--problem=Toy", "--exp_id=0")


@pytest.mark.parametrize("layers", ["sparse", "half", "int8"])
@pytest.mark.parametrize("blocks", ["true", "false"])
def test_a_killed_run_goes_on_to_the_same_weights(
    lab: Lab, layers: str, blocks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (
        *PRUNED,
        f"--prune.layers={layers}",
        f"--prune.blocks={blocks}",
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


def test_masked_and_sparse_layers_learn_the_same(lab: Lab) -> None:
    exact = (*PRUNED, "--training.precision=float64", "--network.params.dropout=0.0")
    run(*exact, "--prune.layers=sparse")
    run(*exact, "--prune.layers=masked")
    sparse, masked = saved(lab, 0), saved(lab, 1)
    for name in ("conv", "linear"):
        dense = (masked[f"{name}.weight_orig"] * masked[f"{name}.weight_mask"]).reshape(-1)
        assert torch.allclose(sparse[f"{name}.weight"], dense[sparse[f"{name}.indices"]])
    assert difference({"b": sparse["linear.bias"]}, {"b": masked["linear.bias"]}) < 1e-9


def test_a_pruned_run_begins_where_a_dense_one_ended(lab: Lab) -> None:
    run(*TOY_RUN)
    slow = "--training.optimizer.params={lr: 1.0e-300}"
    start = "--network.pretrained={exp_id: 0, checkpoint: last}"
    run(*PRUNED, start, slow)
    dense, sparse = saved(lab, 0), saved(lab, 1)
    for name in ("conv", "linear"):
        weight = dense[f"{name}.weight"].reshape(-1)
        assert torch.equal(sparse[f"{name}.weight"], weight[sparse[f"{name}.indices"]])
    run(*PRUNED, "--network.pretrained={exp_id: 1, checkpoint: last}", slow)
    again = saved(lab, 2)
    for name in ("conv", "linear"):
        assert torch.equal(again[f"{name}.indices"], sparse[f"{name}.indices"])
        assert torch.equal(again[f"{name}.weight"], sparse[f"{name}.weight"])


@pytest.mark.parametrize("layers", ["sparse", "int8", "masked"])
def test_a_dense_or_quantized_run_begins_where_a_pruned_one_ended(lab: Lab, layers: str) -> None:
    run(*PRUNED, f"--prune.layers={layers}")
    run("test", "--problem=Toy", "--exp_id=0")
    pruned = saved(lab, 0)
    start = "--network.pretrained={exp_id: 0, checkpoint: last}"
    slow = "--training.optimizer.params={lr: 1.0e-300}"
    rules = "--quantize.rules=[{select: '*', on: weight, algorithm: {kind: ste, num_bits: 8}}]"
    run(*TOY_RUN, start, slow)
    run(*TOY_RUN, start, slow, rules)
    for exp_id in (1, 2):
        weight = saved(lab, exp_id)["linear.weight"]
        if layers == "masked":
            kept = pruned["linear.weight_orig"] * pruned["linear.weight_mask"]
            assert torch.equal(weight, kept)
            continue
        places = pruned["linear.indices"]
        assert torch.equal(weight.reshape(-1)[places], pruned["linear.weight"])
        assert torch.count_nonzero(weight) <= len(places)


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ("--training.compile=true", "prune.blocks: given beside training.compile"),
        ("--training.precision=float64", "prune.blocks: given beside precision float64"),
    ],
)
def test_blocks_are_refused_where_they_do_not_work(
    lab: Lab, capsys: pytest.CaptureFixture[str], beside: str, message: str
) -> None:
    assert main.main([*PRUNED, "--prune.blocks=true", beside]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--prune.sparsity=1.0", "prune.sparsity"),
        ("--prune.select=type:LSTM", "prune.select"),
        ("--prune.layers=csr", "prune.layers"),
        ("--prune.blocks=maybe", "prune.blocks"),
        ("--quantize.rules=[{select: '*', on: weight, algorithm: {kind: ste, num_bits: 4}}]",
         "given beside quantize.rules"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(
    lab: Lab, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert main.main([*PRUNED, override]) == 2
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text
