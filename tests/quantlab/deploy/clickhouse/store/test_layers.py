"""Operations as rows: exact both ways, in any order, and refused where they are damaged."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantlab.deploy.clickhouse.store.header import header_of, program_of
from quantlab.deploy.clickhouse.store.layers import Layer, Rows, layer_of, operation_of
from quantlab.errors import VerificationError
from quantlab.integer.file import to_bytes
from quantlab.integer.operations import Linear, Operation
from tests.quantlab.deploy.networks import NETWORKS
from tests.quantlab.integer.programs import Author


def read(layer: Layer, operation: Operation) -> Operation:
    return operation_of(
        layer, inputs=operation.inputs, output=operation.output, path=operation.layer
    )


def shuffled(rows: Rows, seed: int) -> Rows:
    """Return rows in another order, some of them twice."""
    random = np.random.default_rng(seed)
    count = len(rows["constant"])
    order = random.permutation(np.concatenate([np.arange(count), np.arange(count // 2)]))
    return {name: [values[i] for i in order] for name, values in rows.items()}


def linear(weight: Any, num_bits: int, **names: Any) -> Linear:
    return Linear(
        **{"inputs": ("x",), "output": "y", "layer": "fc", **names},
        weight=weight,
        bias=np.arange(len(weight)),
        weight_bits=num_bits,
    )


@pytest.mark.parametrize("seed", range(6))
def test_programs_are_read_as_they_were(seed: int) -> None:
    program = Author(seed).program(10)
    operations = []
    for operation in program.operations:
        layer = layer_of(operation)
        mixed = replace(
            layer, planes=shuffled(layer.planes, seed), numbers=shuffled(layer.numbers, seed)
        )
        operations.append(read(mixed, operation))
    assert to_bytes(program_of(header_of(program), operations)) == to_bytes(program)


@pytest.mark.parametrize("name", ["plain w4a4", "thresholds"])
def test_what_tensors_stand_for_is_kept(name: str) -> None:
    program = NETWORKS[name]()
    assert program.reals
    operations = [read(layer_of(operation), operation) for operation in program.operations]
    assert to_bytes(program_of(header_of(program), operations)) == to_bytes(program)


@pytest.mark.parametrize("num_bits", [1, 2, 3, 8])
@pytest.mark.parametrize("columns", [1, 63, 64, 65, 130])
def test_planes_hold_all_codes(num_bits: int, columns: int) -> None:
    random = np.random.default_rng(num_bits)
    low = -(2 ** (num_bits - 1))
    weight = random.integers(low, -low, (3, columns)) if num_bits > 1 else None
    if weight is None:
        weight = np.where(random.integers(0, 2, (3, columns)), 1, -1)
    operation = linear(weight, num_bits)
    layer = layer_of(operation)
    assert len(layer.planes["words"]) == 3 * num_bits
    assert {words.dtype for words in layer.planes["words"]} == {np.dtype(np.uint64)}
    np.testing.assert_array_equal(read(layer, operation).constants()["weight"], weight)


def test_words_of_zeros_are_not_stored() -> None:
    weight = np.zeros((3, 256), np.int8)
    weight[0, 70], weight[1] = -1, 1
    layer = layer_of(linear(weight, 2))
    assert [kept.tolist() for kept in layer.planes["kept"]] == [[1], [1], [], [], [], []]
    assert [len(words) for words in layer.planes["words"]] == [1, 1, 4, 4, 0, 0]
    operation = read(layer, linear(weight, 2))
    np.testing.assert_array_equal(operation.constants()["weight"], weight)


def test_names_are_no_part_of_a_layer() -> None:
    weight = np.array([[1, -1], [1, 1]])
    key = layer_of(linear(weight, 1)).key
    assert layer_of(linear(weight, 1, inputs=("z",), output="w", layer="other")).key == key
    assert layer_of(linear(-weight, 1)).key != key
    assert layer_of(linear(weight, 2)).key != key


def test_damaged_rows_are_refused_with_the_layer() -> None:
    operation = linear(np.where(np.arange(140).reshape(2, 70) % 3, 1, -1), 1)
    layer = layer_of(operation)
    planes = {name: list(values) for name, values in layer.planes.items()}
    planes["words"][1] = planes["words"][1] ^ np.uint64(1)
    with pytest.raises(VerificationError, match=f"layer {layer.key[:16]} ..y..: its rows have"):
        read(replace(layer, planes=planes), operation)
    without = {name: values[:1] for name, values in layer.numbers.items()}
    with pytest.raises(VerificationError, match="1 rows of 'bias', 2 expected; remove"):
        read(replace(layer, numbers=without), operation)
    with pytest.raises(VerificationError, match="are damaged"):
        read(replace(layer, operation="{}"), operation)
