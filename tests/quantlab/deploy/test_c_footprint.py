"""What the objects of a model take, row by row: the sums are what `size` says of the same ones."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from quantlab.deploy.c.boards.program import command_of
from quantlab.deploy.c.boards.table import BOARDS, PACKAGES
from quantlab.deploy.c.compiler import model_objects
from quantlab.deploy.c.footprint import Compiler, flash_bytes, footprint
from quantlab.deploy.c.model import Model, c_model
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from tests.quantlab.deploy.networks import network_program
from tests.quantlab.integer.networks import pixels

QUICK = ("gcc", "c-m3")


def compilers() -> Iterator[Any]:
    """Yield the compilers of this machine and of all boards."""
    for command in (["gcc"], ["gcc", "-Os"], ["clang"]):
        yield _parameter(" ".join(command), command, command[0], command[0])
    for name, board in BOARDS.items():
        yield _parameter(name, board, board.compiler, PACKAGES[board.compiler])


def _parameter(name: str, compiler: Compiler, program: str, packages: str) -> Any:
    missing = [one for one in (program, "size") if which(one) is None]
    reason = f"needs {', '.join(missing)}: apt-get install {packages} binutils"
    marks = [pytest.mark.skipif(bool(missing), reason=reason)]
    if name not in QUICK:
        marks.append(pytest.mark.long)
    return pytest.param(compiler, marks=marks, id=name)


def model() -> Model:
    program = network_program("residual")
    return c_model(program, "smallest", vectors={"input": pixels(2).numpy()})


def sizes(objects: Sequence[Path]) -> tuple[int, int]:
    """Return what GNU `size` says: text and data, and bss."""
    done = subprocess.run(["size", *map(str, objects)], capture_output=True, text=True, check=True)
    rows = [[int(word) for word in line.split()[:3]] for line in done.stdout.splitlines()[1:]]
    return sum(text + data for text, data, _ in rows), sum(zeros for _, _, zeros in rows)


@pytest.mark.parametrize("compiler", list(compilers()))
def test_rows_add_up_to_the_size_of_the_objects(compiler: Any, tmp_path: Path) -> None:
    made = model()
    folder = tmp_path / "model"
    write_files(made.files, folder)
    command = compiler if isinstance(compiler, list) else command_of(compiler)
    expected = sizes(model_objects(folder, tmp_path, command))
    found = footprint(made.files, compiler)
    assert (found.total, found.zeros) == expected
    assert sum(row.total for row in found.rows) == found.total
    assert footprint(folder, compiler) == found
    assert flash_bytes(made.files, compiler) == flash_bytes(folder, compiler) == found.total
    assert str(found).splitlines()[-1].split()[-1] == f"{found.total:,}"


@pytest.mark.skipif(which("gcc") is None, reason="no C compiler: gcc")
def test_each_layer_has_its_constants_and_each_function_its_code() -> None:
    made = model()
    rows = {row.name: row for row in footprint(made.files, ["gcc"]).rows}
    layers = {name: size for name, size in made.sizes.constants.items() if size}
    assert len(layers) > 2
    assert {name: rows[name].constants for name in layers} == layers
    assert all(rows[name].structures and not rows[name].code for name in layers)
    assert rows["input"].constants >= 2 * made.sizes.inputs
    runtime = {name for name in made.files if name.startswith("runtime/") and name.endswith(".c")}
    assert {name for name in rows if name.startswith("runtime/")} == runtime
    assert rows["ql_selftest"].code
    assert all(rows[name].code and not rows[name].structures for name in runtime)


@pytest.mark.skipif(which("gcc") is None, reason="no C compiler: gcc")
def test_what_has_two_names_counts_once_and_zeros_are_apart(tmp_path: Path) -> None:
    text = """
        const int first[5] = {1};
        extern const int second[5] __attribute__((alias("first")));
        int zeros[7];
    """
    (tmp_path / "model.c").write_text(text)
    found = footprint(tmp_path, ["gcc", "-Wno-pedantic", "-fno-common"])
    assert (found.total - 20, found.zeros) == (_empty(tmp_path / "empty"), 28)


def _empty(folder: Path) -> int:
    folder.mkdir()
    (folder / "model.c").write_text("extern int nothing;\n")
    return footprint(folder, ["gcc", "-Wno-pedantic"]).total


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.c: not there; export the model as C"):
        footprint(tmp_path)
    with pytest.raises(UsageError, match="model: a int given, files of a model or their folder"):
        footprint(3)
    with pytest.raises(UsageError, match="compiler: a str given, a Board or a list of words"):
        flash_bytes(model().files, "gcc")
    with pytest.raises(UsageError, match=r"compiler: \[\] given, a Board or a list of words"):
        flash_bytes(model().files, [])
    with pytest.raises(UsageError, match="compiler: no program 'gcd'; apt-get install gcd"):
        flash_bytes(model().files, ["gcd"])


@pytest.mark.skipif(which("gcc") is None, reason="no C compiler: gcc")
def test_objects_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.c").write_text("extern int nothing;\n")
    with pytest.raises(UsageError, match=r"model\.o: no ELF object; use a compiler that writes"):
        footprint(tmp_path, ["gcc", "-E"])
