"""C of programs with exits: the scores and the exit of the program, where thresholds are met, just
met and just missed; the trunk once, one arena, nothing overwritten that a later segment reads."""

import ctypes
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.deploy.c.boards.selftest import selftest
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.compiler import STANDARD, WARNINGS, compile_model
from quantlab.deploy.c.exits.host import ExitsOnHost, verify_exits
from quantlab.deploy.c.exits.interface import interface_of
from quantlab.deploy.c.exits.measure import measure_exits
from quantlab.deploy.c.exits.model import exit_model, outputs_of_exits
from quantlab.deploy.c.exits.names import header_names
from quantlab.deploy.c.footprint import footprint
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.runtime_files import RUNTIME
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError, VerificationError
from quantlab.exits.interpreter import exit_scores, leave, margins, run
from quantlab.exits.program import NEVER, ExitProgram
from quantlab.integer.interpreter import run as run_program
from quantlab.integer.operations import Convolution, Linear, MaxPool
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S16, U8, TensorType
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.c_caller import CalledModel
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.exits.networks import codes, program
from tests.quantlab.exits.tangled import tangled

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
needs_cpp = pytest.mark.skipif(which("c++") is None, reason="no C++ compiler: c++")


def around(made: ExitProgram, sample: int) -> Iterator[ExitProgram]:
    """Yield a program whose thresholds a sample misses by one, just meets and exceeds by one."""
    found = [int(margins(one)[sample]) for one in exit_scores(made, codes(64))[:2]]
    for difference in (1, 0, -1):
        yield replace(made, thresholds=(found[0] + difference, found[1] - difference))


def medians(made: ExitProgram) -> ExitProgram:
    """Return a program at each of whose exits some samples leave."""
    found = [int(np.median(margins(one))) for one in exit_scores(made, codes(64))[:2]]
    return replace(made, thresholds=tuple(found))


def mixed() -> ExitProgram:
    return medians(program())


def written(made: ExitProgram, folder: Path, **options: Any) -> Path:
    write_files(exit_model(made, **options).files, folder)
    return folder


@needs_compiler
def test_scores_and_exits_at_and_beside_the_thresholds_are_those_of_the_program(
    tmp_path: Path,
) -> None:
    exits = []
    for number, made in enumerate(islice(around(program(), 5), 2)):
        expected = run(made, codes(12))
        found = ExitsOnHost(made, written(made, tmp_path / f"{number}")).run(codes(12))
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_array_equal(found.exits, expected.exits)
        exits.append(found.exits[5])
    assert exits == [1, 0]


@needs_compiler
@pytest.mark.long
def test_what_memory_has_before_makes_no_difference(tmp_path: Path) -> None:
    made = mixed()
    model = CalledModel(interface_of(made), exit_model(made).files, tmp_path, ["cc", "-O1"])
    expected = outputs_of_exits(made, codes(12))
    for sample, found in enumerate(model.run(codes(12))):
        for name, values in expected.items():
            np.testing.assert_array_equal(found.outputs[name], values[sample])


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_random_networks_give_the_scores_and_exits_of_their_programs(
    seed: int, tmp_path: Path
) -> None:
    made = medians(program(seed))
    assert set(leave(exit_scores(made, codes(64)), made.thresholds).exits) == {0, 1, 2}
    for number, one in enumerate([made, *around(made, seed)]):
        folder = written(one, tmp_path / f"{number}", vectors=codes(3))
        verify_exits(one, folder, codes(64))


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_exits_that_read_the_image_several_layers_and_scores_are_those_of_the_program(
    seed: int, tmp_path: Path
) -> None:
    made = tangled(seed)
    assert "ql_exit_0(void* arena, const void* input_input," in str(
        exit_model(made).files["model_ee.h"], "ascii"
    )
    gaps = [margins(one) for one in exit_scores(made, codes(64))[:3]]
    for share in (0.5, 0.8, 1.0):
        thresholds = [int(np.quantile(gap, share)) + (share == 1.0) for gap in gaps]
        one = made.with_thresholds(thresholds)
        folder = written(one, tmp_path / f"{share}", vectors=codes(2))
        verify_exits(one, folder, codes(64))
        model = CalledModel(
            interface_of(one), exit_model(one).files, tmp_path / f"filled {share}", ["cc"]
        )
        expected = run(one, codes(6))
        for sample, found in enumerate(model.run(codes(6))):
            np.testing.assert_array_equal(found.outputs["scores"], expected.scores[sample])
            assert found.outputs["exit"] == [expected.exits[sample]]


