"""Whether the processes of a run have one teacher."""

import pytest
from torch import nn

from experiments.experiment.distillation import check_shared
from experiments.processes.communicator import Communicator
from experiments.training.distillation.teacher import Teacher
from problems.MNIST.LeNet import preprocess
from quantlab.errors import UsageError
from tests.rank_threads import on_ranks


def teacher(digest: str) -> Teacher:
    return Teacher(
        network=nn.Identity(), origin="weights.pt", weights_sha256=digest, preprocess=preprocess
    )


def test_processes_with_one_teacher_go_on() -> None:
    on_ranks(2, lambda rank: check_shared(teacher("aa"), rank))
    on_ranks(2, lambda rank: check_shared(None, rank))


def test_all_processes_refuse_two_teachers() -> None:
    def check(rank: Communicator) -> tuple[str, bool]:
        with pytest.raises(UsageError) as caught:
            check_shared(teacher("aa" if rank.is_root else "bb"), rank)
        return str(caught.value), caught.value.is_told

    (said, is_told), other = on_ranks(2, check)
    assert ": weights.pt has the weights bb, but aa on " in said
    assert not is_told
    assert other == (said, True)
