"""The loss of all exits together."""

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from quantlab.errors import UsageError
from quantlab.exits.loss import joint_loss


def test_it_is_the_weighted_sum_and_all_exits_get_gradients() -> None:
    scores = tuple(torch.randn(4, 3, requires_grad=True) for _ in range(3))
    targets = torch.tensor([0, 1, 2, 0])
    each = [cross_entropy(one, targets) for one in scores]
    torch.testing.assert_close(joint_loss(scores, targets), each[0] + each[1] + each[2])
    loss = joint_loss(scores, targets, weights=[0.5, 0, 2])
    torch.testing.assert_close(loss, 0.5 * each[0] + 2 * each[2])
    loss.backward()
    assert scores[0].grad is not None
    assert scores[0].grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1], "weights: 1 given, 2 allowed"),
        ([1, -1], r"weights\[1\]: -1 given"),
        ([1, None], r"weights\[1\]: a NoneType given"),
        (1, "weights: a int given"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, said: str) -> None:
    scores = [torch.zeros(1, 2), torch.zeros(1, 2)]
    with pytest.raises(UsageError, match=f"^{said}"):
        joint_loss(scores, torch.tensor([0]), weights=weights)
