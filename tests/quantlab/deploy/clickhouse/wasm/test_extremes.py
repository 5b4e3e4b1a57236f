"""Inputs and weights as large as they can be: no vector saturates or wraps on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.wasm.plan import plans_of
from quantlab.integer.operations import Linear, Lookup, Operation, Threshold
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
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
