"""What rounding loses, against NumPy in float64, and against what the monitor says in training."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from quantlab.integer.fidelity import Clamps, Fidelity, measure
from quantlab.integer.interpreter import execute
from quantlab.integer.lower import lower
from quantlab.integer.operations import Add, Operation, Requantize, Threshold
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from quantlab.monitor.clipping_share import ClippingShare
from quantlab.monitor.quantizer_statistic import QuantizerStatistic
from quantlab.monitor.sqnr import Sqnr
from quantlab.quantizer import Quantizer
from tests.quantlab.integer.networks import SPEC, PreActivation, pixels, reals, settled
from tests.quantlab.integer.programs import Author, inputs

SHIFT = 10
HALF = 1 << (SHIFT - 1)
X = {"x": np.random.default_rng(0).integers(-(2**18), 2**18, (500, 40), dtype=np.int32)}


def reading(scale: float = 1.0, zero: int = 0) -> Reading:
    return Reading(scale=np.asarray(scale), offset=np.asarray(-zero * scale))


def one(operation: Operation, rounded: Reading | None = None, **readings: Reading) -> Program:
    """A program of one operation of 40 integers. rounded: what it rounds, of a Threshold."""
    given = TensorType((40,), S32)
    return Program(
        inputs=dict.fromkeys(operation.inputs, given),
        operations=(operation,),
        outputs=(operation.output,),
        reals=readings,
        rounded={} if rounded is None else {operation.output: rounded},
    )


def requantize(low: int, high: int, kind: IntegerType, zero: int = 0) -> Requantize:
    """v = x / 2^SHIFT + zero."""
    return Requantize(
        inputs=("x",), output="y", layer="act", multiplier=np.array(1, np.int32),
        offset=np.array(HALF + (zero << SHIFT)), shift=np.array(SHIFT), low=low, high=high,
        kind=kind,
    )  # fmt: skip


def expected(
    v: NDArray[np.float64], y: NDArray[Any], zero: float, low: float, high: float
) -> Fidelity:
    """low, high: beyond these, half a step included, a number is clipped."""
    signal, noise = ((v - zero) ** 2).sum(), ((v - y) ** 2).sum()
    share = np.count_nonzero((v < low) | (v >= high)) / v.size
    sqnr = pytest.approx(10 * np.log10(signal / noise), abs=1e-9) if signal else None
    return Fidelity(
        sqnr_db=sqnr,
        clipping_percent=pytest.approx(100 * share, abs=1e-12),
    )


def test_what_is_not_clipped_has_the_noise_of_uniform_rounding() -> None:
    program = one(requantize(S16.minimum, S16.maximum, S16), y=reading(0.3))
    found = measure(program, [X])["y"]
    v = X["x"] / 1024
    assert found.clipping_percent == 0
    # A step that is uniform noise has the power 1 / 12; of 20,000 numbers, within a few percent.
    assert found.sqnr_db == pytest.approx(10 * np.log10(12 * np.mean(v**2)), abs=0.2)
    assert found == expected(v, np.floor(v + 0.5), 0, -math.inf, math.inf)


@pytest.mark.parametrize("zero", [0, 5, -3])
def test_what_is_clipped_is_noise(zero: int) -> None:
    program = one(requantize(-100, 50, S8, zero), y=reading(0.3, zero))
    v = X["x"] / 1024 + zero
    y = np.floor(v + 0.5).clip(-100, 50)
    found = measure(program, [X])["y"]
    assert found == expected(v, y, zero, -100.5, 50.5)
    assert found.clipping_percent > 40


@pytest.mark.parametrize(("kind", "zero"), [(U8, 0), (U8, 20), (S8, 0), (S8, -128)])
def test_the_lower_end_at_zero_is_the_networks_own(kind: IntegerType, zero: int) -> None:
    program = one(requantize(zero, 100, kind, zero), y=reading(0.3, zero))
    v = np.maximum(X["x"] / 1024, 0) + zero
    y = np.floor(v + 0.5).clip(zero, 100)
    assert measure(program, [X])["y"] == expected(v, y, zero, -math.inf, 100.5)
    negative = {"x": -abs(X["x"])}
    assert measure(program, [negative])["y"] == Fidelity(sqnr_db=None, clipping_percent=0)


def test_other_ends_of_the_network_are_told() -> None:
    program = one(requantize(3, 15, U8, 3), y=reading(0.5, 3))
    v = X["x"] / 1024 + 3
    found = measure(program, [X], {"act": (0.0, 6.0), "other": (0.0, 1.0)})["y"]
    clamped = v.clip(3, 15)
    assert found == expected(clamped, np.floor(clamped + 0.5).clip(3, 15), 3, -1, 15.5)
    assert found.clipping_percent == 0
    without = measure(program, [X])["y"]
    assert without.clipping_percent > 40


def test_no_rounding_is_infinite() -> None:
    program = one(requantize(-128, 127, S8), y=reading())
    found = measure(program, [{"x": X["x"] % 100 * 1024}])["y"]
    assert found == Fidelity(sqnr_db=math.inf, clipping_percent=0)


def test_a_shift_of_nothing_has_no_half() -> None:
    operation = replace(requantize(-128, 127, S8), offset=np.array(0), shift=np.array(0))
    found = measure(one(operation, y=reading()), [{"x": X["x"] % 100}])["y"]
    assert found == Fidelity(sqnr_db=math.inf, clipping_percent=0)


def test_a_sum_of_two() -> None:
    operation = Add(
        inputs=("x", "z"), output="y", left_multiplier=np.array(3, np.int32),
        right_multiplier=np.array(-5, np.int32), offset=np.array(HALF + 99), shift=np.array(SHIFT),
        low=-1000, high=900, kind=S16,
    )  # fmt: skip
    both = {"x": X["x"], "z": X["x"][::-1].copy()}
    v = (3.0 * both["x"] - 5.0 * both["z"] + 99) / 1024
    y = np.floor(v + 0.5).clip(-1000, 900)
    found = measure(one(operation, y=reading()), [both])["y"]
    assert found == expected(v, y, 0, -1000.5, 900.5)


def threshold(*firsts: int, low: int, step: int = 1, sign: int = 1) -> Threshold:
    return Threshold(
        inputs=("x",), output="y", layer="act", thresholds=np.array([firsts]),
        signs=np.array([sign], np.int8), low=low, step=step, kind=S8,
    )  # fmt: skip


NEVER = 2**31 + 1  # beyond all of s32
SUM = 0.001  # what one of the accumulator stands for
STEP = 100.0


@pytest.mark.parametrize("sign", [1, -1])
def test_a_threshold_rounds_what_its_input_stands_for(sign: int) -> None:
    """Of the codes -1, 0 and 1."""
    operation = threshold(-50_000, 50_000, low=-1, sign=sign)
    program = one(operation, reading(SUM * sign), y=reading(STEP))
    v = X["x"] * SUM * sign / STEP
    y = np.floor(v + 0.5).clip(-1, 1)
    found = measure(program, [X])["y"]
    assert found == expected(v, y, 0, -1.5, 1.5)
    assert found.clipping_percent > 30


def test_a_threshold_of_two_signs() -> None:
    operation = threshold(0, low=-1, step=2)
    v = X["x"] * SUM / STEP
    found = measure(one(operation, reading(SUM), y=reading(STEP)), [X])["y"]
    assert found == expected(v, np.where(v >= 0, 1, -1), 0, -2, 2)


@pytest.mark.parametrize(
    ("firsts", "low", "step", "first_code"),
    [((-NEVER, -NEVER, 50_000), -2, 1, 0), ((-NEVER, -NEVER, 200_000), -3, 2, 1)],
)
def test_a_threshold_behind_a_relu(
    firsts: tuple[int, ...], low: int, step: int, first_code: int
) -> None:
    """The two lowest codes are there and never come out."""
    v = np.maximum(X["x"] * SUM / STEP, 0)
    y = first_code + step * (v >= first_code + step / 2)
    program = one(threshold(*firsts, low=low, step=step), reading(SUM), y=reading(STEP))
    end = first_code + 1.5 * step
    assert measure(program, [X])["y"] == expected(v, y, 0, -math.inf, end)


def test_a_threshold_of_pixels_that_fall_has_a_zero() -> None:
    """real = 9 - 0.1 x, in steps of 2, with the codes -1 to 3 and 1 for zero."""
    operation = threshold(-120, -100, -80, -60, low=-1, sign=-1)
    program = Program(
        inputs={"x": TensorType((40,), U8)},
        operations=(operation,),
        outputs=("y",),
        reals={"y": reading(2.0, 1)},
        rounded={"y": Reading(scale=np.array(-0.1), offset=np.array(9.0))},
    )
    x = X["x"].astype(np.uint8)
    v = (9 - 0.1 * x) / 2 + 1
    y = 3 - sum((x > last).astype(int) for last in (120, 100, 80, 60))
    assert measure(program, [{"x": x}])["y"] == expected(v, y, 1, -1.5, 3.5)


@pytest.mark.parametrize("elsewhere", [{}, {"x": reading(3 * SUM, 70_000)}])
def test_what_a_threshold_rounds_is_not_what_its_input_is_elsewhere(
    elsewhere: dict[str, Reading],
) -> None:
    """A scale and an offset for each of the 40, as a batch norm has; some scales fall, one is 0."""
    random = np.random.default_rng(1)
    scale, offset = random.normal(0, SUM, 40), random.normal(0, STEP, 40)
    scale[0], offset[0] = 0.0, 0.7 * STEP
    distance = np.array([-0.5, 0.5]) * STEP - offset[:, None]
    first = np.ceil(distance[1:] / np.abs(scale[1:, None])).astype(np.int64)
    operation = replace(
        threshold(0, 0, low=-1),
        thresholds=np.concatenate([[[-NEVER, -NEVER]], first]),
        signs=np.where(scale < 0, -1, 1).astype(np.int8),
    )
    rounded = Reading(scale=scale, offset=offset)
    v = (X["x"] * scale + offset) / STEP
    y = np.floor(v + 0.5).clip(-1, 1)
    program = one(operation, rounded, y=reading(STEP), **elsewhere)
    assert measure(program, [X])["y"] == expected(v, y, 0, -1.5, 1.5)


def test_a_threshold_that_does_not_round_to_the_nearest_has_more_noise() -> None:
    operation = threshold(-80_000, 20_000, low=-1)
    v = X["x"] * SUM / STEP
    y = (v >= -0.8).astype(int) + (v >= 0.2) - 1
    found = measure(one(operation, reading(SUM), y=reading(STEP)), [X])["y"]
    assert found == expected(v, y, 0, -1.5, 1.5)


def test_without_readings_or_samples_nothing_is_measured() -> None:
    operation = requantize(-128, 127, S8)
    assert measure(one(operation), [X]) == {}
    assert measure(one(threshold(0, 5, low=0), x=reading(), y=reading()), [X]) == {}
    assert measure(one(threshold(0, 5, low=0), reading()), [X]) == {}
    assert measure(one(operation, y=reading()), []) == {}


def parts(batch: Mapping[str, NDArray[Any]], size: int) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, len(next(iter(batch.values()))), size):
        yield {name: value[start : start + size] for name, value in batch.items()}


@pytest.mark.parametrize("seed", range(6))
def test_programs_of_all_operations_in_batches(seed: int) -> None:
    program = Author(seed).program(14)
    readings = {name: reading(0.1) for name in program.types}
    outputs = (program.operations[3].output, *program.outputs)  # one of them is read again, maybe
    program = Program(
        inputs=program.inputs, operations=program.operations, outputs=outputs, reals=readings
    )
    batch = inputs(program, 12, seed)
    values: dict[str, Any] = {**batch, **dict(execute(program, batch))}
    wanted = {}
    for operation in program.operations:
        if isinstance(operation, Requantize | Add):
            terms = zip(operation.inputs, operation.multipliers, strict=True)
            total = sum(values[name] * m.astype(np.float64) for name, m in terms)
            v = (total + operation.offset) / 2.0**operation.shift - 0.5
            if operation.low == 0:
                v = np.maximum(v, 0)
            ends = operation.low - 0.5, operation.high + 0.5
            wanted[operation.output] = expected(v, values[operation.output], 0, *ends)
    assert wanted
    assert measure(program, parts(batch, 5)) == wanted


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Flatten(),
        nn.Linear(8 * 49, 5),
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_it_is_what_the_monitor_says(bits: int) -> None:
    """In float64 the numbers differ by what 31 bits of a multiplier leave."""
    compare_with_monitor(settled(network(), bits), {"2": "3", "5": "7"}, {"5": (0.0, 6.0)}, bits)


@pytest.mark.parametrize("bits", [2, 4])
def test_behind_a_batch_norm_of_a_sum_it_is_what_the_monitor_says(bits: int) -> None:
    readers = {"relus.0": "convs.0", "bns.1": "convs.1", "relus.2": "convs.2"}
    clamps = {"relus.2": (0.0, 6.0)}
    compare_with_monitor(settled(PreActivation(), bits), readers, clamps, bits)


def compare_with_monitor(
    trained: nn.Module, readers: Mapping[str, str], clamps: Clamps, bits: int
) -> None:
    """readers: the layer whose input quantizer stands behind a layer, by that."""
    watched: dict[str, list[QuantizerStatistic]] = {}
    for layer, path in readers.items():
        quantizer = trained.get_submodule(f"{path}.input_quantizer")
        assert isinstance(quantizer, Quantizer)
        watched[layer] = [Sqnr(quantizer), ClippingShare(quantizer)]
    handles = [h for both in watched.values() for one in both for h in one.start(1.0)]
    raw = pixels(20, seed=3)
    with torch.no_grad():
        trained(reals(raw))
    for handle in handles:
        handle.remove()
    program = lower(trained, SPEC, reals(pixels(64)))
    found = measure(program, [{"input": raw.numpy()}], clamps)
    by_layer = {op.layer: found[op.output] for op in program.operations if op.output in found}
    kinds = {type(op).__name__ for op in program.operations if op.layer in watched}
    assert kinds == {"Threshold" if bits == 2 else "Requantize"}
    nothing = torch.empty(0)
    for layer, both in watched.items():
        ((_, sqnr),), ((_, share),) = (one.values(nothing, one.sums(nothing)) for one in both)
        assert by_layer[layer].sqnr_db == pytest.approx(sqnr, abs=1e-4)
        assert by_layer[layer].clipping_percent == pytest.approx(100 * float(share), abs=1e-9)
