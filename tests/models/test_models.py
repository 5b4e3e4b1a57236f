"""The trained networks that other tests start from are what they say."""

from pathlib import Path

import pytest
import torch

from experiments.protocols import InMemory
from problems.MNIST import data
from problems.MNIST.LeNet import preprocess
from quantlab.quantizer import Quantizer
from tests.models import stored

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"


@pytest.mark.parametrize("name", stored.NAMES)
def test_size_and_stage(name: str) -> None:
    assert (stored.HOME / f"{name}.pt").stat().st_size < 2_000_000
    quantizers = [m for m in stored.network(name).modules() if isinstance(m, Quantizer)]
    assert bool(quantizers) == (not name.endswith("float"))
    assert all(quantizer.is_complete for quantizer in quantizers)


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}")
@pytest.mark.parametrize("name", [name for name in stored.NAMES if name.startswith("lenet")])
def test_accuracy(name: str) -> None:
    digits = data.load(OFFICIAL, "folder").test
    assert isinstance(digits, InMemory)
    network = stored.network(name)
    with torch.inference_mode():
        scores = [network(preprocess.evaluate(part)) for part in digits.inputs.split(1000)]
    top1 = 100 * (torch.cat(scores).argmax(1) == digits.targets).double().mean().item()
    assert top1 == pytest.approx(stored.read(name)["metrics"]["test/top1"], abs=0.05)
