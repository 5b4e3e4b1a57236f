"""What operations and programs refuse when they are made: one line each, with the field's name."""

import json
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.table import ARTEFACTS
from quantlab.deploy.verification import verify
from quantlab.errors import UsageError
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.operations import (
    OPERATIONS,
    AdaptiveSumPool,
    Add,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Requantize,
    Reshape,
    Slice,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.operations.operation import _dtype_of
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType

_RESCALE: dict[str, Any] = {"offset": 0, "shift": 3, "low": -9, "high": 9, "kind": S8}
_WINDOWS = Windows(kernel=(1, 2))
SETTINGS: dict[type[Operation], dict[str, Any]] = {
    Add: {"left_multiplier": 1, "right_multiplier": 2, **_RESCALE},
    AdaptiveSumPool: {"size": (1, 1)},
    ArgMax: {"axis": 0},
    Concatenate: {"axis": 0},
    Convolution: {
        "weight": np.ones((2, 3, 1, 2), np.int8), "weight_bits": 4, "bias": np.zeros(2, np.int32),
        "padding_codes": np.zeros(3, np.int32), "windows": _WINDOWS,
    },
    Linear: {"weight": np.ones((2, 3), np.int8), "weight_bits": 4, "bias": np.zeros(2, np.int32)},
    Lookup: {"table": np.zeros(256, np.int16), "kind": S8},
    MaxPool: {"windows": _WINDOWS},
    Multiply: {},
    Permute: {"axes": (1, 0)},
    Requantize: {"multiplier": 5, **_RESCALE},
    Reshape: {"shape": (4,)},
    Slice: {"axis": 0, "start": 0, "stop": 1},
    SumPool: {"windows": _WINDOWS},
    Threshold: {
        "thresholds": np.array([[1, 1, 4]]), "signs": np.array([-1]), "low": 0, "step": 1,
        "kind": S8,
    },
}  # fmt: skip


def make(cls: Callable[..., Operation], **changes: Any) -> Operation:
    given: dict[str, Any] = {"inputs": ("x",), "output": "y", **SETTINGS[cls], **changes}  # type: ignore[index]
    return cls(**given)


def constants() -> list[tuple[type[Operation], str]]:
    return [
        (cls, field.name)
        for cls in OPERATIONS.values()
        for field in fields(cls)
        if _dtype_of(field.type) is not None
    ]


def test_every_operation_is_tested() -> None:
    assert set(SETTINGS) == set(OPERATIONS.values())


@pytest.mark.parametrize(("cls", "name"), constants())
def test_constants_are_integers_of_their_type(cls: type[Operation], name: str) -> None:
    values = getattr(make(cls), name)
    wide = values.astype(np.int64)
    for given in (wide, wide.tolist()):
        stored = getattr(make(cls, **{name: given}), name)
        assert stored.dtype == values.dtype
        np.testing.assert_array_equal(stored, values)
    for wrong in (values.astype(np.float64), values != 0, None, values.astype(str)):
        with pytest.raises(UsageError, match=rf"^{cls.__name__} 'y' .*: {name} of .* allowed$"):
            make(cls, **{name: wrong})
    beyond = np.full_like(wide, 2**40) if values.itemsize < 8 else wide.astype(object) + 2**70
    with pytest.raises(UsageError, match=f"{name} of .* allowed"):
        make(cls, **{name: beyond})


def others() -> list[tuple[type[Operation], str]]:
    return [
        (cls, field.name)
        for cls in OPERATIONS.values()
        for field in fields(cls)
        if _dtype_of(field.type) is None
    ]


@pytest.mark.parametrize(("cls", "name"), others())
def test_other_fields_are_what_they_are_annotated_as(cls: type[Operation], name: str) -> None:
    for wrong in (None, 1.5, ["x"], (1.5, None), object()):
        with pytest.raises(UsageError, match=rf"^{cls.__name__} .*: {name} .* given, .* allowed$"):
            make(cls, **{name: wrong})


def test_numbers_of_numpy_are_plain_ones() -> None:
    operation = make(Requantize, low=np.int64(-3), high=np.uint8(3))
    assert json.dumps([operation.low, operation.high]) == "[-3, 3]"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (Requantize, {"multiplier": 2**40}, "multiplier of 1099511627776 to .* 2147483647 allowed"),
        (Requantize, {"multiplier": [[1], [2, 3]]}, "multiplier that is no array given, integers"),
        (Requantize, {"multiplier": []}, "multiplier of float64 given"),
        (Requantize, {"offset": np.zeros((0,), np.int64)}, "offset of no integer given"),
        (Threshold, {"signs": np.array([0])}, r"signs \[0\] given, -1 and 1 allowed"),
        (Threshold, {"signs": np.array([2])}, r"signs \[2\] given"),
        (Threshold, {"thresholds": np.array([[3, 1]])}, "fall along a row given, rising ones"),
        (Threshold, {"thresholds": np.array([3, 4])}, r"thresholds of shape \[2\] given, 2 axes"),
        (Threshold, {"step": 0}, "step 0 given, numbers from 1"),
        (Linear, {"weight": np.full((2, 3), 9)}, "weight of 9 to 9 given, -8 to 7 allowed"),
        (Linear, {"weight_bits": 9}, "weight in 9 bits given, 1 to 8 allowed"),
        (Linear, {"weight_bits": 1, "weight": np.zeros((2, 3), int)}, "1 bit with others than"),
        (Linear, {"bias": np.zeros((2, 1), int)}, r"bias of shape \[2, 1\] given, 1 axes"),
        (Convolution, {"weight": np.ones((2, 3), int)}, r"weight of shape \[2, 3\] given, 4 axes"),
        (Convolution, {"groups": 0}, "groups 0 given, numbers from 1"),
    ],
)
def test_ranges(cls: type[Operation], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make(cls, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(4,), (1, 1, 3)])
def test_constants_that_do_not_broadcast(shape: tuple[int, ...]) -> None:
    operation = make(Requantize, multiplier=np.ones(shape, np.int32))
    with pytest.raises(UsageError, match=r"constants of .* such as fit"):
        operation.infer([TensorType((2, 3), U8)])


