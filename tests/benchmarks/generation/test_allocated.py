"""Settings of allocated bases and bits."""

from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.generation.allocated import allocated_settings, settings_of
from benchmarks.generation.packed import packed
from benchmarks.generation.rows import plan
from benchmarks.generation.trained import train, trained_network
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.generation.allocation import Allocation, Dense, Option
from quantlab.generation.spec import MLGSpec
from tests.lab import Lab


def test_settings_say_what_was_allocated() -> None:
    spec = MLGSpec(base_in=3, base_out=70, basis_bit=4, coeff_in_bit=2, coeff_out_bit=3)
    options = {
        "conv1": Option(form=Dense(num_bits=6), nbytes=10, error=0.1),
        "layers.layer1.0.conv1": Option(form=spec, nbytes=20, error=0.2),
    }
    found = settings_of(Allocation(options=options, max_bytes=40, loss=1.0), "lsq")
    assert found["mlg.quantizer"] == "lsq"
    sizes = {"base_in": 3, "base_out": 70, "basis_bit": 4, "coeff_in_bit": 2, "coeff_out_bit": 3}
    assert yaml.safe_load(found["mlg.rules"]) == [
        {"select": "conv1", "dense": True},
        {"select": "layers.layer1.0.conv1", **sizes},
    ]
    quantized = {
        rule["select"]: rule["algorithm"]["num_bits"]
        for rule in yaml.safe_load(found["quantize.rules"])
    }
    assert quantized == {"last": 8, "conv1": 6}


RATED = {"training.loss.class": "RatedCrossEntropy", "training.loss.params": "{target_bytes: 900}"}


@pytest.mark.long
@pytest.mark.parametrize(("name", "loss"), [("mlg-allocated", {}), ("mlg-allocated-rate", RATED)])
def test_a_network_is_allocated_trained_and_packed(
    lab: Lab, tmp_path: Path, name: str, loss: dict[str, str]
) -> None:
    torch.manual_seed(0)
    dense, budget = ResNet(8, width=4, fc_bias=False), 1_600
    torch.save({"network": dense.state_dict()}, tmp_path / "dense.pt")
    row = plan(name)
    assert row.allocated is not None
    found = allocated_settings(
        dense, budget, quantizer=row.allocated, source="synthetic", processes=2
    )
    settings = {
        **row.settings,
        **found,
        **loss,
        "experiment.epochs": "1",
        "network.params": "{depth: 8, width: 4, fc_bias: false}",
        "teacher.checkpoint": str(tmp_path / "dense.pt"),
        "data.source": "synthetic",
        "data.limit": "64",
        "data.limit_test": "16",
    }
    run = train(row.config, settings, is_quick=True)
    network = trained_network(run, row.config, settings)
    num_bytes, _ = packed(network, tmp_path / "network.mlgpack", source="synthetic", limit=8)
    assert num_bytes <= budget + 3_000, "the header is beside the budget"