@needs_compiler
@pytest.mark.long
def test_inputs_of_sixteen_bits_at_odd_addresses_are_read_by_heads_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def linear(name: str, size: int, source: str) -> Linear:
        return Linear(
            inputs=(source,),
            output=name,
            layer=name,
            weight=rng.integers(-9, 9, (size, 6)).astype(np.int8),
            weight_bits=8,
            bias=np.zeros(size, np.int32),
        )

    whole = Program(
        inputs={"a": TensorType((6,), S16), "b": TensorType((6,), U8)},
        operations=(linear("one", 4, "a"), linear("two", 4, "b"), linear("three", 4, "a")),
        outputs=("one", "two", "three"),
    )
    inputs = {
        "a": rng.integers(-999, 999, (32, 6)).astype(np.int16),
        "b": rng.integers(0, 256, (32, 6)).astype(np.uint8),
    }
    first, second = (margins(run_program(whole, inputs)[name]) for name in ("one", "two"))
    made = ExitProgram(
        program=whole, thresholds=(int(np.quantile(first, 0.6)), int(np.quantile(second, 0.6)))
    )
    expected = run(made, inputs)
    assert set(expected.exits) == {0, 1, 2}
    model = CalledModel(interface_of(made), exit_model(made).files, tmp_path, ["cc"])
    for sample, found in enumerate(model.run(inputs)):
        np.testing.assert_array_equal(found.outputs["scores"], expected.scores[sample])
        assert found.outputs["exit"] == [expected.exits[sample]]


ENDS = [-(2**31), -(2**31) + 1, -2, -1, 0, 1, 2, 2**31 - 2, 2**31 - 1]


