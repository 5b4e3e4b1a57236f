"""Weights of two outputs as one integer: their order, when they fit, the same sums everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantlab.deploy.c.artefact import files
from quantlab.deploy.c.kernels.pairs import have_pairs, in_order
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.deploy.table import engine_source
from quantlab.integer.operations import Convolution, Linear, Operation, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, IntegerType, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.boards import engine

LONG = pytest.mark.long
# Of those that other tests run too, one of each way to multiply pairs is not long.
ENGINES = [
    engine("c"),
    engine("c-m4"),
    *(
        pytest.param(name, marks=[*engine(name).marks, LONG])
        for name in ("c-m0", "c-m3", "c-m7", "c-m33", "c-m55", "c-rv32", "c-msp430")
    ),
]


def test_eights_of_two_outputs_follow_those_of_two_others() -> None:
    weight = np.zeros((7, 18), np.int8)
    weight[:, :9] = np.arange(1, 8)[:, None]  # a span of nine elements
    weight[:, 9:] = -np.arange(1, 8)[:, None]
    first, second, third, last = 256 * 2 + 1, 256 * 4 + 3, 256 * 6 + 5, 256 * 7 + 7
    span = np.array([first] * 8 + [second] * 8 + [first, second])
    expected = [*span, *-span, *[third] * 9, *[-third] * 9, *[last] * 4, 7 - 256 * 7, *[-last] * 4]
    assert in_order(weight, 2).tolist() == expected


@pytest.mark.parametrize(
    ("a", "b", "size", "kind", "expected"),
    [
        (127, 127, 514, S8, True),  # 514 * 127 * 257 * 128 < 2^31
        (127, 127, 515, S8, False),
        (127, -127, 258, U8, True),
        (127, -127, 259, U8, False),
        (0, -128, 1, S8, True),  # -2^15
        (-1, -128, 1, S8, False),
        (-1, None, 3, S8, True),
        (-128, None, 3, S8, False),  # of two elements
    ],
)
def test_pairs_fit_into_16_bits_and_their_sums_into_32(
    a: int, b: int | None, size: int, kind: IntegerType, *, expected: bool
) -> None:
    weight = np.array([[one] * size for one in (a, b) if one is not None], np.int8)
    assert have_pairs(weight, kind) is expected


# Outputs, kernel, stride, padding, dilation, groups: of whole and of left over eights, of more
# outputs than are made at once, with windows at the border.
LAYERS = [
    (37, (3, 3), (1, 1), (1, 1, 0, 1), (1, 1), 1),
    (24, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (24, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 24),
    (35, (3, 3), (2, 1), (1, 1, 1, 0), (1, 1), 1),
    (6, (2, 2), (1, 1), (0, 0, 0, 1), (1, 2), 1),
]


# Of the second one some elements are read again once outputs of the place behind are written.
IN_PLACE = [
    (72, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (72, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (3, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
]


def network(kinds: Sequence[IntegerType], layers: Sequence[Any]) -> Program:
    """Return a chain of layers. kinds: of the input and of what each layer makes, in turn."""
    random = np.random.default_rng(0)
    operations: list[Operation] = []
    name, channels = "x", 3
    for number, (outputs, kernel, stride, padding, dilation, groups) in enumerate(layers):
        given, made = kinds[number % 2], kinds[(number + 1) % 2]
        weight = random.integers(-127, 128, (outputs, channels // groups, *kernel), np.int8)
        convolution = Convolution(
            inputs=(name,), output=f"sums{number}", weight=weight, weight_bits=8,
            bias=random.integers(-999, 999, outputs, np.int32), groups=groups,
            windows=Windows(kernel=kernel, stride=stride, padding=padding, dilation=dilation),
            padding_codes=np.full(channels, given.minimum + 5),
        )  # fmt: skip
        shift = 8 + weight[0].size.bit_length() // 2
        codes = Requantize(
            inputs=(f"sums{number}",), output=f"y{number}",
            multiplier=np.full((outputs, 1, 1), 3), offset=np.arange(outputs)[:, None, None] * 7,
            shift=np.array(shift), low=made.minimum, high=made.maximum, kind=made,
        )  # fmt: skip
        operations += [convolution, codes]
        name, channels = f"y{number}", outputs
    return Program(
        inputs={"x": TensorType((3, 5, 7), kinds[0])}, operations=tuple(operations), outputs=(name,)
    )


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    "kinds", [pytest.param((U8, S8), id="u8"), pytest.param((S8, U8), id="s8", marks=LONG)]
)
def test_all_elements_are_the_programs(
    name: str, kinds: Sequence[IntegerType], tmp_path: Path
) -> None:
    assert num_compared(name, network(kinds, LAYERS), tmp_path) > 5_000


@pytest.mark.parametrize("name", [engine("c-m4")])
def test_what_two_places_are_made_of_is_read_before_it_is_written_over(
    name: str, tmp_path: Path
) -> None:
    program = network((S8, S8), IN_PLACE)
    assert c_model(program, "dense").arena_size < 1.2 * 72 * 5 * 7
    assert num_compared(name, program, tmp_path) > 5_000


def num_compared(name: str, program: Program, folder: Path) -> int:
    """Compare all elements of two samples on an engine; return how many."""
    parts = {"network": program}
    write_files(files(parts, {}), folder)
    kind = program.inputs["x"].kind
    ends = kind.minimum, kind.maximum + 1
    batch = {"x": np.random.default_rng(1).integers(*ends, (2, 3, 5, 7)).astype(kind.dtype)}
    (found,) = compare(program, {name: engine_source(name).open(parts, folder)}, [batch])
    assert found.num_mismatches == 0, found.first
    return found.num_values


@pytest.mark.parametrize(("least", "function"), [(-127, "paired_places"), (-128, "places")])
def test_weights_that_make_no_pairs_have_another_function(least: int, function: str) -> None:
    layer = Linear(
        inputs=("x",), output="y", weight=np.full((2, 8), least, np.int8), weight_bits=8,
        bias=np.zeros(2, np.int32),
    )  # fmt: skip
    program = Program(inputs={"x": TensorType((8,), U8)}, operations=(layer,), outputs=("y",))
    assert f" ql_{function}_u8(" in c_model(program, "dense").files["model.c"].decode()
