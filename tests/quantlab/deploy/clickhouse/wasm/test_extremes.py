"""Inputs and weights as large as they can be: no vector saturates or wraps on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.wasm.plan import plans_of
from quantlab.integer.operations import Add, Linear, Lookup, Operation, Requantize, Threshold
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.clickhouse.wasm.wasm_engine import WasmEngine


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_chdb(tmp_path_factory.mktemp("chdb")) as found:
        yield found


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A linear layer all of whose weights are `weight`, but for one. most: of the inputs, which a
    table makes; None: all of their type."""

    form: str
    num_inputs: int
    weight: int
    other: int
    kind: IntegerType = U8
    most: int | None = None
    at_once: int = 1


EXTREMES = [
    Extreme(form="bits", num_inputs=9000, weight=1, other=1, most=1),
    Extreme(form="bits", num_inputs=1000, weight=1, other=-1, most=1),
    Extreme(form="bits", num_inputs=3800, weight=1, other=1, most=1),
    Extreme(form="signs", num_inputs=3800, weight=-1, other=0, most=1),
    Extreme(form="signs", num_inputs=600, weight=1, other=0, most=1),
    Extreme(form="signs", num_inputs=600, weight=-1, other=0, most=1),
    Extreme(form="bytes", num_inputs=333, weight=-128, other=127, most=127),
    Extreme(form="bytes", num_inputs=333, weight=127, other=-128, most=127),
    Extreme(form="bytes", num_inputs=333, weight=63, other=-63, most=127, at_once=2),
    Extreme(form="bytes", num_inputs=333, weight=-63, other=63, most=127, at_once=2),
    Extreme(form="bytes", num_inputs=333, weight=63, other=-64),
    Extreme(form="bytes", num_inputs=333, weight=-64, other=63, kind=S8),
    Extreme(form="bytes", num_inputs=333, weight=31, other=-33, at_once=1),
    Extreme(form="bytes", num_inputs=333, weight=31, other=-32, at_once=2),
    Extreme(form="narrow", num_inputs=128, weight=-1, other=1),
    Extreme(form="narrow", num_inputs=1, weight=-128, other=-128),
    Extreme(form="narrow", num_inputs=17, weight=15, other=-128, most=127),
    Extreme(form="shorts", num_inputs=333, weight=-128, other=127),
    Extreme(form="shorts", num_inputs=333, weight=-128, other=127, kind=S8),
    Extreme(form="shorts", num_inputs=500, weight=-128, other=127, kind=S16),
]


def program_of(case: Extreme) -> Program:
    weight = np.full((5, case.num_inputs), case.weight)
    weight[:, case.num_inputs // 2] = case.other
    is_one_bit = bool((np.abs(weight) == 1).all())
    before: list[Operation] = []
    if case.most == 1:
        before = [
            Threshold(
                inputs=("x",), output="t", thresholds=np.array([[200]]),
                signs=np.ones(1, np.int8), low=0, step=1, kind=U8,
            )
        ]  # fmt: skip
    elif case.most is not None:
        table = np.minimum(np.arange(256), case.most).astype(np.int16)
        before = [Lookup(inputs=("x",), output="t", table=table, kind=U8)]
    layer = Linear(
        inputs=("t" if before else "x",), output="y", weight=weight.astype(np.int8),
        weight_bits=1 if is_one_bit else 8, bias=np.arange(5, dtype=np.int32),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((case.num_inputs,), case.kind)},
        operations=(*before, layer),
        outputs=("y",),
    )


@pytest.mark.parametrize("case", EXTREMES, ids=str)
def test_extremes(connection: Connection, case: Extreme) -> None:
    program = program_of(case)
    (plan,) = plans_of(program).values()
    assert ("narrow" if plan.is_narrow else plan.form) == case.form
    assert plan.words_at_once == case.at_once
    ends = [case.kind.minimum, case.kind.maximum]
    raw = np.array([np.full(case.num_inputs, end) for end in ends]).astype(case.kind.dtype)
    engine = WasmEngine(connection, program)
    (comparison,) = compare(program, {"wasm": engine}, [{"x": raw}])
    comparison.check()


def rescaled(seed: int) -> Program:
    """Return a program of operations that rescale 32 bits, by all kinds of constants."""
    random = np.random.default_rng(seed)
    kinds = (U8, S8, S16, S32)
    operations: list[Operation] = []
    for number in range(24):
        kind = kinds[number % 4]
        shape = [(), (5, 1, 1), (5, 2, 3), (1, 2, 1)][random.integers(4)]
        shift = random.integers(0, 63, shape if random.integers(2) else ())
        if number % 3:  # near one another
            shift = shift // 2**4 * 8 + random.integers(0, 3, shape)
        multipliers = [
            random.integers(-(2**31), 2**31, shape) >> int(random.integers(0, 31)) for _ in "12"
        ]
        offset = random.integers(-(2**40), 2**40, shape) >> int(random.integers(0, 41))
        if number % 8 == 1:  # as a ReLU of 32 bits has them
            shift, multipliers, offset = np.array(20), [np.array(1 << 20)], np.array(1 << 19)
        settings = {
            "output": f"y{number}", "offset": offset, "shift": shift, "kind": kind,
            "low": kind.minimum // int(random.integers(1, 3)), "high": kind.maximum,
        }  # fmt: skip
        if number % 2:
            operations.append(Requantize(inputs=("x",), multiplier=multipliers[0], **settings))
        else:
            left, right = multipliers
            operations.append(
                Add(inputs=("x", "x"), left_multiplier=left >> 1, right_multiplier=right >> 1,
                    **settings)
            )  # fmt: skip
    return Program(
        inputs={"x": TensorType((5, 2, 3), S32)},
        operations=tuple(operations),
        outputs=(operations[-1].output,),
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_rescaling_is_exact_in_64_bits(connection: Connection, seed: int) -> None:
    program = rescaled(seed)
    random = np.random.default_rng(seed)
    raw = random.integers(-(2**31), 2**31, (6, 5, 2, 3)) >> random.integers(0, 31, (6, 5, 2, 3))
    raw[0], raw[1] = -(2**31), 2**31 - 1
    engine = WasmEngine(connection, program)
    (comparison,) = compare(program, {"wasm": engine}, [{"x": raw.astype(np.int32)}])
    comparison.check()


def thresholds() -> Program:
    """Return a program of thresholds of 32 bits, some of which nothing or all reaches."""
    random = np.random.default_rng(3)
    ends = (-(2**40), -(2**31) - 1, -(2**31), -1, 0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**40)
    operations: list[Operation] = []
    for number in range(12):
        rows, count = (1, 6)[number % 2], int(random.integers(0, 4))
        operations.append(
            Threshold(
                inputs=("x",), output=f"y{number}", step=3, low=-7, kind=(S8, S16)[number % 3 == 0],
                thresholds=np.sort(random.choice(ends, (rows, count))),
                signs=random.choice([-1, 1], rows).astype(np.int8),
            )
        )  # fmt: skip
    return Program(
        inputs={"x": TensorType((6, 3, 3), S32)},
        operations=tuple(operations),
        outputs=(operations[-1].output,),
    )


def test_thresholds_of_32_bits(connection: Connection) -> None:
    program = thresholds()
    near = np.array([-(2**31), -(2**31) + 1, -2, -1, 0, 1, 2, 2**31 - 2, 2**31 - 1], np.int32)
    raw = np.random.default_rng(0).choice(near, (9, 6, 3, 3))
    engine = WasmEngine(connection, program)
    (comparison,) = compare(program, {"wasm": engine}, [{"x": raw}])
    comparison.check()
