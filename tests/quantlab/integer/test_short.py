"""Programs with short constants: which they are, and how far their codes are from those before."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.interpreter import run
from quantlab.integer.lower import lower
from quantlab.integer.operations import Add, Convolution, Linear, Operation, Requantize, Windows
from quantlab.integer.program import Program, Reading
from quantlab.integer.short import shortened
from quantlab.integer.tensor_type import S8, S32, U8, IntegerType, TensorType
from tests.quantlab.integer.networks import SPEC, Residual, pixels, reals, settled

CHANNELS = 6


def convolution(random: np.random.Generator, x: str, output: str, channels: int) -> Convolution:
    return Convolution(
        inputs=(x,), output=output, weight_bits=8, windows=Windows(kernel=(3, 3)),
        weight=random.integers(-99, 99, (CHANNELS, channels, 3, 3), np.int8),
        bias=random.integers(-9999, 9999, CHANNELS, np.int32),
        padding_codes=np.zeros(channels, np.int32),
    )  # fmt: skip


def codes(random: np.random.Generator, kind: IntegerType = U8) -> Requantize:
    return Requantize(
        inputs=("sums",), output="y", offset=random.integers(0, 2**40, (CHANNELS, 1, 1)),
        multiplier=random.integers(2**29, 2**30, (CHANNELS, 1, 1), np.int32),
        shift=random.integers(39, 41, (CHANNELS, 1, 1)), low=kind.minimum, high=kind.maximum,
        kind=kind,
    )  # fmt: skip


def program(seed: int = 0, kind: IntegerType = U8) -> Program:
    """Return a convolution and its codes, with other shifts of each channel."""
    random = np.random.default_rng(seed)
    return Program(
        inputs={"x": TensorType((3, 9, 9), U8)},
        operations=(convolution(random, "x", "sums", 3), codes(random, kind)),
        outputs=("y",),
    )


def test_factors_too_large_for_short_constants_stay() -> None:
    """Of a network whose training went astray."""
    made = program()
    layer, before = made.operations
    assert isinstance(before, Requantize)
    given = replace(made, operations=(layer, replace(before, shift=np.array(9))))
    assert shortened(given).operations == given.operations


def added(seed: int) -> Program:
    """Return two convolutions whose sums are added."""
    random = np.random.default_rng(seed)
    both = [convolution(random, "x", name, 3) for name in ("a", "b")]
    total = Add(
        inputs=("a", "b"), output="y", shift=np.array(40), low=-128, high=127, kind=S8,
        left_multiplier=random.integers(2**28, 2**29, (CHANNELS, 1, 1), np.int32),
        right_multiplier=np.array(2**28), offset=np.array(2**39),
    )  # fmt: skip
    types = {"x": TensorType((3, 9, 9), U8)}
    return Program(inputs=types, operations=(*both, total), outputs=("y",))


def batch(count: int) -> dict[str, NDArray[Any]]:
    return {"x": np.random.default_rng(1).integers(0, 256, (count, 3, 9, 9)).astype(np.uint8)}


def is_short(operation: Operation) -> bool:
    assert isinstance(operation, Requantize | Add)
    unit = np.gcd.reduce(operation.offset.reshape(-1))
    constants = [*operation.multipliers, operation.offset // max(unit, 1)]
    return operation.shift.size == 1 and all(abs(one).max() < 2**15 for one in constants)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [program, added])
def test_codes_are_as_they_were_but_where_they_are_about_to_change(make: Any, seed: int) -> None:
    before = make(seed)
    after = shortened(before)
    last = after.operations[-1]
    assert is_short(last)
    assert not is_short(before.operations[-1])
    found, expected = (run(one, batch(8))["y"].astype(int) for one in (after, before))
    difference = abs(found - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.02
    assert len(np.unique(expected)) > 50
    layers = [one for one in after.operations if isinstance(one, Convolution)]
    assert not any(layer.bias.any() for layer in layers)


def test_what_is_added_keeps_its_precision_beside_small_factors() -> None:
    """Codes have a factor of about 1, sums one of 2^-10: 15 bits of both would leave sums 5."""
    random = np.random.default_rng(0)
    x = replace(convolution(random, "x", "first", 3), weight_bits=8)
    first = replace(codes(random), inputs=("first",), output="codes")
    layer = replace(
        convolution(random, "codes", "sums", CHANNELS), windows=Windows(kernel=(1, 1)),
        weight=random.integers(-99, 99, (CHANNELS, CHANNELS, 1, 1), np.int8),
    )  # fmt: skip
    total = Add(
        inputs=("codes", "sums"), output="y", shift=np.array(30), low=-128, high=127, kind=S8,
        left_multiplier=np.array(2**29 + 12345), offset=np.array(2**29),
        right_multiplier=random.integers(2**20, 2**21, (CHANNELS, 1, 1), np.int32),
    )  # fmt: skip
    types = {"x": TensorType((3, 9, 9), U8)}
    before = Program(inputs=types, operations=(x, first, layer, total), outputs=("y",))
    after = shortened(before)
    last = after.operations[-1]
    assert isinstance(last, Add)
    assert 2**14 <= last.right_multiplier.max() < 2**15
    assert last.left_multiplier.max() > 2**20
    only = replace(after, operations=(*before.operations[:2], *after.operations[2:]))
    found, expected = (run(one, batch(8))["y"].astype(int) for one in (only, before))
    assert abs(found - expected).max() <= 1
    assert abs(found - expected).mean() < 0.02


def test_sums_stand_for_what_they_did() -> None:
    before = program()
    scale = np.array(0.5)
    before = replace(before, reals={"sums": Reading(scale=scale, offset=np.zeros(()))})
    after = shortened(before)
    traced = [
        replace(one, operations=one.operations[:1], outputs=("sums",)) for one in (before, after)
    ]
    real = [one.reals["sums"](run(one, batch(2))["sums"]) for one in traced]
    assert real[0].tolist() == real[1].tolist()


def test_a_row_without_weights_has_no_say_in_the_precision() -> None:
    """Its sums are its bias: whatever factor it has, its code is the same."""
    before = program()
    layer, made = before.operations
    assert isinstance(layer, Convolution)
    assert isinstance(made, Requantize)
    weight, multiplier, bias = layer.weight.copy(), made.multiplier.copy(), layer.bias.copy()
    weight[2], multiplier[2], bias[2] = 0, 2**31 - 1, 100
    shift = np.broadcast_to(made.shift, (CHANNELS, 1, 1)).copy()
    shift[2] = 32
    operations = (
        replace(layer, weight=weight, bias=bias), replace(made, multiplier=multiplier, shift=shift)
    )  # fmt: skip
    before = replace(before, operations=operations)
    after = shortened(before)
    found, expected = (run(one, batch(4))["y"].astype(int) for one in (after, before))
    assert abs(found - expected).max() <= 1
    assert (found[:, 2] == expected[:, 2]).all()
    last = after.operations[-1]
    assert isinstance(last, Requantize)
    assert last.multiplier[2] == 0
    assert abs(last.multiplier).max() >= 2**13


def test_sums_that_are_read_and_integers_of_32_bits_stay() -> None:
    for before in (replace(program(), outputs=("y", "sums")), program(kind=S32)):
        after = shortened(before)
        for found, expected in zip(after.operations, before.operations, strict=True):
            assert found is expected


def test_a_fully_connected_layer_is_shortened() -> None:
    random = np.random.default_rng(0)
    layer = Linear(
        inputs=("x",), output="sums", weight=random.integers(-99, 99, (CHANNELS, 40), np.int8),
        weight_bits=8, bias=random.integers(-9999, 9999, CHANNELS, np.int32),
    )  # fmt: skip
    made = replace(
        codes(random), multiplier=np.array(2**30), offset=np.array(2**38), shift=np.array(40)
    )
    before = Program(inputs={"x": TensorType((40,), U8)}, operations=(layer, made), outputs=("y",))
    after = shortened(before)
    assert is_short(after.operations[-1])
    x = {"x": random.integers(0, 256, (64, 40)).astype(np.uint8)}
    found, expected = (run(one, x)["y"].astype(int) for one in (after, before))
    assert abs(found - expected).max() <= 1


@pytest.mark.long
def test_a_residual_network_keeps_its_classes() -> None:
    before = lower(settled(Residual(), 8), SPEC, reals(pixels(64)), memory_bits=8)
    after = shortened(before)
    (name,) = before.inputs
    x = {name: pixels(32, 3).numpy()}
    found, expected = (run(one, x)[one.outputs[0]] for one in (after, before))
    scale = abs(expected).max()
    assert abs(found.astype(float) - expected).max() < 0.05 * scale
    made = [one for one in after.operations if isinstance(one, Requantize | Add)]
    assert [type(one) for one in made if is_short(one)] == [Requantize, Requantize]
    assert all(one.shift.size == 1 for one in made if isinstance(one, Add))


def test_what_is_no_program_is_refused() -> None:
    given: Any = 3
    with pytest.raises(UsageError, match="program: a int given, a Program allowed"):
        shortened(given)
