"""Runs that pay for the bits of their codes."""

import pytest
import torch

from experiments.experiment import experiment
from tests.experiments.experiment.test_generated_students import MLG, ONCE
from tests.experiments.experiment.test_teacher import digest, refusal, saved, train
from tests.lab import Lab
from tests.recorded_graphs import RecordedGraphs

RATE = "--criterion.rate_weight=0.5"
LSQ = (
    "--quantize.rules=[{select: '*', on: weight, algorithm: {kind: lsq, num_bits: 3, "
    "start_epoch: 1}}]"
)


def test_bits_are_trained_and_not_evaluated(lab: Lab) -> None:
    plain = (*MLG, "--network.params.dropout=0", "--experiment.max_steps=1", ONCE)
    assert train(*plain, "--training.optimizer.params.lr=0") == 0
    assert train(*plain, RATE, "--training.optimizer.params.lr=0") == 0
    before, after = ({k: v for row in lab.rows(i) for k, v in row.items()} for i in (0, 1))
    for name in ("train/step_loss", "train/loss"):
        assert after[name] > before[name] + 0.5
    for name in ("valid/loss", "test/loss"):
        assert after[name] == before[name]
    assert digest(lab, 0) == digest(lab, 1)


@pytest.mark.long
def test_captured_steps_and_quantizers_that_start_late_give_the_same_bytes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (
        LSQ, "--experiment.epochs=3", "--data.batch_size=8",
        "--training.lr_scheduler.class=Constant",
    )  # fmt: skip
    graphs = RecordedGraphs()
    monkeypatch.setattr(experiment, "graphs_of", lambda device: graphs)
    assert train(*given, RATE, "--training.capture=never") == 0
    assert train(*given, RATE) == 0
    assert graphs.num_recorded
    assert train(*given, "--training.capture=never") == 0
    assert digest(lab, 0) == digest(lab, 1) != digest(lab, 2)
    assert lab.rows(0) == lab.rows(1)
    first = [[row["train/loss"] for row in lab.rows(i) if "train/loss" in row] for i in (0, 2)]
    assert first[0][0] == first[1][0]  # as no quantizer has started
    assert first[0][1] > first[1][1] + 0.5
    states = [saved(lab, exp_id)["network"] for exp_id in (0, 2)]
    assert states[0].keys() == states[1].keys()
    assert not all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_refused(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    said = "criterion.rate_weight: 0.5 given, without effect as no weight or factor is quantized"
    assert said in refusal(capsys, RATE)
    floats = ("--mlg.basis_bit=32", "--mlg.coeff_in_bit=32", "--mlg.coeff_out_bit=32")
    assert said in refusal(capsys, RATE, *MLG, *floats)
    said = "criterion.rate_weight: input should be greater than or equal to 0 (got -1)"
    assert said in refusal(capsys, "--criterion.rate_weight=-1")
