"""One piece of work at a time, its errors, and copies that nobody changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import nn

from experiments.runs.background import Background, frozen, to_cpu
from quantlab.errors import UsageError

_PATIENCE_SECONDS = 120.0


def failing(message: str) -> Callable[[], None]:
    def fail() -> None:
        raise UsageError(message)

    return fail


def test_a_piece_runs_beside_the_caller() -> None:
    background, is_released = Background(), threading.Event()
    found: list[bool] = []
    background.start(lambda: found.append(is_released.wait(_PATIENCE_SECONDS)))
    is_released.set()  # the caller gets here while the piece waits
    background.wait()
    assert found == [True]


def test_pieces_never_overlap() -> None:
    background, has_second_begun = Background(), threading.Event()
    has_overlapped: list[bool] = []
    # If the second can begin before the first ends, it does so within this moment.
    background.start(lambda: has_overlapped.append(has_second_begun.wait(0.2)))
    background.start(has_second_begun.set)
    background.wait()
    assert has_overlapped == [False]
    assert has_second_begun.is_set()


def test_start_waits_for_the_piece_before() -> None:
    background = Background()
    done: list[int] = []
    for number in range(100):
        background.start(lambda number=number: done.append(number))  # type: ignore[misc]
        assert done[:number] == list(range(number))
    background.wait()
    assert done == list(range(100))


def test_the_error_of_a_piece_is_raised_by_the_wait_and_only_once() -> None:
    background = Background()
    background.start(failing("disk full"))
    with pytest.raises(UsageError, match=r"\Adisk full\Z"):
        background.wait()
    background.wait()


def test_the_error_of_a_piece_is_raised_by_the_next_start_which_starts_nothing() -> None:
    background = Background()
    done: list[str] = []
    background.start(failing("disk full"))
    with pytest.raises(UsageError, match=r"\Adisk full\Z"):
        background.start(lambda: done.append("refused"))
    background.start(lambda: done.append("after"))
    background.wait()
    assert done == ["after"]


def test_there_may_be_nothing_to_wait_for() -> None:
    background = Background()
    background.wait()
    background.wait()


def test_frozen_copies_do_not_change_with_training() -> None:
    layer = nn.Linear(2, 2)
    numbers = torch.tensor([1, 2])
    value = {
        "network": layer.state_dict(),
        "weight": layer.weight,
        "nested": [(numbers, {3: numbers}), "text", None],
        "step": 7,
    }
    weight = layer.weight.detach().numpy().copy()
    copy = frozen(value)
    with torch.no_grad():
        layer.weight += 1.0
        numbers += 10
    value["nested"].clear()  # type: ignore[attr-defined]
    assert (copy["network"]["weight"].numpy() == weight).all()
    assert (copy["weight"].numpy() == weight).all()
    assert not copy["weight"].requires_grad
    ((in_tuple, in_dict), text, nothing) = copy["nested"]
    assert in_tuple.tolist() == in_dict[3].tolist() == [1, 2]
    assert (text, nothing, copy["step"]) == ("text", None, 7)


def test_changing_a_frozen_copy_does_not_change_training() -> None:
    numbers = torch.zeros(2)
    frozen([numbers])[0].fill_(5.0)
    assert numbers.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("copied", [frozen, to_cpu])
def test_data_keeps_its_form(copied: Callable[[object], object]) -> None:
    last = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    value = {"a": [], "b": (), "c": OrderedDict(d=(1, [2.5, "x"])), "last": last}
    found = copied(value)
    assert isinstance(found, dict)
    tensor = found.pop("last")
    assert torch.equal(tensor, last)
    assert (tensor.dtype, tensor.stride()) == (last.dtype, last.stride())
    assert found == {"a": [], "b": (), "c": {"d": (1, [2.5, "x"])}}
    assert copied(3) == 3


@pytest.mark.parametrize("copied", [frozen, to_cpu])
def test_what_torch_notes_about_a_state_stays(copied: Callable[[object], object]) -> None:
    state = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    found = copied({"network": state})
    assert found["network"]._metadata == state._metadata  # type: ignore[index, attr-defined]
    assert found["network"].keys() == state.keys()  # type: ignore[index]


def test_on_the_cpu_tensors_are_without_gradients() -> None:
    parameter = nn.Parameter(torch.ones(2))
    (found,) = to_cpu([parameter * 2])
    assert (found.device.type, found.requires_grad, found.tolist()) == ("cpu", False, [2.0, 2.0])
