"""Modules in chDB against the interpreter, every tensor."""

from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.integer.operations import OPERATIONS, Linear, Threshold
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.clickhouse.wasm.wasm_engine import WasmEngine
from tests.quantlab.integer.programs import Author, inputs


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb") / "store") as found:
        yield found


def dense() -> Program:
    random = np.random.default_rng(5)
    return Program(
        inputs={"x": TensorType((6,), U8)},
        operations=(
            Linear(
                inputs=("x",), output="sums", weight=random.integers(-9, 9, (5, 6)).astype(np.int8),
                weight_bits=8, bias=random.integers(-99, 99, 5).astype(np.int32),
            ),
            Threshold(
                inputs=("sums",), output="bits", thresholds=np.zeros((1, 1), np.int64),
                signs=np.ones(1, np.int8), low=0, step=1, kind=U8,
            ),
        ),
        outputs=("bits",),
    )  # fmt: skip


def test_a_dense_program(connection: Connection) -> None:
    program = dense()
    engine = WasmEngine(connection, program)
    batch = {"x": np.random.default_rng(0).integers(0, 256, (7, 6), dtype=np.uint8)}
    (comparison,) = compare(program, {"wasm": engine}, [batch])
    comparison.check()
    assert comparison.num_values == 70


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(connection: Connection, seed: int) -> None:
    program = Author(seed).program(8)
    (comparison,) = compare(
        program, {"wasm": WasmEngine(connection, program)}, [inputs(program, 3, seed)]
    )
    comparison.check()
    assert comparison.num_tensors == len(program.operations)


def test_random_programs_have_every_operation() -> None:
    used = {type(o).__name__ for seed in range(40) for o in Author(seed).program(8).operations}
    assert used == set(OPERATIONS)