@pytest.fixture(scope="module")
def ql_leave(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if which("cc") is None:
        pytest.skip("no C compiler: cc")
    library = tmp_path_factory.mktemp("leave") / "leave.so"
    sources = [str(RUNTIME / "leave.c"), str(RUNTIME / "give.c")]
    flags = [*STANDARD, *WARNINGS, "-shared", "-fPIC", "-o", str(library)]
    subprocess.run(["cc", *flags, *sources], check=True)
    return ctypes.CDLL(str(library)).ql_leave


@given(
    scores=st.lists(st.sampled_from(ENDS), min_size=2, max_size=5),
    margin=st.sampled_from([0, 1, 2, 3, 2**31 - 1, 2**31, NEVER - 1, NEVER]),
)
def test_the_test_of_confidence_is_exact_to_the_ends_of_32_bits(
    ql_leave: Any, scores: list[int], margin: int
) -> None:
    given_scores = np.array(scores, np.int32)
    to, left = np.zeros(len(scores), np.int32), np.full(1, 99, np.uint8)
    found = ql_leave(
        given_scores.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint16(len(scores)),
        ctypes.c_uint32(margin),
        to.ctypes.data_as(ctypes.c_void_p),
        left.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint8(7),
    )
    first, second = sorted(scores)[:-3:-1]
    assert found == (first - second >= margin)
    assert left[0] == (7 if found else 99)
    assert to.tolist() == (scores if found else [0] * len(scores))


def test_the_folder_has_the_trunk_once_and_the_documented_names() -> None:
    files = exit_model(mixed()).files
    assert {"model.c", "model.h", "model_ee.c", "model_ee.h", "headers/headers.h"} < set(files)
    own = {Path(name).stem for name in files if name.startswith("headers/")}
    assert own == {
        *("conv1", "conv2", "fc1", "fc2", "headers"),
        *("fc1_ee", "fc2_ee", "maxpool1_ee", "headers_ee"),
    }
    guards = [text for text in files.values() if text.count(b"#ifndef MODEL_H")]
    assert len(guards) == 1


def test_all_share_one_arena_and_sizes_are_those_of_what_is_given() -> None:
    made = mixed()
    sizes = exit_model(made).sizes
    assert sizes.outputs == 4 * made.num_classes + 1
    everything = c_model(made.program).sizes
    assert sizes.arena <= everything.arena
    assert sizes.flash == everything.flash


def test_the_same_program_gives_the_same_bytes() -> None:
    assert exit_model(mixed()).files == exit_model(mixed()).files


@needs_compiler
def test_the_models_own_test_sees_a_changed_threshold(tmp_path: Path) -> None:
    made = mixed()
    folder = written(made, tmp_path / "c", vectors=codes(8))
    assert _selftest(folder, made) == 0
    (folder / "model_ee.c").write_text(
        (folder / "model_ee.c").read_text().replace(f"{made.thresholds[0]}", "0")
    )
    assert _selftest(folder, made) == 2
    with pytest.raises(VerificationError, match=r"^c: sample \d+, scores\[\d\]: "):
        verify_exits(made, folder, codes(8))


def _selftest(folder: Path, made: ExitProgram) -> int:
    number = len(list(folder.glob("*.so")))
    library = folder / f"{number}.so"  # a library of one path is loaded once
    compile_model(folder, library, ["cc", "-shared", "-fPIC"])
    sizes = (1024, 64, 4 * made.num_classes, 1)
    memory = [ctypes.create_string_buffer(size) for size in sizes]
    code: int = ctypes.CDLL(str(library)).ql_selftest(*memory)
    return code


@needs_compiler
@pytest.mark.long
def test_the_rows_of_a_footprint_have_both_sources(tmp_path: Path) -> None:
    found = footprint(written(mixed(), tmp_path), ("cc",))
    names = [row.name for row in found.rows]
    assert {"ql_run", "ql_exit_0", "ql_exit_1", "conv1", "fc1_ee"} < set(names)
    assert sum(row.total for row in found.rows) == found.total


@needs_cpp
def test_programs_in_cpp_include_both_headers(tmp_path: Path) -> None:
    folder = written(mixed(), tmp_path / "c")
    caller = tmp_path / "caller.cpp"
    caller.write_text('#include "model.h"\n#include "model_ee.h"\nint main() { return 0; }\n')
    subprocess.run(["c++", "-Wall", "-Werror", "-fsyntax-only", f"-I{folder}", caller], check=True)


@each_compiler
@pytest.mark.long
def test_sanitizers_see_nothing(compiler: str, tmp_path: Path) -> None:
    for number, made in enumerate([mixed(), tangled(), *around(program(), 5)]):
        files = exit_model(made, vectors=codes(16)).files
        check_sanitized(interface_of(made), files, tmp_path / f"{number}", compiler)


@needs_compiler
@pytest.mark.long
def test_a_traced_model_gives_each_tensor_that_it_computes(tmp_path: Path) -> None:
    folder = written(mixed(), tmp_path)
    trace = folder / "trace.c"
    trace.write_text(
        '#include "runtime/ql.h"\n'
        "void ql_keep(uint16_t t, size_t f, const int32_t* n, size_t c) {\n"
        "  (void)t, (void)f, (void)n, (void)c;\n}\n"
        "void ql_keep_tensor(uint16_t t, const void* a, ql_type k, size_t c) {\n"
        "  (void)t, (void)a, (void)k, (void)c;\n}\n"
    )
    command = ["cc", "-shared", "-fPIC", "-DQL_TRACE"]
    compile_model(folder, folder / "traced.so", command, [trace])


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in BOARDS])
def test_boards_give_the_scores_and_exits_of_the_program(name: str, tmp_path: Path) -> None:
    made = mixed()
    assert set(run(made, codes(12)).exits) == {0, 1, 2}
    selftest(written(made, tmp_path, vectors=codes(12)), BOARDS[name])


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in ("c-m0", "c-m3", "c-msp430")])
def test_later_exits_take_more_instructions(name: str) -> None:
    found = [one.instructions for one in measure_exits(mixed(), BOARDS[name])]
    assert found[0] < found[1] < found[2]
    whole = found[2]
    assert whole < 3 * found[1]


def test_headers_are_counted_by_kind_heads_apart() -> None:
    kinds = [(Convolution, False), (Linear, True), (Convolution, False), (Linear, False)]
    operations = [(object.__new__(kind), is_head) for kind, is_head in kinds]
    operations.append((object.__new__(MaxPool), True))
    assert header_names(operations) == ["conv1", "fc1_ee", "conv2", "fc1", "maxpool1_ee"]


def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    anything: Any = 3
    for call in (
        lambda: exit_model(anything),
        lambda: measure_exits(anything, BOARDS["c-m3"]),
        lambda: measure_exits(mixed(), anything),
        lambda: ExitsOnHost(anything, tmp_path),
        lambda: ExitsOnHost(mixed(), anything),
        lambda: ExitsOnHost(mixed(), tmp_path),
        lambda: exit_model(mixed(), vectors={"input": np.zeros((0, 1, 8, 8), np.uint8)}),
        lambda: exit_model(mixed(), "csx"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert "\n" not in str(caught.value)
