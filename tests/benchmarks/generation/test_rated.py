"""The rate term: bits of codes, their gradient, and the steering to a target."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.generation.rivals.rated import RatedCrossEntropy, rate, rate_of, rated
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from tests.waiting import no_waiting


def new_network(granularity: str = "per_tensor") -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))
    algorithm = {"kind": "lsq", "num_bits": 3, "narrow": True, "granularity": granularity}
    quantize(network, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    calibrate(network, [torch.randn(2, 2, 6, 6)])
    return network


@pytest.mark.parametrize("granularity", ["per_tensor", "per_axis:0"])
def test_the_rate_of_codes_is_their_entropy(granularity: str) -> None:
    one = rated(new_network(granularity))[1]
    weight, quantizer = one.parameter, one.quantizer
    with torch.no_grad():
        weight.copy_(torch.randint(-3, 4, weight.shape) * quantizer.scale)
    codes = quantizer.codes(weight).numpy()
    shares = (np.unique(codes, return_counts=True)[1] + 1) / (codes.size + 7)
    counts = np.unique(codes, return_counts=True)[1]
    found = rate_of(weight, quantizer)
    assert float(found.detach()) == pytest.approx(
        float(-(counts * np.log2(shares)).sum()), rel=1e-5
    )


def test_the_gradient_moves_to_the_likelier_neighbor() -> None:
    quantizer = rated(new_network())[0].quantizer
    scale = quantizer.scale.detach()
    weight = (torch.tensor([0.0] * 50 + [1.0] * 10 + [0.7, -0.3, 1.4]) * scale).requires_grad_()
    rate_of(weight, quantizer).backward()
    assert weight.grad is not None
    assert weight.grad[60] > 0  # to 0, far likelier than 1
    assert weight.grad[61] < 0  # to 0, from below
    assert weight.grad[62] > 0  # to 1, likelier than 2


def test_steps_do_not_wait_and_end_near_the_target() -> None:
    network = new_network()
    target = 60
    loss = RatedCrossEntropy(network, target_bytes=target, growth=0.05)
    assert not list(loss.parameters())
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.0, foreach=True)
    x_NCHW, labels = torch.randn(16, 2, 6, 6), torch.arange(16) % 4
    before = float(rate(rated(network)).detach()) / 8
    assert before > 2 * target
    for step in range(400):
        optimizer.zero_grad()
        if step == 0:
            with no_waiting():
                loss(network(x_NCHW), labels).backward()
        else:
            loss(network(x_NCHW), labels).backward()
        optimizer.step()
    after = float(rate(rated(network)).detach()) / 8
    assert 0.5 * target < after < 1.25 * target


def test_evaluations_measure_the_loss_alone() -> None:
    network = new_network()
    loss = RatedCrossEntropy(network, target_bytes=60)
    x_NCHW, labels = torch.randn(4, 2, 6, 6), torch.arange(4)
    with torch.no_grad():
        outputs = network(x_NCHW)
        assert torch.equal(loss(outputs, labels), nn.functional.cross_entropy(outputs, labels))
