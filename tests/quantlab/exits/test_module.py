"""A network with exits: what it gives in training and in evaluation, and what it refuses."""

from typing import Any

import pytest
import torch
from torch import nn

from quantlab.errors import UsageError
from quantlab.exits.module import EarlyExit
from tests.quantlab.exits.networks import CLASSES, float_network, images


def test_training_gives_the_scores_of_all_exits() -> None:
    made = float_network().train()
    scores = made(images(5))
    assert [one.shape for one in scores] == [(5, CLASSES)] * 3
    first = made.segments[0](images(5))
    torch.testing.assert_close(scores[0], made.heads[0](first))
    torch.testing.assert_close(scores[1], made.heads[1](made.segments[1](first)))


@torch.no_grad()
def test_evaluation_takes_the_first_confident_exit_of_each_sample() -> None:
    made, x = float_network(), images(40)
    scores = made.train()(x)
    gaps = [one.topk(2).values.diff().neg()[:, 0] for one in scores]
    made.set_margins([gaps[0].median().item(), gaps[1].median().item()])
    given, exits = made.eval()(x)
    assert set(exits.tolist()) == {0, 1, 2}
    for sample in range(40):
        confident = [bool(gaps[exit][sample] >= made.margins[exit]) for exit in range(2)]
        expected = [*confident, True].index(True)
        assert exits[sample] == expected
        torch.testing.assert_close(given[sample], scores[expected][sample])


@torch.no_grad()
@pytest.mark.parametrize(("margin", "exit"), [(0.0, 0), (float("inf"), 2)])
def test_all_samples_may_leave_at_one_exit(margin: float, exit: int) -> None:
    given = float_network(margins=[margin, margin])(images(4))
    assert given.exits.tolist() == [exit] * 4
    assert given.scores.shape == (4, CLASSES)


def test_exits_with_other_classes_are_one_line() -> None:
    made = float_network()
    made.heads[0][-1] = nn.Linear(64, CLASSES + 1)
    with pytest.raises(UsageError, match=r"^exits: scores \[2, 4\], \[2, 3\], \[2, 3\] given, "):
        made(images(2))


def test_margins_are_part_of_the_state() -> None:
    state = float_network(margins=[1.0, 2.0]).state_dict()
    other = float_network(1)
    other.load_state_dict(state)
    assert other.margins.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads": []}, "heads: 0 given for 2 segments"),
        ({"heads": [nn.ReLU(), nn.ReLU()]}, "heads: 2 given for 2 segments"),
        ({"heads": [3]}, r"heads\[0\]: a int given"),
        ({"segments": 3}, "segments: a int given"),
        ({"margins": [-1.0]}, r"margins\[0\]: -1.0 given"),
        ({"margins": [float("nan")]}, r"margins\[0\]: nan given"),
        ({"margins": [1.0, 1.0]}, "margins: 2 given, 1 allowed"),
        ({"margins": 1.0}, "margins: a float given"),
    ],
)
def test_what_is_no_network_with_exits_is_refused(changes: dict[str, Any], said: str) -> None:
    given = {"segments": [nn.ReLU(), nn.ReLU()], "heads": [nn.ReLU()], **changes}
    with pytest.raises(UsageError, match=f"^{said}"):
        EarlyExit(**given)
