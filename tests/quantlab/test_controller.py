import pytest
import torch

from quantlab.controller import Alone, Context, Controller, Hook, listening
from quantlab.errors import UsageError


class Counter(Controller):
    def __init__(self) -> None:
        self.num_epochs = 0

    def on_epoch_start(self, context: Context) -> None:
        self.num_epochs += 1

    def describe(self, epoch: int) -> str:
        return f"counter: epoch {epoch}"


@pytest.fixture
def context() -> Context:
    return Context(
        epoch=0, step=0, optimizer=None, communicator=Alone(), generator=torch.Generator()
    )


def test_only_overridden_hooks_are_listened_to() -> None:
    counter = Counter()
    hooks: list[Hook] = ["on_epoch_start", "on_step_start", "on_step_end", "on_validate"]
    assert [listening([counter], hook) for hook in hooks] == [[counter], [], [], []]


def test_default_hooks_do_nothing(context: Context) -> None:
    counter = Counter()
    counter.on_step_start(context)
    counter.on_step_end(context)
    counter.on_validate(context)
    assert counter.num_epochs == 0


def test_default_state_is_empty_and_takes_nothing_else() -> None:
    counter = Counter()
    assert counter.state_dict() == {}
    counter.load_state_dict({})
    with pytest.raises(UsageError, match=r"state of Counter: entries \['a'\] given, none allowed"):
        counter.load_state_dict({"a": 1})


def test_alone_reduces_to_itself() -> None:
    x = torch.tensor([1.0, 2.0])
    alone = Alone()
    assert torch.equal(alone.all_reduce(x, "max"), x)
    assert (alone.size, alone.rank) == (1, 0)
