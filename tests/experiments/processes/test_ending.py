"""A process that ends although something keeps it."""

import subprocess
import sys

import pytest

from tests.lab import CHECKOUT

PROGRAM = """
import sys, time
from experiments.processes.ending import end_within
end_within(float(sys.argv[1]), 7)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(("limit", "needed", "code"), [("0.05", "60", 7), ("60", "0", 0)])
def test_a_process_ends_by_itself_or_is_ended(limit: str, needed: str, code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, limit, needed]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, timeout=30)
    assert done.returncode == code
