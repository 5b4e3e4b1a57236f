"""The wheel: built, installed alone into an empty environment, and used as README.md says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, read_page

PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program without this process's import path; return what it prints."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_readmes_example_runs_from_the_wheel(tmp_path: Path) -> None:
    """Built from the sources that an sdist has, without this checkout's build folder."""
    wheels, home = tmp_path / "wheels", tmp_path / "home"
    home.mkdir()
    build = ("wheel", "--no-deps", "--no-build-isolation", "-w", wheels)
    run(sys.executable, *PIP, *build, f"-Cbuild-dir={tmp_path / 'build'}", CHECKOUT, cwd=home)
    (wheel,) = wheels.iterdir()
    run(sys.executable, "-m", "venv", tmp_path / "empty", cwd=home)
    python = tmp_path / "empty" / "bin" / "python"
    constraints = ("-c", CHECKOUT / "constraints.txt")
    run(python, *PIP, "install", *constraints, "torch", cwd=home)
    run(python, *PIP, "install", *constraints, wheel, cwd=home)
    where = run(python, "-c", "import quantlab; print(quantlab.__file__)", cwd=home)
    assert Path(where).is_relative_to(tmp_path / "empty")
    blocks = [b for b in read_page(CHECKOUT / "README.md").blocks if b.language == "python"]
    assert blocks
    for block in blocks:
        run(python, "-c", block.text, cwd=home)
    names = "import quantlab; [getattr(quantlab, name) for name in quantlab.__all__]"
    run(python, "-c", names, cwd=home)
