"""Products by the kernels are those of the interpreter, up to the order of sums."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.errors import VerificationError
from quantlab.floats import interpreter
from quantlab.floats.lower.lower import lower
from quantlab.packs import make_pack
from quantlab.packs.products import Products
from quantlab.packs.weights import GeneratedWeight
from tests.quantlab.packs.networks import images, small

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
    found = interpreter.run(program, {"input": x.numpy()}, Products().compute)["output"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6 * max(1, np.abs(expected).max())
    assert np.abs(found - network(x).detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("part", ["basis", "coeff_in", "coeff_out"])
def test_codes_that_the_kernels_do_not_take(part: str) -> None:
    pack = make_pack(small(), images())
    weight = pack.weights["conv"]
    wide = weight.parts[part].values.astype(np.int32)
    wide[0] = 40000
    changed = replace(weight, **{part: replace(weight.parts[part], values=wide)})
    broken = replace(pack, weights={**pack.weights, "conv": changed})
    line = r"pack: it cannot be run: layer 'conv': codes -?\d+ to 40000 given, 16 bits allowed"
    with pytest.raises(VerificationError, match=line):
        broken.scores(images().numpy())


def test_generated_weights_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    pack, computed = make_pack(small(), images()), []
    unscaled = GeneratedWeight.unscaled
    monkeypatch.setattr(
        GeneratedWeight, "unscaled", lambda self: computed.append(self) or unscaled(self)
    )
    pack.scores(images().numpy())
    assert not computed
    assert pack.program
    assert computed
