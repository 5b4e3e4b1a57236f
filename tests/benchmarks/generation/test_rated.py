"""The rate term that is steered to a target."""

import torch
from torch import nn

from benchmarks.generation.rivals.rated import RatedCrossEntropy
from quantlab.algorithms import quantize, rate_of
from quantlab.algorithms.after_training import calibrate
from tests.waiting import no_waiting


def new_network(granularity: str = "per_tensor") -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))
    algorithm = {"kind": "lsq", "num_bits": 3, "narrow": True, "granularity": granularity}
    quantize(network, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    calibrate(network, [torch.randn(2, 2, 6, 6)])
    return network


def test_steps_do_not_wait_and_end_near_the_target() -> None:
    network = new_network()
    target = 60
    loss = RatedCrossEntropy(network, target_bytes=target, growth=0.05)
    assert not list(loss.parameters())
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.0, foreach=True)
    x_NCHW, labels = torch.randn(16, 2, 6, 6), torch.arange(16) % 4
    before = float(rate_of(network).detach()) / 8
    assert before > 2 * target
    for step in range(400):
        optimizer.zero_grad()
        if step == 0:
            with no_waiting():
                loss(network(x_NCHW), labels).backward()
        else:
            loss(network(x_NCHW), labels).backward()
        optimizer.step()
    after = float(rate_of(network).detach()) / 8
    assert 0.5 * target < after < 1.25 * target


def test_evaluations_measure_the_loss_alone() -> None:
    network = new_network()
    loss = RatedCrossEntropy(network, target_bytes=60)
    x_NCHW, labels = torch.randn(4, 2, 6, 6), torch.arange(4)
    with torch.no_grad():
        outputs = network(x_NCHW)
        assert torch.equal(loss(outputs, labels), nn.functional.cross_entropy(outputs, labels))
