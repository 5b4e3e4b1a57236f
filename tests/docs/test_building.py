"""docs/migration.md: the commands that build QSparseProp's kernels and wheel are run."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, read_page, spans
from tests.lab import BIN

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
BUILDING = [spans(row[1])[0] for row in PAGE.section("Building QSparseProp").rows]
needs_compiler = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cmake", "ninja", "g++")),
    reason="needs cmake, ninja and g++",
)


def build(command: str, folder: Path) -> str:
    """Run a command of the page in this checkout, on folders elsewhere; return what it prints."""
    for written in ("build/debug", "build/release", "dist"):
        command = command.replace(f" {written}", f" {folder / written}")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_command_of_building_is_left_out() -> None:
    programs = [command.split()[0] for command in BUILDING]
    assert programs == ["cmake", "ctest", "cmake", "python", "python"]


@needs_compiler
def test_the_debug_build_is_configured(tmp_path: Path) -> None:
    """Fast arithmetic is taken back in each file, and in what links them."""
    build(BUILDING[0], tmp_path)
    folder = tmp_path / "build" / "debug"
    files = json.loads((folder / "compile_commands.json").read_text())
    assert len(files) > 50
    for file in files:
        flags = file["command"].split()
        assert flags.index("-fno-fast-math") > flags.index("-ffast-math")
        assert flags.index("-ffp-contract=off") > flags.index("-fno-fast-math")
        assert "-DQUANTLAB_STOCHASTIC_ROUNDING_DISABLED=1" in flags
    (linked,) = re.findall(r"LINK_FLAGS = (.*)", (folder / "build.ninja").read_text())
    assert "-fno-fast-math" in linked
    assert "tests.with_module" in (folder / "CTestTestfile.cmake").read_text()


@needs_compiler
@pytest.mark.long
def test_the_debug_build_passes_its_tests(tmp_path: Path) -> None:
    build(BUILDING[0], tmp_path)
    build("cmake --build build/debug", tmp_path)
    assert "100% tests passed" in build(BUILDING[1], tmp_path)


@needs_compiler
@pytest.mark.long
def test_a_wheel_is_built_and_installed(tmp_path: Path) -> None:
    """With an option of CMake, and quickly: without optimization."""
    build(BUILDING[2], tmp_path)
    options = (
        f"-Cbuild-dir={tmp_path / 'wheel'} -Ccmake.build-type=Debug "
        "-Ccmake.define.STOCHASTIC_ROUNDING_DISABLED=1"
    )
    build(f"{BUILDING[3]} {options}", tmp_path)
    home = tmp_path / "home"
    build(f"{BUILDING[4]} --no-deps --target {home}", tmp_path)
    (module,) = (home / "quantlab").glob("_backend*.so")
    code = (  # torch first, whose OpenMP runtime serves the module
        f"import torch; from importlib import util; "
        f"spec = util.spec_from_file_location('quantlab._backend', '{module}'); "
        "made = util.module_from_spec(spec); spec.loader.exec_module(made); "
        "print(made.HAS_STOCHASTIC_ROUNDING)"
    )
    assert build(f'python -c "{code}"', tmp_path).strip() == "False"
