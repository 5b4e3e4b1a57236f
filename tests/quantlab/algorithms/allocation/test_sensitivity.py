import copy
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.allocation import Sensitivity, sensitivity
from quantlab.errors import DivergedError, UsageError

BITS = (2, 4, 8)


@pytest.fixture
def unequal(batches) -> list[tuple[Tensor, Tensor]]:
    """Batches of which the last is smaller."""
    x, y = batches[0]
    return [*batches, (-x[:3], y[:3])]


@pytest.fixture
def spoiled(new_network, unequal, rules) -> Any:
    """Returns the float network's outputs and those with one tensor of one layer quantized."""

    def outputs(layer: str, on: str, num_bits: int, settings: dict[str, Any]) -> Any:
        network = new_network()
        quantize(network, rules((f"[{layer}]", on, {**settings, "num_bits": num_bits})))
        calibrate(network, unequal)
        with torch.no_grad():
            return tuple(
                torch.cat([net.eval()(x) for x, _ in unequal]).double().numpy()
                for net in (new_network(), network)
            )

    return outputs


@pytest.mark.parametrize("on", ["weight", "input"])
@pytest.mark.parametrize("algorithm", [{"kind": "ste"}, {"kind": "lsq"}])
def test_rows_are_those_of_the_quantized_network(
    network, unequal, spoiled, on: Any, algorithm: dict[str, Any]
) -> None:
    table = sensitivity(
        network, unequal, functional.cross_entropy, bits=BITS, on=on, algorithm=algorithm
    )
    targets = torch.cat([y for _, y in unequal]).numpy()
    assert [(row.layer, row.num_bits) for row in table.rows] == [
        (layer, b) for layer in ("0", "2", "4") for b in BITS
    ]
    for row in table.rows:
        f, q = spoiled(row.layer, on, row.num_bits, algorithm)
        log_p, log_q = log_softmax(f, axis=1), log_softmax(q, axis=1)
        losses = [-y[np.arange(len(y)), targets].mean() for y in (log_p, log_q)]
        np.testing.assert_allclose(table.float_loss, losses[0], rtol=1e-6)
        np.testing.assert_allclose(row.loss_increase, losses[1] - losses[0], atol=1e-6)
        sqnr = 10 * np.log10((f**2).sum() / ((f - q) ** 2).sum())
        np.testing.assert_allclose(row.sqnr_db, sqnr, rtol=1e-4)
        kl = (np.exp(log_p) * (log_p - log_q)).sum(1).mean()
        np.testing.assert_allclose(row.kl, kl, rtol=1e-3, atol=1e-9)
        assert row.num_weights == network.get_submodule(row.layer).weight.numel()
    assert table.num_samples == 35


def test_the_network_is_as_before(network, batches, rules) -> None:
    w3 = {"kind": "ste", "num_bits": 3}
    quantize(network, rules(("*", "weight", w3), ("*", "input", w3)))
    calibrate(network, batches)
    network.train()
    network[2].eval()
    before = copy.deepcopy(network.state_dict())
    modes = [m.training for m in network.modules()]
    x, _ = batches[0]
    outputs = network.eval()(x)
    network.train()
    network[2].eval()
    found = {
        on: sensitivity(network, batches, functional.cross_entropy, bits=(2, 8), on=on)
        for on in ("weight", "input")
    }
    assert [m.training for m in network.modules()] == modes
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in network.modules())
    assert torch.equal(network.eval()(x), outputs)
    assert all(p.grad is None for p in network.parameters())
    # What is there already passes all through: eight bits alone are next to nothing.
    assert all(row.sqnr_db > 25 for table in found.values() for row in table.rows[1::2])


def test_the_network_is_as_before_an_error(network, batches) -> None:
    network.train()
    with pytest.raises(RuntimeError):
        sensitivity(network, [*batches, (torch.zeros(1, 3, 6, 6), batches[0][1])], nn.MSELoss())
    assert network.training
    assert not any(m._forward_pre_hooks for m in network.modules())


