"""Products by linear algebra are those of the interpreter, up to the order of sums."""

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.floats import interpreter
from quantlab.floats.lower.lower import lower
from quantlab.packs.products import compute

LAYERS = {
    "plain": nn.Conv2d(6, 8, 3),
    "strided": nn.Conv2d(6, 8, (3, 2), stride=(2, 3), padding=(2, 1)),
    "dilated": nn.Conv2d(6, 8, 3, dilation=2, padding="same"),
    "groups": nn.Conv2d(6, 8, 3, groups=2, padding=1),
    "depthwise": nn.Conv2d(6, 6, 3, groups=6, padding=1),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(486, 5)),
    "pooled": nn.Sequential(nn.Conv2d(6, 8, 2), nn.ReLU(), nn.MaxPool2d(2)),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_products_are_those_of_the_interpreter(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Tanh(), layer).eval()
    x = torch.randn(3, 6, 9, 9)
    program = lower(network, x)
    expected = interpreter.run(program, {"input": x.numpy()})["output"]
    found = interpreter.run(program, {"input": x.numpy()}, compute)["output"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6 * max(1, np.abs(expected).max())
    assert np.abs(found - network(x).detach().numpy()).max() < 1e-5
