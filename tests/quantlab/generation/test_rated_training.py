"""Networks that pay for their bits are smaller files, and as right."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from quantlab.algorithms import Conductor, parameter_groups, quantize, rate_of
from quantlab.algorithms.rate import num_quantized, quantized_weights
from quantlab.generation import convert
from quantlab.numerics.entropy import encode_codes
from quantlab.packs import make_pack, to_bytes

_NUM_STEPS = 120
LSQ = {"kind": "lsq", "num_bits": 4, "narrow": True, "start_epoch": 0}
RULE = {"select": "*", "on": "weight", "algorithm": LSQ}
FACTORS = {"layers": "*", "base_in": 2, "base_out": 16, "linear_block": 8, "quantizer": "midtread"}
BITS = {"basis_bit": 4, "coeff_in_bit": 4, "coeff_out_bit": 4}


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points of four classes, each about eight centers."""

    x_ND: Tensor
    classes: Tensor


def points(seed: int) -> Points:
    centers = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(32, (512,), generator=generator)
    noise = torch.randn(512, 64, generator=generator)
    return Points(x_ND=centers[places] + 0.6 * noise, classes=places % 4)


def trained(*, is_generated: bool, weight: float) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 4))
    if is_generated:
        convert(network, FACTORS | BITS)
    controllers = quantize(network, [] if is_generated else [RULE])
    optimizer = torch.optim.Adam(parameter_groups(network), 1e-2)
    given = points(1)
    for _ in Conductor(controllers, optimizer).steps(range(_NUM_STEPS)):
        optimizer.zero_grad()
        loss = cross_entropy(network(given.x_ND), given.classes)
        (loss + weight * rate_of(network) / num_quantized(network)).backward()
        optimizer.step()
    return network.eval()


def coded_bytes(network: nn.Module) -> int:
    return sum(
        len(encode_codes(one.quantizer.codes(one.parameter).numpy(), 4))
        for one in quantized_weights(network)
    )


def num_errors(network: nn.Module) -> int:
    given = points(2)
    return int((network(given.x_ND).argmax(1) != given.classes).sum())


@pytest.mark.parametrize(
    ("is_generated", "weight", "share"),
    [(False, 0.1, 0.5), (True, 0.2, 0.7)],
    ids=["weights", "factors"],
)
def test_files_are_smaller(is_generated: bool, weight: float, share: float) -> None:
    """By half, and by three tenths, with at most one point more of errors."""
    free, paid = (trained(is_generated=is_generated, weight=w) for w in (0.0, weight))
    assert coded_bytes(paid) < share * coded_bytes(free)
    packs = [to_bytes(make_pack(network, points(1).x_ND[:1])) for network in (free, paid)]
    saved = coded_bytes(free) - coded_bytes(paid)
    assert len(packs[0]) - len(packs[1]) == pytest.approx(saved, rel=0.1)
    assert coded_bytes(paid) < 1.1 * float(rate_of(paid).detach()) / 8
    assert num_errors(paid) <= num_errors(free) + 5