def test_same_twice(network, batches) -> None:
    tables = [
        sensitivity(network, batches, functional.cross_entropy, on="input", select="!first")
        for _ in range(2)
    ]
    assert tables[0] == tables[1]
    assert {row.layer for row in tables[0].rows} == {"2", "4"}


def test_maps_of_scores_and_tied_weights(rules) -> None:
    """The outputs may have positions; a layer called twice is quantized in both calls."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(self.conv(x))
            return y

    torch.manual_seed(0)
    network = Twice()
    x, targets = torch.randn(4, 3, 2, 2), torch.randint(3, (4, 2, 2))
    (row,) = sensitivity(network, [(x, targets)], functional.cross_entropy, bits=[2]).rows
    other = copy.deepcopy(network)
    quantize(other, rules(("*", "weight", {"kind": "ste", "num_bits": 2})))
    calibrate(other, [x])
    with torch.no_grad():
        log_p, log_q = (log_softmax(net(x).double().numpy(), axis=1) for net in (network, other))
    np.testing.assert_allclose(row.kl, (np.exp(log_p) * (log_p - log_q)).sum(1).mean(), rtol=1e-4)


def test_no_noise_is_infinitely_little(batches) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
    with torch.no_grad():
        network[1].weight.copy_(torch.randint(-1, 2, (3, 72)))
    (row,) = sensitivity(network, batches, functional.cross_entropy, bits=[8]).rows
    assert row.sqnr_db > 100
    with torch.no_grad():
        network[1].weight.zero_()
    (row,) = sensitivity(network, batches, functional.cross_entropy, bits=[8]).rows
    assert (row.sqnr_db, row.loss_increase, row.kl) == (float("inf"), 0.0, 0.0)


def test_table(network, batches) -> None:
    table = sensitivity(network, batches, functional.cross_entropy, bits=[8, 2])
    assert isinstance(table, Sensitivity)
    text = str(table)
    assert text.startswith("weights of one layer quantized, all else float; float loss ")
    block = table.table("kl").splitlines()
    assert block[0] == "Kullback-Leibler divergence of the outputs"
    assert block[1].split() == ["layer", "weights", "2", "bits", "8", "bits"]
    assert len({len(line) for line in block[1:]}) == 1
    assert len(block) == 2 + 3
    assert float(block[2].split()[-1]) == pytest.approx(table.rows[1].kl, rel=1e-3)
    assert table.table("kl") in text


def test_progress(network, batches) -> None:
    told: list[tuple[str, int, int | None]] = []
    sensitivity(
        network,
        batches,
        functional.cross_entropy,
        bits=[8],
        progress=lambda *args: told.append(args),
    )
    assert told == [("sensitivity", count, 3) for count in (1, 2, 3)]


def test_what_cannot_be_measured(network, batches) -> None:
    loss = functional.cross_entropy
    with pytest.raises(UsageError, match="batches: 0 given"):
        sensitivity(network, [], loss)
    for bits in ([], [4, 4]):
        with pytest.raises(UsageError, match=r"^bits: \(.*\) given, at least one, each once"):
            sensitivity(network, batches, loss, bits=bits)
    with pytest.raises(UsageError, match="num_bits"):
        sensitivity(network, batches, loss, bits=[99])
    with pytest.raises(UsageError, match="granularity"):
        sensitivity(network, batches, loss, algorithm={"kind": "ste", "granularity": "per_x"})
    with pytest.raises(UsageError, match="'fc' matches no layer"):
        sensitivity(network, batches, loss, select="fc")
    with pytest.raises(DivergedError, match=r"^the float network: loss nan"):
        sensitivity(network, [(x * torch.nan, y) for x, y in batches], loss)
    with pytest.raises(UsageError, match=r"^batches\[0\]: a Tensor given, a tuple of two"):
        sensitivity(network, [cast(Any, batches[0][0])], loss)
    with pytest.raises(UsageError, match=r"^network: output \(24,\) given"):
        sensitivity(nn.Sequential(network, nn.Flatten(0)), batches, loss)
    own = type("Own", (nn.Linear,), {"forward": lambda self, x: x})
    with pytest.raises(UsageError, match="a Own given"):
        sensitivity(nn.Sequential(own(2, 2)), batches, loss)
