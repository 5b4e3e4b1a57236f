"""Memory that was freed is there for the next array, in a process of its own."""

import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from quantlab.memory.allocator import keep_freed_memory
if {keeps}: assert keep_freed_memory()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12): torch.ones(2**24)  # pieces that are a little too short are merged by and by
before = faults()
for _ in range(4): torch.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and malloc_trim of glibc")
def test_freed_pages_leave_the_process() -> None:
    code = """
import torch
from quantlab.memory.allocator import give_back_freed_memory, keep_freed_memory
from quantlab.memory.resident import status_bytes
keep_freed_memory()
torch.ones(2**26)
before = status_bytes("VmRSS")
give_back_freed_memory()
print(before - status_bytes("VmRSS"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 200 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="needs mallopt of glibc")
def test_pages_are_paid_for_once() -> None:
    given, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", COUNT.format(keeps=keeps)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for keeps in (False, True)
    )
    assert kept < 100 < given
