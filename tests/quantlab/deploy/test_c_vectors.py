"""Golden vectors: what headers/input.h has, and the model's own test on them."""

import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.interface import size_name
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.vectors import from_text, is_text, to_text
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from quantlab.integer.program import Program
from tests.quantlab.integer.oracle import evaluate
from tests.quantlab.integer.programs import Author, inputs

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def several_outputs() -> Program:
    """An image in, two tensors out."""
    whole = Author(7).program(9)
    return Program(
        inputs=whole.inputs,
        operations=whole.operations,
        outputs=(whole.operations[-2].output, *whole.outputs),
    )


def numbers(text: str, name: str) -> list[int]:
    """Return the elements of an array of a C source."""
    body = re.search(rf" {name}(?:\[\d+\])+ = \{{(.*?)\}};", text, re.DOTALL)
    assert body is not None, name
    return [int(one) for one in re.findall(r"-?\d+", body[1])]


def selftest(program: Program, folder: Path) -> int:
    """Return the code of the model's own test."""
    memory = [*program.inputs, *dict.fromkeys(program.outputs)]
    sizes = [f"  static uint32_t m{i}[{size_name(n)}];\n" for i, n in enumerate(memory)]
    given = ", ".join(f"m{i}" for i in range(len(memory)))
    source = folder.parent / "caller.c"
    source.write_text(
        '#include "model.h"\n\n#include "headers/input.h"\n\nint main(void) {\n'
        "  static uint32_t arena[QL_ARENA_SIZE + 1];\n"
        f"{''.join(sizes)}  return ql_selftest(arena, {given});\n}}\n"
    )
    compile_model(folder, folder.parent / "caller", ["cc"], [source])
    return subprocess.run([folder.parent / "caller"], check=False).returncode


def in_memory(values: NDArray[Any]) -> list[int]:
    """Return the elements of samples as they lie: images by rows, columns, channels."""
    order = (0, 2, 3, 1) if values.ndim == 4 else tuple(range(values.ndim))
    flat: list[int] = values.transpose(order).reshape(-1).tolist()
    return flat


def test_they_are_the_inputs_and_outputs_as_they_lie() -> None:
    program = several_outputs()
    batch = inputs(program, 3, 5)
    text = c_model(program, vectors=batch).files["headers/input.h"].decode()
    expected = evaluate(program, batch)
    assert "enum { QL_NUM_VECTORS = 3 };" in text
    assert numbers(text, "ql_vectors_x") == in_memory(batch["x"])
    for name in program.outputs:
        assert numbers(text, f"ql_expected_{name}") == in_memory(expected[name])


def test_nothing_else_changes_but_the_models_own_test() -> None:
    program = several_outputs()
    without, files = c_model(program).files, c_model(program, vectors=inputs(program, 1, 0)).files
    assert c_model(program, vectors=inputs(program, 1, 0)).files == files
    assert set(files) - set(without) == {
        "headers/input.h", "runtime/is_same.c", "runtime/is_same.h",
    }  # fmt: skip
    changed = {name for name, data in without.items() if files[name] != data}
    assert changed == {"model.c", "model.h", "model.json"}


@needs_compiler
def test_the_models_own_test_finds_an_output_that_is_not_expected(tmp_path: Path) -> None:
    program = several_outputs()
    folder = tmp_path / "model"
    write_files(c_model(program, vectors=inputs(program, 2, 5)).files, folder)
    assert selftest(program, folder) == 0
    header = folder / "headers" / "input.h"
    text = header.read_text()
    (begin, *_) = (m.end() for m in re.finditer(rf"ql_expected_{program.outputs[0]}\S+ = ", text))
    last = text.index("}\n}", begin)
    place = text.rindex("\n", 0, last - 6)
    header.write_text(f"{text[:place]} 1 + {text[place:].lstrip()}")
    assert selftest(program, folder) == 2


def test_vectors_are_text_and_back() -> None:
    program = several_outputs()
    vectors = inputs(program, 3, 5)
    found = from_text(program, to_text(vectors))
    assert {name: v.dtype for name, v in found.items()} == {n: v.dtype for n, v in vectors.items()}
    assert all(np.array_equal(found[name], value) for name, value in vectors.items())
    assert is_text(to_text(vectors))
    assert not any(map(is_text, ("", "3", '{"x": 1}', '{"x": "%%"}', '{"y": ""}')))
    for text in ("", "3", '{"x": 1}', '{"x": "%%"}', '{"x": "AAAA"}', '{"y": ""}'):
        with pytest.raises(UsageError, match=r"^vectors: '.*' given, samples of x allowed"):
            from_text(program, text)


def test_vectors_that_the_program_does_not_take() -> None:
    program = several_outputs()
    batch = inputs(program, 2, 0)["x"]
    with pytest.raises(UsageError, match=r"^vectors: 0 samples given, at least 1 allowed$"):
        c_model(program, vectors={"x": batch[:0]})
    with pytest.raises(UsageError, match=r"^inputs: \['y'\] given, \['x'\] allowed"):
        c_model(program, vectors={"y": batch})
    with pytest.raises(UsageError, match=r"^input .x.: uint8"):
        c_model(program, vectors={"x": batch[:, 1:]})
