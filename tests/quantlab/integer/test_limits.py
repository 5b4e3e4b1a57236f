"""Programs for small targets: sums of 32 bits, memory of few bits."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from experiments.protocols import InMemory
from problems.images.normalize import MNIST, normalize
from problems.MNIST import data
from quantlab.errors import UsageError
from quantlab.integer.bounds import Bound
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.models import stored
from tests.quantlab.integer.networks import (
    SPEC,
    PreActivation,
    Residual,
    pixels,
    plain,
    reals,
    settled,
)
from tests.quantlab.integer.test_lower import scores

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist"


def sum_bits(program: Program) -> int:
    """Return the bits of the largest sum that is rescaled."""
    made = [o.output for o in program.operations if isinstance(o, Rescale)]
    return max(program.bounds[name].num_bits for name in made)


@pytest.mark.parametrize("make", [plain, Residual, PreActivation])
@pytest.mark.parametrize("bits", [2, 8])
def test_narrow_sums_are_proven_and_near_the_network(make: type[nn.Module], bits: int) -> None:
    network = settled(make(), bits)
    samples, raw = reals(pixels(16)), pixels(20, 5)
    wide = lower(network, SPEC, samples)
    narrow = lower(network, SPEC, samples, sum_bits=32)
    assert to_bytes(lower(network, SPEC, samples, sum_bits=64)) == to_bytes(wide)
    assert sum_bits(wide) > 32
    assert sum_bits(narrow) <= 32
    found, wanted = scores(narrow, raw), scores(wide, raw)
    assert np.abs(found - wanted).max() < 0.06 * np.abs(wanted).max()


def test_multipliers_of_narrow_sums_use_the_room() -> None:
    """For each channel its own: what a sum leaves free is less than a bit."""
    bound = Bound(low=np.array([-(2**15)], object), high=np.array([2**15 - 1], object))
    factor, offset = np.array([0.5, 0.0031, 1e-9]), np.array([100.0, -3.0, 0.5])
    (multiplier,), offsets, shift = choose([factor], offset, [bound], "fc", sum_bits=32)
    most = np.abs(multiplier.astype(object)) * 2**15 + np.abs(offsets)
    assert (most < 2**31).all()
    assert (most[:2] >= 2**29).all()
    assert multiplier[:2].min() > 2**13
    np.testing.assert_allclose(np.ldexp(multiplier[:2].astype(float), -shift[:2]), factor[:2], 1e-4)


def test_numbers_too_large_for_narrow_sums_are_refused_by_name() -> None:
    bound = Bound(low=np.array([0], object), high=np.array([2**26 + 1], object))
    factor, offset = np.array([0.5]), np.array([0.5])
    with pytest.raises(UsageError, match=r"layer 'fc': numbers of up to 2\^26\.0 to rescale given"):
        choose([factor], offset, [bound], "fc", sum_bits=32)
    choose([factor], offset, [bound], "fc")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sum_bits", 16, "sum_bits: 16 given, 32 or 64 allowed"),
        ("sum_bits", "32", "sum_bits: a str given, an integer allowed"),
        ("memory_bits", 24, "memory_bits: 24 given, 8 or 16 or 32 allowed"),
        ("memory_bits", True, "memory_bits: True given, 8 or 16 or 32 allowed"),
    ],
)
def test_other_bits_are_refused(name: str, given: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        lower(nn.Identity(), SPEC, **{name: given})  # type: ignore[arg-type]


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}")
def test_a_trained_network_has_the_same_classes_with_narrow_sums() -> None:
    digits = data.load(OFFICIAL, "folder")
    assert isinstance(digits.train, InMemory)
    assert isinstance(digits.test, InMemory)
    network = stored.network("lenet_w4a4")
    spec = InputSpec(shape=(1, 28, 28), scale=MNIST.scale, zero_point=MNIST.zero_point)
    samples, raw = normalize(digits.train.inputs[:64], MNIST), digits.test.inputs[:2000]
    programs = [lower(network, spec, samples, sum_bits=bits) for bits in (64, 32)]
    assert sum_bits(programs[1]) <= 32
    classes, sums = [], []
    for program in programs:
        tensors = dict(FastEngine(program).execute({"input": raw.numpy()}))
        classes.append(tensors[program.outputs[0]].argmax(1))
        sums.append(tensors["classifier_fc2"])
    assert np.array_equal(*classes)
    assert (sums[0] != sums[1]).mean() < 0.05  # of the last layer, before they are rescaled
    raw_bytes = {"input": raw[:20].numpy()}
    for one in compare(programs[1], {"fast": FastEngine(programs[1])}, [raw_bytes]):
        one.check()
