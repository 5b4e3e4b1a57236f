import torch

from quantlab.monitor.grid import next_grid
from tests.quantlab.monitor.small import trained


def test_a_grid_that_follows_is_moved_in_a_copy() -> None:
    training = trained(num_steps=3)
    quantizer, weight = training.quantizer("linear", "weight"), training.network.linear.weight
    before = {name: t.clone() for name, t in quantizer.state_dict().items()}
    moved = next_grid(quantizer, weight)
    assert all(torch.equal(t, before[name]) for name, t in quantizer.state_dict().items())
    assert not torch.equal(moved.scale, quantizer.scale)
    quantizer(weight)
    assert torch.equal(moved.scale, quantizer.scale)


def test_one_that_stays_is_itself() -> None:
    training = trained(num_steps=3)
    quantizer, weight = training.quantizer("linear", "weight"), training.network.linear.weight
    quantizer.eval()
    assert next_grid(quantizer, weight) is quantizer
    quantizer.train().set_observing(False)
    assert next_grid(quantizer, weight) is quantizer
