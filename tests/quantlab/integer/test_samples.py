"""What `lower` takes as samples, and what it refuses in one line."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import InputSpec, lower
from tests.quantlab.integer.networks import SPEC, pixels, plain, reals


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Its input of the last layer has no quantizer, so that samples count."""
    made = plain().eval()
    quantize(made, [{"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}}])
    calibrate(made, [x()])
    return made


def x() -> Tensor:
    return reals(pixels(4)).float()


def test_arrays_and_other_types_of_real_numbers(network: nn.Module) -> None:
    wanted = to_bytes(lower(network, SPEC, x()))
    for samples in (x().double(), x().numpy(), x().double().numpy()):
        assert to_bytes(lower(network, SPEC, samples)) == wanted


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (pixels(4), "samples: uint8 given, real numbers as the network takes them allowed; of raw"),
        (pixels(4).numpy(), "samples: uint8 given, real numbers"),
        ([[1.0]], "samples: a list given, a tensor or a NumPy array of numbers allowed"),
        (np.array(["a"]), "samples: a <U1 array given"),
        (x()[:0], r"samples: float32\[0, 3, 9, 9\] given, \[N, ...\] of at least 1 sample needed"),
        (x()[:, :2], r"samples: \[2, 9, 9\] given, \[3, 9, 9\] allowed"),
        (torch.tensor(1.0), r"samples: float32\[\] given"),
        (x() / 0, "samples: .* given, finite numbers allowed"),
    ],
)
def test_other_samples_are_one_line(network: nn.Module, samples: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        lower(network, SPEC, samples)
    assert "\n" not in str(caught.value)


def test_other_networks_and_specs() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    for given in (SPEC, None):
        with pytest.raises(UsageError, match=r"^network: a \w+ given, a torch.nn.Module allowed"):
            lower(given, SPEC)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^spec: a tuple given, an InputSpec allowed"):
        lower(network, (3, 9, 9))  # type: ignore[arg-type]
    spec = InputSpec(shape=(2,), scale=(1.0,), zero_point=(0,))
    with pytest.raises(UsageError, match="threshold_levels: a str given, an integer allowed"):
        lower(network, spec, threshold_levels="4")  # type: ignore[arg-type]
