"""Memory that was freed is there for the next array, in a process of its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc's mallopt")

CODE = """
import resource, torch
from quantlab.memory.allocator import give_back_freed_memory, keep_freed_memory
from quantlab.memory.resident import status_bytes
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def paid():
    for _ in range(12): torch.ones(2**24)  # pieces a little too short are merged by and by
    before = faults()
    for _ in range(4): torch.ones(2**24)
    return faults() - before
given = paid()
assert keep_freed_memory()
kept = paid()
torch.ones(2**26)
before = status_bytes("VmRSS")
give_back_freed_memory()
print(given, kept, before - status_bytes("VmRSS"))
"""


@pytest.fixture(scope="module")
def measured() -> tuple[int, int, int]:
    """Pages paid for before and after keep_freed_memory, and bytes given back."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    given, kept, num_bytes = map(int, done.stdout.split())
    return given, kept, num_bytes


def test_freed_pages_leave_the_process(measured: tuple[int, int, int]) -> None:
    assert measured[2] > 200 * 2**20


def test_pages_are_paid_for_once(measured: tuple[int, int, int]) -> None:
    given, kept, _ = measured
    assert kept < 100 < given
