from threading import Thread

import torch

from quantlab.sparse.scratch import release, scratch


def test_memory_is_kept_for_the_same_name_type_and_thread() -> None:
    release()
    first = scratch("a", 10, torch.float32)
    assert len(first) == 10
    assert scratch("a", 4, torch.float32).data_ptr() == first.data_ptr()
    assert scratch("b", 10, torch.float32).data_ptr() != first.data_ptr()
    assert scratch("a", 10, torch.float64).dtype == torch.float64
    found = []
    other = Thread(target=lambda: found.append(scratch("a", 10, torch.float32)))
    other.start()
    other.join()
    assert found[0].data_ptr() != first.data_ptr()


def test_it_grows_and_is_given_back() -> None:
    scratch("a", 4, torch.float32)
    assert len(scratch("a", 400, torch.float32)) == 400
    release()
    assert len(scratch("a", 4, torch.float32)) == 4