@pytest.mark.parametrize(
    "settings", [{"kernel": 3}, {"kernel": (3,)}, {"stride": (1, 1.5)}, {"padding": (1, 1)}]
)
def test_windows_are_pairs(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"windows: .* two sizes from 1 of each, four paddings"):
        Windows(**{"kernel": (3, 3), **settings})


def test_types_of_tensors() -> None:
    with pytest.raises(UsageError, match="'u8' given, U8, S8, S16 or S32 allowed"):
        TensorType((3,), "u8")  # type: ignore[arg-type]
    for shape in ((0,), (2.0,), 3):
        with pytest.raises(UsageError, match=r"tensor of shape .* given, sizes from 1 allowed"):
            TensorType(shape, U8)  # type: ignore[arg-type]


def named(output: str, source: str = "x") -> Program:
    operation = Requantize(inputs=(source,), output=output, multiplier=1, **_RESCALE)
    return Program(
        inputs={source: TensorType((3,), U8)}, operations=(operation,), outputs=(output,)
    )


@pytest.mark.parametrize("name", ["", "y.weight"])
def test_names_that_constants_could_have(name: str) -> None:
    for made in (lambda: named(name), lambda: named("y", name)):
        with pytest.raises(UsageError, match=f"named '{name}' given, text without '.' allowed"):
            made()


@pytest.mark.parametrize("name", ["_1_Cast", "_2_Mul", "_constant_int64__0", "two words"])
def test_names_that_graphs_number_themselves(name: str) -> None:
    program = named(name)
    verify(program, [{"x": np.array([[0, 8, 255]], np.uint8)}])
    assert str(from_bytes(to_bytes(program), "file")) == str(program)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {"x": (3,)}}, r"program.inputs.x: a tuple given, TensorType by name allowed"),
        ({"inputs": [TensorType((3,), U8)]}, r"program.inputs: a list given, TensorType by name"),
        ({"inputs": {3: TensorType((3,), U8)}}, "program.inputs: the name 3: a int given, a str"),
        ({"inputs": {}}, "program.inputs: none given, at least one allowed"),
        ({"operations": "y"}, "program.operations: a str given, a tuple of Operation allowed"),
        ({"operations": [make(Multiply)]}, "program.operations: a list given, a tuple of Operat"),
        ({"operations": (3,)}, r"program.operations\[0\]: a int given, a tuple of Operation"),
        ({"outputs": "y"}, "program.outputs: a str given, a tuple of str allowed"),
        ({"outputs": ()}, "program.outputs: none given, at least one allowed"),
        ({"reals": {"x": 1.0}}, "program.reals.x: a float given, Reading by name allowed"),
        ({"rounded": ["x"]}, "program.rounded: a list given, Reading by name allowed"),
        ({"quantizers": {"q": None}}, "program.quantizers.q: a NoneType given, str by name"),
        ({"encodings": 3}, "program.encodings: a int given, Encoding by name allowed"),
        ({"outputs": ("z",)}, "program: no tensor is named 'z'"),
    ],
)
def test_programs_of_other_things(changes: dict[str, Any], message: str) -> None:
    whole = {"inputs": {"x": TensorType((3,), U8)}, "operations": (), "outputs": ("x",)}
    with pytest.raises(UsageError, match=message) as caught:
        Program(**{**whole, **changes})
    assert "\n" not in str(caught.value)


def test_a_program_that_computes_nothing() -> None:
    program = Program(inputs={"x": TensorType((3,), U8)}, operations=(), outputs=("x",))
    with pytest.raises(UsageError, match="verify: a program of 0 operations given"):
        verify(program, [{"x": np.zeros((1, 3), np.uint8)}])
    with pytest.raises(UsageError, match="onnx-exact: a program of 0 operations given"):
        ARTEFACTS["onnx-exact"].files({"network": program}, {})


def test_annotations_of_arrays_are_known_to_every_numpy() -> None:
    """From 2.5 on `NDArray` is an alias of its own; before, of `ndarray`."""
    alias = types.GenericAlias(cast(Any, NDArray), (np.int16,))
    assert _dtype_of(alias) == _dtype_of(NDArray[np.int16]) == np.dtype(np.int16)
    assert _dtype_of(tuple[int, ...]) is _dtype_of(int) is None
