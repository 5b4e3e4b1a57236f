"""`model.h` and the constants' headers: a name is of one thing alone, and none is of nothing."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.conversion.floats import float_model
from quantlab.deploy.c.model import Model, c_model
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from quantlab.integer.operations import Linear, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType


def program(name: str, *outputs: str) -> Program:
    """Return layers that read one input."""
    weight, bias = np.ones((2, 4), np.int8), np.zeros(2, np.int32)
    layers = tuple(
        Linear(inputs=(name,), output=output, weight=weight, weight_bits=8, bias=bias)
        for output in outputs
    )
    return Program(inputs={name: TensorType((4,), U8)}, operations=layers, outputs=outputs)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("x", "arena"), "output 'arena': QL_ARENA_SIZE in C, as the arena"),
        (("arena", "y"), "input 'arena': QL_ARENA_SIZE in C, as the arena"),
        (("x", "wrong"), "output 'wrong': QL_WRONG_SIZE in C, as an error code"),
        (("x", "scores", "Scores"), "output 'Scores': QL_SCORES_SIZE in C, as 'scores'"),
        (("x", "X"), "output 'X': QL_X_SIZE in C, as 'x'"),
        (("x", "a-b", "a_b"), "output 'a_b': QL_A_B_SIZE in C, as 'a-b'"),
        (("x", "box", "box_size"), "output 'box_size': output_box_size in C, as 'box'"),
    ],
)
def test_two_things_of_one_name_are_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}; another name needed$"):
        c_model(program(*names))


def test_other_names_are_taken() -> None:
    header = c_model(program("x", "y", "y_1", "size")).files["model.h"].decode()
    for name in ("QL_X_SIZE 4", "QL_Y_SIZE 8", "QL_Y_1_SIZE 8", "QL_SIZE_SIZE 8"):
        assert f"#define {name}\n" in header


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 8, 6), "f32[8][6][3]: rows, columns, channels."),
        ((3, 8), "f32[3][8]: axes as of the network."),
        ((5,), "f32[5]."),
    ],
)
def test_the_order_of_axes_is_told(shape: tuple[int, ...], said: str) -> None:
    model = float_model(nn.Sequential(nn.Flatten(), nn.Softmax(1)), torch.zeros(1, *shape))
    assert f"/* input, {said} */" in model.files["model.h"].decode()


@pytest.mark.skipif(not (which("cc") and which("c++")), reason="no compilers: cc, c++")
def test_a_program_in_cpp_calls_a_model(tmp_path: Path) -> None:
    write_files(flat().files, tmp_path)
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\n\nstatic uint32_t arena[QL_ARENA_SIZE / 4 + 1];\n'
        "static uint8_t x[QL_X_SIZE], z[QL_Z_SIZE];\n\n"
        "int main() { return ql_selftest(arena, x, z); }\n"
    )
    sources = ["model.c", *(str(path) for path in tmp_path.glob("runtime/*.c"))]
    for command in (
        ["cc", "-std=c99", "-c", *sources],
        ["c++", "-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "main.cpp"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    objects = [path.name for path in tmp_path.glob("*.o")]
    subprocess.run(["c++", *objects, "-o", "main"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "main"], check=True)


def flat() -> Model:
    """A model with an operation that only moves numbers."""
    layer = program("x", "y")
    flattened = Reshape(inputs=("y",), output="z", shape=(2, 1))
    return c_model(
        Program(inputs=layer.inputs, operations=(*layer.operations, flattened), outputs=("z",))
    )


def test_calls_stand_below_the_names_of_their_layers() -> None:
    layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    source = float_model(layers, torch.zeros(1, 4)).files["model.c"].decode()
    assert re.findall(r"/\* layer (\w+) \*/\n +ql_float_run_layer", source) == ["0", "2"]
    named = replace(program("x", "y").operations[0], layer="a*/b")
    program_ = Program(inputs=program("x", "y").inputs, operations=(named,), outputs=("y",))
    assert "    /* layer a_b */\n" in c_model(program_).files["model.c"].decode()


def summed() -> Model:
    """A model of floats with an operation whose sizes are arguments."""
    return float_model(nn.Sequential(nn.Linear(4, 2), nn.Softmax(1)), torch.zeros(1, 4))


@pytest.mark.parametrize("make", [flat, summed])
def test_headers_have_constants_and_the_manifest_names_no_others(make: Callable[[], Model]) -> None:
    files = make().files
    headers = {path: text for path, text in files.items() if path.startswith("headers/")}
    assert len(headers) == 1
    assert all(b"static const" in text for text in headers.values())
    assert set(json.loads(files["model.json"])["constant_bytes"]) == set(headers)
