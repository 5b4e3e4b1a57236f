"""The fast engine against the interpreter, on every instruction set that runs here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab import _backend, backend
from quantlab.errors import UsageError
from quantlab.integer.fast import FastEngine
from quantlab.integer.fast.plan import plan
from quantlab.integer.fast.products import Bits, Bytes, Product
from quantlab.integer.fast.shares import shares_of
from quantlab.integer.interpreter import Integers, run
from quantlab.integer.operations import Convolution, Linear, Requantize, Reshape, Threshold, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.integer.programs import Author, beyond_the_border, inputs

ISAS = backend.supported_isas()


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


def assert_same(program: Program, count: int, seed: int) -> None:
    engine, batch = FastEngine(program), inputs(program, count, seed)
    (comparison,) = compare(program, {"fast": engine}, [batch])
    comparison.check()
    assert dict(engine.execute(batch)).keys() == {o.output for o in program.operations}
    found, expected = engine.run(batch), run(program, batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


@given(seed=st.integers(0, 2**32 - 1), num_operations=st.integers(1, 12))
def test_random_programs(seed: int, num_operations: int) -> None:
    assert_same(Author(seed).program(num_operations), 3, seed)


@pytest.mark.parametrize("seed", range(12))
def test_every_instruction_set(isa: str, seed: int) -> None:
    assert_same(Author(seed).program(12), 2, seed)


def ternary(
    seed: int, channels: int, *, weights: tuple[int, ...], codes: tuple[int, int], has_zero: bool
) -> Program:
    """A raw image of few levels, a convolution with padding, and a linear layer of its codes."""
    random = np.random.default_rng(seed)
    shape, outputs = (channels, 5, 6), 21
    low, step = codes
    levels = np.array([[90, 150]] if has_zero else [[128]])

    def threshold(source: str, output: str, thresholds: Integers) -> Threshold:
        return Threshold(
            inputs=(source,),
            output=output,
            thresholds=np.sort(thresholds),
            signs=random.choice([-1, 1], len(thresholds)),
            low=low,
            step=step,
            kind=S8,
        )

    return Program(
        inputs={"x": TensorType(shape, U8)},
        operations=(
            threshold("x", "few", levels),
            Convolution(
                inputs=("few",),
                output="sums",
                weight=random.choice(np.array(weights, np.int8), (outputs, channels, 3, 2)),
                weight_bits=2,
                bias=random.integers(-9, 9, outputs, dtype=np.int32),
                padding_codes=random.integers(-1, 2, channels, dtype=np.int32),
                windows=Windows(kernel=(3, 2), stride=(2, 1), padding=(1, 0, 2, 1)),
            ),
            threshold("sums", "few again", random.integers(-4, 4, (outputs, len(levels[0])))),
            Reshape(inputs=("few again",), output="row", shape=(outputs * 3 * 6,)),
            Linear(
                inputs=("row",),
                output="scores",
                weight=random.choice(np.array(weights, np.int8), (7, outputs * 18)),
                weight_bits=2,
                bias=random.integers(-9, 9, 7, dtype=np.int32),
            ),
        ),
        outputs=("scores",),
    )


def multipliers(program: Program) -> list[type]:
    return [type(step.multiply) for step in plan(program) if isinstance(step, Product)]


@pytest.mark.parametrize("channels", [32, 40, 64, 100, 130])
@pytest.mark.parametrize("weights", [(-1, 1), (-1, 0, 1)])
@pytest.mark.parametrize("has_zero", [False, True])
def test_binary_and_ternary_layers(
    isa: str, channels: int, weights: tuple[int, ...], has_zero: bool
) -> None:
    codes = (-1, 1) if has_zero else (-1, 2)
    program = ternary(channels, channels, weights=weights, codes=codes, has_zero=has_zero)
    assert multipliers(program) == [Bits, Bits]
    assert_same(program, 3, channels)


def test_few_channels_are_multiplied_as_bytes() -> None:
    program = ternary(0, 31, weights=(-1, 1), codes=(-1, 2), has_zero=False)
    assert Bytes in multipliers(program)
    assert_same(program, 2, 0)


def test_a_pooling_window_of_padding_alone_is_no_bit() -> None:
    assert_same(beyond_the_border(), 2, 0)


def linear(source: str, output: str, num_inputs: int, random: np.random.Generator) -> Linear:
    return Linear(
        inputs=(source,),
        output=output,
        weight=random.integers(-128, 128, (5, num_inputs), np.int8),
        weight_bits=8,
        bias=random.integers(-99, 99, 5, dtype=np.int32),
    )


@pytest.mark.parametrize("shape", [(7,), (3, 7), (5, 3, 7), (7, 7, 7), (2, 3, 64), (2, 2, 3, 7)])
@pytest.mark.parametrize("kind", [U8, S8, S16])
def test_rows_of_any_number_of_axes(shape: tuple[int, ...], kind: IntegerType) -> None:
    """What a Linear takes and makes is no image, whatever the number of its axes."""
    random = np.random.default_rng(0)
    rescaled = Requantize(
        inputs=("sums",),
        output="codes",
        multiplier=random.integers(2**9, 2**11, 5, np.int32),
        offset=random.integers(-(2**20), 2**20, 5),
        shift=np.full(5, 18),
        low=-128,
        high=127,
        kind=S8,
    )
    program = Program(
        inputs={"x": TensorType(shape, kind)},
        operations=(
            linear("x", "sums", shape[-1], random),
            rescaled,
            linear("codes", "again", 5, random),
        ),
        outputs=("again",),
    )
    x = random.integers(kind.minimum, kind.maximum, (3, *shape), kind.dtype, endpoint=True)
    (comparison,) = compare(program, {"fast": FastEngine(program)}, [{"x": x}])
    comparison.check()


@pytest.mark.parametrize("num_levels", [1, 255, 256, 300])
def test_many_thresholds_and_far_ones(num_levels: int) -> None:
    random = np.random.default_rng(num_levels)
    thresholds = random.integers(-(2**15), 2**15, (4, num_levels))
    thresholds[:, 0] = [-(2**63), -(2**31), 2**31, 2**63 - 1]
    program = Program(
        inputs={"x": TensorType((4, 3, 3), S16)},
        operations=(
            Threshold(
                inputs=("x",),
                output="y",
                thresholds=np.sort(thresholds, 1),
                signs=np.array([1, -1, 1, -1], np.int8),
                low=-3,
                step=1,
                kind=S16,
            ),
        ),
        outputs=("y",),
    )
    x = random.integers(-(2**15), 2**15, (2, 4, 3, 3), np.int16)
    (comparison,) = compare(program, {"fast": FastEngine(program)}, [{"x": x}])
    comparison.check()


def test_no_images() -> None:
    assert_same(Author(5).program(10), 0, 0)


def test_one_engine_for_several_threads() -> None:
    program = Author(5).program(10)
    engine = FastEngine(program)
    batches = [inputs(program, 1 + seed % 3, seed) for seed in range(60)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(engine.run, batches))
    for batch, results in zip(batches, found, strict=True):
        for name, value in run(program, batch).items():
            np.testing.assert_array_equal(results[name], value)


def test_batches_of_different_sizes() -> None:
    program = Author(5).program(10)
    engine = FastEngine(program)
    for count in (1, 4, 2, 4):
        batch = inputs(program, count, count)
        expected = run(program, batch)
        for name, value in engine.run(batch).items():
            np.testing.assert_array_equal(value, expected[name])


def test_wrong_inputs() -> None:
    program = Author(0).program(2)
    with pytest.raises(UsageError, match=r"input 'x': int64\[1\] given, u8 of"):
        FastEngine(program).run({"x": np.zeros(1, np.int64)})


@pytest.mark.parametrize(("count", "num_threads", "num_shares"), [(5, 1, 5), (6, 2, 6), (3, 2, 0)])
def test_large_samples_are_shared_out_where_no_thread_waits_long(
    count: int, num_threads: int, num_shares: int
) -> None:
    shares = shares_of(2**23, [count], num_threads)
    assert len(shares) == num_shares


def test_small_samples_are_shared_out_together() -> None:
    assert shares_of(64, [1000], 2) == [slice(0, 500), slice(500, 1000)]
    assert len(shares_of(64, [1000], 1)) == 1
    assert shares_of(64, [1], 2) == shares_of(64, [2, 3], 1) == []


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_shares_together_are_the_batch(num_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantlab.backend.max_threads", lambda: num_threads)
    monkeypatch.setattr("quantlab.integer.fast.shares._BYTES", 1)
    assert_same(Author(5).program(12), 2 * num_threads, seed=1)
