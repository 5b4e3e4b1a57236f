"""C chooses its arithmetic by what the program proves: 32 bits, tables and thresholds as small as
what can come; sums at both ends of their bounds."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.narrow import narrow
from quantlab.deploy.c.runtime_files import RUNTIME
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import (
    Add,
    Linear,
    Lookup,
    Operation,
    Requantize,
    Threshold,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.deploy.test_c import check, needs_compiler
from tests.quantlab.deploy.test_c_boards import compared

OUTPUTS = 5
MAKERS = {"narrow_bytes", "narrow_row", "rescale_row", "rescale_high_row", "compact_bytes"}


def layer(bias: int = 0, sums: str = "sums") -> Linear:
    """The sums of each output are largest, or least, where all inputs are 0 or 255."""
    weight = np.array([[127] * 4, [-128] * 4, [1] * 4, [-3, 3, -3, 3], [0] * 4], np.int8)
    return Linear(
        inputs=("x",), output=sums, weight=weight, weight_bits=8,
        bias=np.array([bias, -bias, 7, bias, 0], np.int32),
    )  # fmt: skip


def samples(given_: Program) -> dict[str, NDArray[np.uint8]]:
    """Return samples of all inputs."""
    ends = np.array([[0] * 4, [255] * 4, [0, 255] * 2, [255, 0] * 2], np.uint8)
    random = np.random.default_rng(0).integers(0, 256, (8, 4 + OUTPUTS), np.uint8)
    x = np.concatenate([ends, random[:4, :4]])
    values = {"x": x, "added": np.where(x[:, :1] % 255, random[:, 4:], x[:, :1])}
    return {name: values[name] for name in given_.inputs}


def program(*operations: Operation, bias: int = 0) -> Program:
    """All that is made is an output; what is added to sums is an input."""
    read = {name for one in operations for name in one.inputs}
    sums = sorted(name for name in read if name.startswith("sums"))
    added = {"added": TensorType((OUTPUTS,), U8)} if "added" in read else {}
    return Program(
        inputs={"x": TensorType((4,), U8), **added},
        operations=(*(layer(bias, name) for name in sums), *operations),
        outputs=tuple(one.output for one in operations if one.output != "codes"),
    )


def filling(
    kind: IntegerType,
    shift: int,
    bias: int = 0,
    *,
    num_bits: int = 32,
    name: str = "y",
    sums: str = "sums",
) -> Requantize:
    """A requantization whose sums come as near to both ends of so many bits as they can."""
    most, offset = 2 ** (num_bits - 1) - 1, -987654
    ends = program(filling_none(), bias=bias).bounds["sums"]
    reach = np.maximum(np.maximum(-ends.low, ends.high), 1).astype(object)
    multiplier = np.minimum((most + offset) // reach, 2**26 - 1).astype(np.int32)
    multiplier[2] = -multiplier[2]
    return Requantize(
        inputs=(sums,), output=name, multiplier=multiplier, offset=np.array(offset),
        shift=np.array([shift, shift, max(shift - 1, 0), shift, min(shift + 9, 62)]),
        low=kind.minimum, high=kind.maximum, kind=kind,
    )  # fmt: skip


def filling_none() -> Requantize:
    return Requantize(
        inputs=("sums",), output="y", multiplier=np.array(1), offset=np.array(0),
        shift=np.array(0), low=-(2**31), high=2**31 - 1, kind=S32,
    )  # fmt: skip


def runtime(given_: Program) -> set[str]:
    return {Path(name).stem for name in c_model(given_).files if name.endswith(".c")}


def of_outputs(given_: Program) -> list[str]:
    """Return the lines at which arrays of an element for each output begin, but what only QL_TRACE
    needs."""
    files = c_model(given_).files
    text = "".join(text.decode() for name, text in files.items() if name.startswith("headers/"))
    text = re.sub(r"#ifdef QL_TRACE\n.*?#endif\n", "", text, flags=re.DOTALL)
    return [line for line in text.splitlines() if f"[{OUTPUTS}] = {{" in line]


@needs_compiler
@pytest.mark.parametrize("bias", [10**6, pytest.param(0, marks=pytest.mark.long)])
def test_sums_at_both_ends_of_32_bits(bias: int, tmp_path: Path) -> None:
    """Of all types, by shifts below and above 32."""
    given_ = program(
        *(
            filling(kind, shift, bias, name=f"y{shift}{kind}", sums=f"sums{shift}")
            for shift in (0, 7, 23, 31, 40)
            for kind in (U8, S8, S16, S32)
        ),
        bias=bias,
    )
    assert {given_.bounds[name].num_bits for name in given_.outputs} <= {31, 32}
    assert runtime(given_) & MAKERS == {"narrow_bytes", "narrow_row"}
    check(given_, samples(given_), tmp_path)


@needs_compiler
@pytest.mark.long
def test_sums_of_33_bits_take_64(tmp_path: Path) -> None:
    given_ = program(filling(S16, 20, num_bits=33))
    assert given_.bounds["y"].num_bits == 33
    assert "narrow_row" not in runtime(given_)
    check(given_, samples(given_), tmp_path)


@needs_compiler
@pytest.mark.long
def test_a_multiplier_that_a_word_has_no_room_for_takes_64_bits(tmp_path: Path) -> None:
    wide = Requantize(
        inputs=("x",), output="y", multiplier=np.array(2**26 + 1), offset=np.array(-(2**31)),
        shift=np.array(20), low=-(2**15), high=2**15 - 1, kind=S16,
    )  # fmt: skip
    few = Threshold(
        inputs=("z",), output="x", thresholds=np.array([[3, 9]]), signs=np.array([1]), low=0,
        step=1, kind=U8,
    )  # fmt: skip
    given_ = Program(
        inputs={"z": TensorType((4,), U8)}, operations=(few, wide), outputs=("y",)
    )  # fmt: skip
    assert given_.bounds["y"].num_bits == 32
    assert "rescale_row" in runtime(given_)
    check(given_, {"z": samples(program(filling_none()))["x"]}, tmp_path)


def sum_of(shift: list[int], right: NDArray[np.int32], left: NDArray[np.int32]) -> Add:
    return Add(
        inputs=("sums", "added"), output="y", left_multiplier=left, right_multiplier=right,
        offset=np.full(OUTPUTS, 12345), shift=np.array(shift), low=0, high=255, kind=U8,
    )  # fmt: skip


@needs_compiler
def test_a_residual_sum_takes_eight_bytes_a_channel(tmp_path: Path) -> None:
    """One real factor at the shift of each channel is one integer for all."""
    shift = [20, 21, 17, 23, 20]
    right = np.rint(0.0123456 * 2.0 ** np.array(shift)).astype(np.int32)
    left = np.array([9000, -12000, 2**18, 170000, 1], np.int32)
    given_ = program(sum_of(shift, right, left), bias=77)
    assert given_.bounds["y"].num_bits <= 32
    assert "narrow_sum_row" in runtime(given_)
    arrays = of_outputs(given_)
    assert len(arrays) == 2, arrays  # words and offsets
    check(given_, samples(given_), tmp_path)


@needs_compiler
@pytest.mark.long
def test_factors_that_are_not_one_take_64_bits(tmp_path: Path) -> None:
    right = np.array([5, 77, 5, 5, 5], np.int32)
    given_ = program(sum_of([9] * 5, right, np.full(5, 3, np.int32)))
    assert "narrow_sum_row" not in runtime(given_)
    check(given_, samples(given_), tmp_path)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(-1e6, 1e6),
    st.lists(st.integers(0, 31), min_size=1, max_size=6),
    st.integers(-(2**30), 2**30),
)
def test_the_multiplier_of_what_is_added_is_found_again(
    factor: float, shifts: list[int], offset: int
) -> None:
    exact = np.rint(factor * 2.0 ** np.array(shifts))
    operation = Add(
        inputs=("a", "b"), output="y", left_multiplier=np.array(77),
        right_multiplier=exact.clip(-(2**30), 2**30).astype(np.int32), offset=np.array(offset),
        shift=np.array(shifts), low=0, high=1, kind=U8,
    )  # fmt: skip
    ends = np.array([0], object)
    found = narrow(operation, 0, Bound(low=ends, high=ends, num_bits=32, available_bits=64))
    if found is None:
        assert np.abs(exact).max() > 2**29 or np.abs(factor) * 2.0 ** max(shifts) > 2**29
        return
    for multiplier, shift in zip(operation.right_multiplier.tolist(), shifts, strict=True):
        coarser = found.fine_shift - shift
        assert (found.fine + ((1 << coarser) >> 1)) >> coarser == multiplier


def thresholds(values: NDArray[np.int64], signs: list[int], kind: IntegerType = S8) -> Threshold:
    return Threshold(
        inputs=("sums",), output="y", thresholds=np.sort(values), signs=np.array(signs), low=-3,
        step=2, kind=kind,
    )  # fmt: skip


@needs_compiler
@pytest.mark.parametrize(
    "bias",
    [
        -(2**31) + 2**18,
        pytest.param(0, marks=pytest.mark.long),
        pytest.param(3000, marks=pytest.mark.long),
    ],
)
def test_thresholds_take_no_more_bytes_than_the_sums(bias: int, tmp_path: Path) -> None:
    ends = program(filling_none(), bias=bias).bounds["sums"]
    random = np.random.default_rng(0)
    operations, signs = [], [1, -1, -1, 1, -1]
    for levels in (1, 2, 3, 4, 9, 15):
        values = np.stack([
            random.integers(low - 2, high + 3, levels)
            for low, high in zip(ends.low.tolist(), ends.high.tolist(), strict=True)
        ])  # fmt: skip
        values[np.array(signs) < 0] *= -1
        values[0, 0], values[1, -1] = -(2**62), 2**62  # always, and never
        operation = thresholds(values, signs)
        operations.append(replace(operation, inputs=(f"sums{levels // 4}",), output=f"y{levels}"))
    given_ = program(*operations, bias=bias)
    assert "threshold_s32_bytes" in runtime(given_)
    assert "threshold_row" not in runtime(given_)
    check(given_, samples(given_), tmp_path)


@needs_compiler
@pytest.mark.parametrize("sign", [-1, pytest.param(1, marks=pytest.mark.long)])
def test_thresholds_of_small_sums_take_two_bytes(sign: int, tmp_path: Path) -> None:
    small = Linear(
        inputs=("x",), output="sums", weight=np.array([[1, -1, 1, 1]]), weight_bits=8,
        bias=np.array([20]),
    )  # fmt: skip
    given_ = Program(
        inputs={"x": TensorType((4,), U8)},
        operations=(small, thresholds(np.array([[-100, 9, 785, 786]]), [sign])),
        outputs=("y",),
    )
    assert "threshold_s16_bytes" in runtime(given_)
    check(given_, samples(given_), tmp_path)


@needs_compiler
@pytest.mark.parametrize("rows", [2, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", [S8, pytest.param(S16, marks=pytest.mark.long)])
def test_thresholds_along_an_axis_that_is_not_the_last(
    rows: int, kind: IntegerType, tmp_path: Path
) -> None:
    """Of a table, and of all 32 bits."""
    values = np.array([[-(2**31), -5, 2**31], [-9, 0, 2**31 - 1]])[:rows]
    given_ = Program(
        inputs={"sums": TensorType((2, 3), S32)},
        operations=(thresholds(values, [-1, 1][:rows], kind),),
        outputs=("y",),
    )
    ends = [-(2**31), 2**31 - 1, 0, -5, 5, -9]
    check(given_, {"sums": np.array(ends, np.int32).reshape(1, 2, 3)}, tmp_path)


@needs_compiler
@pytest.mark.parametrize(
    "kind",
    [
        S8,
        pytest.param(U8, marks=pytest.mark.long),
        pytest.param(S16, marks=pytest.mark.long),
    ],
)
def test_tables_have_what_can_come(kind: IntegerType, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = random.integers(kind.minimum, kind.maximum + 1, 256).astype(np.int16)
    few = Requantize(
        inputs=("sums",), output="codes", multiplier=np.array(1), offset=np.array(0),
        shift=np.array(10), low=-5, high=7, kind=S8,
    )  # fmt: skip
    look = Lookup(inputs=("codes",), output="y", table=table, kind=kind)
    given_ = program(few, look)
    text = b"".join(c_model(given_).files.values()).decode()
    assert ("_table[13]" if kind is not S16 else "_table[256]") in text
    check(given_, samples(given_), tmp_path)


WIDE = """#include <stdio.h>
#include "wide.h"
int main(void) {
  static const int32_t ends[] = {INT32_MIN, INT32_MIN + 1, -65537, -65536, -65535, -32769, -1, 0,
                                 1, 32767, 65535, 65536, 65537, INT32_MAX - 1, INT32_MAX};
  enum { COUNT = sizeof ends / sizeof *ends };
  uint32_t seed = 1;
  for (int i = 0; i < COUNT * COUNT + 100000; i++) {
    const int is_end = i < COUNT * COUNT;
    const int32_t a = is_end ? ends[i / COUNT] : (int32_t)(seed = seed * 1664525u + 1013904223u);
    const int32_t b = is_end ? ends[i % COUNT] : (int32_t)(seed = seed * 1664525u + 1013904223u);
    const int64_t product = (int64_t)a * b;
    if (ql_wide_product(a, b) != product || ql_high_word(a, b) != (int32_t)(product >> 32))
      return printf("%d * %d\\n", (int)a, (int)b);
  }
  return 0;
}
"""


@needs_compiler
@pytest.mark.parametrize(
    "flags", [("-DQL_NO_WIDE_PRODUCT",), pytest.param((), marks=pytest.mark.long)]
)
def test_products_of_64_bits_in_halves(flags: tuple[str, ...], tmp_path: Path) -> None:
    source, test = tmp_path / "wide.c", tmp_path / "wide"
    source.write_text(WIDE)
    command = ["cc", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", *flags]
    subprocess.run([*command, f"-I{RUNTIME}", "-o", test, source], check=True)
    done = subprocess.run([test], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_compiler
@pytest.mark.parametrize("of", ["two tensors", pytest.param("one tensor", marks=pytest.mark.long)])
def test_an_offset_for_all_stays_one_where_sums_have_a_bias(of: str, tmp_path: Path) -> None:
    """Multiplier and bias of each output are eight bytes; what is one for all is stored once."""
    multiplier = np.array([2**28, -(2**27), 3, 2**26, 5], np.int32)
    wide: Requantize | Add = replace(
        filling(S16, 31), multiplier=multiplier, shift=np.array(31), offset=np.array(2**40)
    )
    if of == "two tensors":
        wide = replace(
            sum_of([34], np.array(2**20, np.int32), multiplier), offset=np.array(2**33), kind=S16,
            low=-(2**15), high=2**15 - 1,
        )  # fmt: skip
    given_ = program(wide, bias=77)
    assert given_.bounds["y"].num_bits > 32
    arrays = of_outputs(given_)
    assert len(arrays) == 2, arrays  # multiplier and bias
    check(given_, samples(given_), tmp_path)


def all_forms() -> Program:
    """Bytes and rows in 32 bits, a residual sum, thresholds and a table."""
    random = np.random.default_rng(0)
    values = random.integers(-(10**5), 10**5, (OUTPUTS, 3))
    shift = np.full(OUTPUTS, 20)
    one, fine = np.full(OUTPUTS, 77, np.int32), np.full(OUTPUTS, 2**20, np.int32)
    table = random.integers(-128, 128, 256, np.int16)
    return program(
        filling(S8, 23, 77, name="y0"),
        filling(S32, 3, 77, name="y1"),
        replace(thresholds(values, [1, -1, 1, -1, 1]), inputs=("sums1",), output="y2"),
        replace(sum_of(shift.tolist(), fine, one), inputs=("sums2", "added"), output="y3"),
        Lookup(inputs=("y0",), output="y4", table=table, kind=S8),
        bias=77,
    )


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m0"), engine("c-m3"), engine("c-msp430")])
def test_boards_do_as_this_machine_does(name: str, tmp_path: Path) -> None:
    given_ = all_forms()
    assert compared(name, given_, samples(given_), tmp_path).num_mismatches == 0


@pytest.mark.long
@each_compiler
def test_sanitizers_have_nothing_to_say(compiler: str, tmp_path: Path) -> None:
    program = all_forms()
    check_sanitized(program, c_model(program).files, tmp_path, compiler)
