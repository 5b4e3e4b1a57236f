"""Pages of large tensors: numbers are the tensor's own, and freed pages come back or leave."""

import gc
import mmap
import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from quantlab.memory import pages
from quantlab.memory.pages import IDLE_BYTES, LEAST_BYTES, _Idle, _idle, allocate
from quantlab.memory.resident import status_bytes

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs pages of Linux, and /proc")
HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HAS_HUGE = HUGE.exists() and "[never]" not in HUGE.read_text()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("count", [0, 1, LEAST_BYTES - 1, LEAST_BYTES + 3])
def test_numbers(count: int, dtype: torch.dtype) -> None:
    first, second = allocate(count, dtype), allocate(count, dtype)
    assert first.shape == (count,)
    assert first.dtype == dtype
    first.fill_(1)
    second.fill_(2)
    assert first.sum(dtype=torch.float64) == count


@LINUX
def test_pages_come_back_for_the_same_size() -> None:
    count = 5 * LEAST_BYTES + 64
    first = allocate(count, torch.uint8)
    place = first.data_ptr()
    part = first[:10]
    del first
    assert allocate(count, torch.uint8).data_ptr() != place  # a view still has them
    del part
    again = allocate(count, torch.uint8)
    assert again.data_ptr() == place
    assert allocate(count + 1, torch.uint8).data_ptr() != place


@LINUX
def test_more_than_is_kept_leaves_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_idle", _Idle())  # those that other tests left count before
    before = status_bytes("VmRSS")
    for _ in range(2):
        tensors = [allocate(IDLE_BYTES, torch.uint8).fill_(1) for _ in range(8)]
        assert status_bytes("VmRSS") - before > 7 * IDLE_BYTES
        del tensors
        gc.collect()
        assert status_bytes("VmRSS") - before < 2 * IDLE_BYTES


@pytest.mark.skipif(not HAS_HUGE, reason="needs transparent huge pages of Linux")
def test_huge_pages_have_few_faults() -> None:
    tensor = allocate(IDLE_BYTES + 2**22, torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensor.fill_(1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2000


def test_tensors_end_in_any_thread() -> None:
    def work(number: int) -> bool:
        for _ in range(50):
            tensor = allocate(LEAST_BYTES + number % 3, torch.uint8).fill_(number)
            if not (tensor == number).all():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


@LINUX
def test_tensors_end_while_others_are_made() -> None:
    class Interrupted(mmap.mmap):
        def __len__(self) -> int:
            if not is_done:
                is_done.append(True)
                idle.keep(mmap.mmap(-1, IDLE_BYTES))  # all others go
            return super().__len__()

    is_done = [True]
    idle = _Idle()
    for size in (2 * LEAST_BYTES, LEAST_BYTES, LEAST_BYTES):
        idle.keep(Interrupted(-1, size))
    is_done.clear()
    assert len(idle.take(2 * LEAST_BYTES)) == 2 * LEAST_BYTES
    assert len(idle.take(IDLE_BYTES)) == IDLE_BYTES
    is_done.clear()
    idle.keep(Interrupted(-1, LEAST_BYTES))
    assert len(idle.take(LEAST_BYTES)) == LEAST_BYTES


@LINUX
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_pages_whoever_had_the_lock() -> None:
    is_held, is_over = Event(), Event()

    def hold() -> None:
        with _idle._lock:
            is_held.set()
            is_over.wait(60)

    holder = Thread(target=hold)
    holder.start()
    is_held.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that waits
        try:
            _idle.take(LEAST_BYTES)
            os._exit(0)
        finally:
            os._exit(1)
    is_over.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
