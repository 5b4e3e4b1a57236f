"""The copy of the checkout is what the scripts would make of it."""

import subprocess
from pathlib import Path

from tests.lab import make_lab


def test_the_problem_of_a_lab_is_complete(tmp_path: Path) -> None:
    script = make_lab(tmp_path / "lab").home / "cfg" / "problem.sh"
    done = subprocess.run(["bash", script, "Toy"], capture_output=True, text=True, check=True)
    assert done.stdout == "nothing to do: problems/Toy is complete\n"
