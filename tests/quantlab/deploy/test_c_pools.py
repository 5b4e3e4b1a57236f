"""C: maxima of windows are taken of codes while these are made; images before them have no room."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.c.model import c_model
from quantlab.integer.operations import (
    Add,
    Convolution,
    Lookup,
    MaxPool,
    Operation,
    Requantize,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.deploy.test_c import check, layer, needs_compiler, of_type
from tests.quantlab.deploy.test_c_boards import compared

SHAPE = (3, 9, 8)


def convolution(outputs: int = 5, groups: int = 1, x: str = "x") -> Convolution:
    weight = np.random.default_rng(1).integers(-128, 128, (outputs, 3 // groups, 3, 3), np.int8)
    bias = np.arange(outputs, dtype=np.int32) * 99
    return Convolution(
        inputs=(x,), output="sums", weight=weight, weight_bits=8, groups=groups, bias=bias,
        windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)), padding_codes=np.full(3, 7),
    )  # fmt: skip


def codes(kind: IntegerType, name: str = "codes") -> Requantize:
    return Requantize(
        inputs=("sums",), output=name, multiplier=np.array(2**30 + 12345), offset=np.array(2**39),
        shift=np.array(40 if kind is not S16 else 33), low=kind.minimum, high=kind.maximum,
        kind=kind,
    )  # fmt: skip


def pool(kernel: Sequence[int] = (2, 2), stride: Sequence[int] = (2, 2)) -> MaxPool:
    windows = Windows(kernel=(kernel[0], kernel[1]), stride=(stride[0], stride[1]))
    return MaxPool(inputs=("codes",), output="pooled", windows=windows)


def program(*operations: Operation, outputs: tuple[str, ...] = ("pooled",)) -> Program:
    inputs = {"x": TensorType(SHAPE, U8)}
    return Program(inputs=inputs, operations=operations, outputs=outputs)


def calls(given: Program) -> str:
    return c_model(given).files["model.c"].decode()


def chain() -> Program:
    """As of digits: two convolutions with their pooling, and a last layer."""
    random = np.random.default_rng(2)
    operations: list[Operation] = []
    x, channels = "x", 1
    for number, outputs in enumerate((16, 32)):
        operations += [
            Convolution(
                inputs=(x,), output=f"sums{number}", weight_bits=8, bias=np.zeros(outputs, int),
                weight=random.integers(-9, 9, (outputs, channels, 3, 3), np.int8),
                windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
                padding_codes=np.zeros(channels, int),
            ),
            Requantize(
                inputs=(f"sums{number}",), output=f"codes{number}", multiplier=np.array(2**30),
                offset=np.array(0), shift=np.array(35), low=0, high=255, kind=U8,
            ),
            MaxPool(
                inputs=(f"codes{number}",), output=f"pooled{number}",
                windows=Windows(kernel=(2, 2), stride=(2, 2)),
            ),
        ]  # fmt: skip
        x, channels = f"pooled{number}", outputs
    return Program(
        inputs={"x": TensorType((1, 16, 16), U8)}, operations=tuple(operations), outputs=(x,)
    )


def test_a_pooled_image_is_all_that_is_stored() -> None:
    """1,024 bytes of the first image, 20 for two windows that are copied."""
    assert c_model(chain()).arena_size == 16 * 8 * 8 + 20


@needs_compiler
def test_a_chain_has_the_integers_of_the_program(tmp_path: Path) -> None:
    check(chain(), of_type(chain(), 0), tmp_path)


@needs_compiler
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [
        ((1, 3), (2, 3)),
        pytest.param((2, 2), (2, 2), marks=pytest.mark.long),
        pytest.param((2, 1), (3, 1), marks=pytest.mark.long),
        pytest.param((9, 8), (9, 8), marks=pytest.mark.long),
    ],
)
def test_windows_that_do_not_overlap(
    kernel: tuple[int, int], stride: tuple[int, int], tmp_path: Path
) -> None:
    """Of bytes of both kinds alone, and of 16 bits beside them."""
    for kinds in ((U8, S8), (U8, S8, S16)):
        made = [codes(kind, f"codes{kind}") for kind in kinds]
        poolings = [
            replace(pool(kernel, stride), inputs=(one.output,), output=f"pooled{one.kind}")
            for one in made
        ]
        given = program(
            convolution(33), *made, *poolings, outputs=tuple(one.output for one in poolings)
        )
        assert "ql_max_pool" not in calls(given)
        check(given, of_type(given, 0), tmp_path / str(len(kinds)))


@needs_compiler
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceil_mode"),
    [
        ((2, 2), (2, 2), 1, False),
        pytest.param((3, 2), (2, 2), 0, False, marks=pytest.mark.long),
        pytest.param((2, 2), (2, 2), 0, True, marks=pytest.mark.long),
    ],
)
def test_windows_that_overlap_or_reach_beyond_the_border_are_a_step_of_their_own(
    kernel: tuple[int, int], stride: tuple[int, int], padding: int, *, ceil_mode: bool,
    tmp_path: Path,
) -> None:  # fmt: skip
    windows = Windows(kernel=kernel, stride=stride, padding=(padding,) * 4, ceil_mode=ceil_mode)
    last = MaxPool(inputs=("codes",), output="pooled", windows=windows)
    given = program(convolution(), codes(S8), last)
    assert "ql_max_pool" in calls(given)
    check(given, of_type(given, 0), tmp_path)


@needs_compiler
@pytest.mark.long
def test_a_last_window_that_does_not_hang_over_is_as_any_other(tmp_path: Path) -> None:
    windows = Windows(kernel=(3, 2), stride=(3, 2), ceil_mode=True)
    last = MaxPool(inputs=("codes",), output="pooled", windows=windows)
    given = program(convolution(), codes(S8), last)
    assert "ql_max_pool" not in calls(given)
    check(given, of_type(given, 0), tmp_path)


def half(name: str, x: str) -> Requantize:
    """Half of each code."""
    return Requantize(
        inputs=(x,), output=name, multiplier=np.array(1), offset=np.array(1), shift=np.array(1),
        low=-64, high=127, kind=S8,
    )  # fmt: skip


@needs_compiler
@pytest.mark.parametrize(
    "reader",
    [
        "an output",
        pytest.param("a layer", marks=pytest.mark.long),
        pytest.param("the same sums", marks=pytest.mark.long),
    ],
)
def test_an_image_that_something_else_reads_is_stored(reader: str, tmp_path: Path) -> None:
    others: tuple[Operation, ...] = ()
    outputs = ("pooled", "codes")
    if reader == "a layer":
        others, outputs = (half("y", "codes"),), ("pooled", "y")
    if reader == "the same sums":
        pooled_too = MaxPool(
            inputs=("codes",), output="too", windows=Windows(kernel=(3, 3), stride=(3, 3))
        )
        others, outputs = (pooled_too,), ("pooled", "too")
    given = program(convolution(), codes(S8), pool(), *others, outputs=outputs)
    assert "ql_max_pool" in calls(given)
    check(given, of_type(given, 0), tmp_path)


@needs_compiler
@pytest.mark.parametrize(
    "made",
    [
        "add",
        "threshold",
        pytest.param("lookup", marks=pytest.mark.long),
        pytest.param("two", marks=pytest.mark.long),
        pytest.param("depthwise", marks=pytest.mark.long),
    ],
)
def test_all_that_is_made_of_sums_is_pooled(made: str, tmp_path: Path) -> None:
    layer, operations = convolution(), [codes(S8)]
    several: list[Operation] = [*operations]
    outputs: tuple[str, ...] = ("pooled",)
    random = np.random.default_rng(3)
    if made == "threshold":
        thresholds = np.sort(random.integers(-99999, 99999, (5, 3)))
        signs = np.array([1, -1, 1, 1, -1])
        several = [
            Threshold(
                inputs=("sums",), output="codes", thresholds=thresholds, signs=signs, low=-3,
                step=2, kind=S8,
            )
        ]  # fmt: skip
    if made == "lookup":
        table = random.integers(-128, 128, 256, np.int16)
        several = [
            codes(S8, "before"),
            Lookup(inputs=("before",), output="codes", table=table, kind=S8),
        ]
    if made == "add":
        one = np.array(2**20)
        several = [
            Add(
                inputs=("sums", "x"), output="codes", left_multiplier=one, shift=np.array(30),
                right_multiplier=one * 64, offset=np.arange(3).reshape(3, 1, 1) * 2**30, low=-128,
                high=127, kind=S8,
            )
        ]  # fmt: skip
        layer = convolution(3)
    if made == "two":
        several = [codes(S8), codes(S16, "wide")]
        outputs = ("pooled", "wide")
    if made == "depthwise":
        layer = convolution(3, groups=3)
    given = program(layer, *several, pool(), outputs=outputs)
    assert "ql_max_pool" not in calls(given)
    check(given, of_type(given, 1), tmp_path)


@needs_compiler
@pytest.mark.long
def test_sums_that_are_pooled_are_stored(tmp_path: Path) -> None:
    last = MaxPool(inputs=("sums",), output="pooled", windows=Windows(kernel=(2, 2), stride=(2, 2)))
    given = program(convolution(), last)
    assert given.types["pooled"].kind is S32
    check(given, of_type(given, 0), tmp_path)


def pooled(seed: int) -> Program:
    """A layer of any size with pooling by windows of any size."""
    random = np.random.default_rng(seed)
    whole = layer(seed)
    _, *size = whole.types["y"].shape
    kernel = [int(random.integers(1, edge + 1)) for edge in size]
    windows = Windows(
        kernel=(kernel[0], kernel[1]),
        stride=(kernel[0] + int(random.integers(2)), kernel[1] + int(random.integers(2))),
    )
    last = MaxPool(inputs=("y",), output="pooled", windows=windows)
    return Program(inputs=whole.inputs, operations=(*whole.operations, last), outputs=("pooled",))


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_many_layers_of_any_size(seed: int, tmp_path: Path) -> None:
    given = pooled(seed)
    assert "ql_max_pool" not in calls(given)
    check(given, of_type(given, seed), tmp_path)


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("seed", range(100, 110))
def test_sanitizers_have_nothing_to_say(compiler: str, seed: int, tmp_path: Path) -> None:
    program = pooled(seed)
    check_sanitized(program, c_model(program).files, tmp_path, compiler)


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m0"), engine("c-m3")])
def test_boards_pool_as_this_machine_does(name: str, tmp_path: Path) -> None:
    given = program(convolution(33), codes(S8), pool((1, 3), (2, 3)))
    assert compared(name, given, of_type(given, 0), tmp_path).num_mismatches == 0
