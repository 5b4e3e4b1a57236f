"""Random networks as C under all compilers, levels and sanitizers, and on boards: exact memory of
any content, the ends of all ranges, and a random encoding of each layer."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.c.artefact import FOLDER, on_board
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.integer.interpreter import run
from quantlab.integer.operations import Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy import test_c, test_c_sparse
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.c_caller import (
    COMPILERS,
    FILLS,
    MEMORY_SANITIZER,
    SANITIZERS,
    Called,
    CalledModel,
)
from tests.quantlab.deploy.proof_programs import DENSITIES, any_model, ends, largest, network

PROGRAMS: Mapping[str, Callable[[int], Program]] = {
    "largest weights": largest,
    "network": network,
    "layer": test_c.layer,
    "sparse layer": lambda seed: test_c_sparse.layer(
        seed, DENSITIES[seed % 5], test_c_sparse.SPARSE[seed % 4]
    ),
}
SMALL = (0, 1, 2, 3, 4, 5, 21, 22, 23, 28)


def check_here(
    kind: str, seed: int, command: list[str], folder: Path, *, is_filled: bool = True
) -> None:
    program = PROGRAMS[kind](seed)
    model, encodings = any_model(program, seed)
    samples = ends(program, seed)
    expected = run(program, samples)
    caller = CalledModel(program, model.files, folder, command, is_filled=is_filled)
    for number, called in enumerate(caller.run(samples)):
        for name, found in called.outputs.items():
            assert (found == expected[name][number]).all(), f"{name}, {encodings}\n{program}"
        # Where a processor has no instruction for two places at a time, one of two windows is free.
        if is_filled and b" ql_paired_" not in model.files["model.c"]:
            assert unused(called) == [], f"{encodings}\n{program}"


def unused(called: Called) -> list[int]:
    """Return the words of the arena that no run wrote."""
    words = [arena[: len(arena) // 4 * 4].view(np.uint32) for arena in called.arenas]
    kept = [one == fill * 0x01010101 for one, fill in zip(words, FILLS, strict=True)]
    return np.flatnonzero(kept[0] & kept[1]).tolist()


@pytest.mark.parametrize("command", [COMPILERS["gcc -O0"]])
@pytest.mark.parametrize("seed", [22])
def test_a_random_network(seed: int, command: list[str], tmp_path: Path) -> None:
    check_here("network", seed, command, tmp_path)


@pytest.mark.parametrize("command", [COMPILERS["gcc -O0"]])
@pytest.mark.parametrize("name", ["x*/ int y; /*", "y" * 300, "/*\n\\"])
def test_names_of_any_text(name: str, command: list[str], tmp_path: Path) -> None:
    layer = Linear(
        inputs=(name,), output="sums", layer=name, weight=np.ones((2, 3), np.int8), weight_bits=8,
        bias=np.zeros(2, np.int32),
    )  # fmt: skip
    types = {name: TensorType((3,), U8)}
    program = Program(inputs=types, operations=(layer,), outputs=("sums",))
    caller = CalledModel(program, c_model(program).files, tmp_path, command)
    (called,) = caller.run({name: np.array([[1, 2, 3]], np.uint8)})
    assert called.outputs["sums"].tolist() == [6, 6]


@pytest.mark.long
@pytest.mark.parametrize("command", [*COMPILERS.values(), *SANITIZERS.values()])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", PROGRAMS)
def test_compilers_and_sanitizers(kind: str, seed: int, command: list[str], tmp_path: Path) -> None:
    check_here(kind, 100 + seed, command, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("command", [MEMORY_SANITIZER])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", PROGRAMS)
def test_nothing_is_read_before_it_is_written(
    kind: str, seed: int, command: list[str], tmp_path: Path
) -> None:
    check_here(kind, 200 + seed, command, tmp_path, is_filled=False)


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in BOARDS])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", PROGRAMS)
def test_boards(kind: str, seed: int, name: str, tmp_path: Path) -> None:
    seed = SMALL[seed] if name in ("c-m0", "c-msp430") else 300 + seed
    program = PROGRAMS["network" if name in ("c-m0", "c-msp430") else kind](seed)
    model, encodings = any_model(program, seed)
    write_files(model.files, tmp_path / FOLDER)
    running = on_board(BOARDS[name], {"network": program}, tmp_path)
    (found,) = compare(program, {name: running}, [ends(program, seed)])
    assert found.num_mismatches == 0, f"{found.first}, {encodings}\n{program}"
