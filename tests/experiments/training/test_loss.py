"""Targets that a loss cannot take, or would broadcast, are told with the shapes."""

import re

import pytest
import torch
from torch import Tensor, nn

from experiments.training.loss import check_targets
from quantlab.errors import UsageError

INTEGERS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets"),
    [
        (nn.CrossEntropyLoss(), torch.zeros(2, 3), INTEGERS),
        (nn.CrossEntropyLoss(), torch.zeros(2, 3), torch.full((2, 3), 1 / 3)),
        (nn.CrossEntropyLoss(), torch.zeros(2, 3, 5), torch.zeros(2, 5, dtype=torch.int64)),
        (nn.NLLLoss(), torch.zeros(2, 3), INTEGERS),
        (nn.MSELoss(), torch.zeros(2, 1), torch.zeros(2, 1)),
        (nn.BCEWithLogitsLoss(), torch.zeros(2, 4), torch.zeros(2, 4)),
    ],
)
def test_what_torch_takes_passes(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    loss(outputs, targets)
    check_targets(loss, outputs, targets)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "message"),
    [
        (
            nn.CrossEntropyLoss(),
            torch.zeros(2, 3),
            torch.zeros(2),
            "CrossEntropyLoss: targets of torch.float32 [2] given for outputs [2, 3]; torch.int64 "
            "[2], or probabilities [2, 3] allowed",
        ),
        (
            nn.CrossEntropyLoss(),
            torch.zeros(2, 3),
            torch.zeros(2, 1, dtype=torch.int64),
            "CrossEntropyLoss: targets of torch.int64 [2, 1] given for outputs [2, 3]; torch.int64 "
            "[2], or probabilities [2, 3] allowed",
        ),
        (
            nn.NLLLoss(),
            torch.zeros(2, 3),
            torch.zeros(2, 3),
            "NLLLoss: targets of torch.float32 [2, 3] given for outputs [2, 3]; torch.int64 [2] "
            "allowed",
        ),
        (
            nn.MSELoss(),
            torch.zeros(2, 1),
            torch.zeros(2),
            "MSELoss: targets of torch.float32 [2] given for outputs [2, 1]; [2, 1] allowed",
        ),
        (
            nn.HuberLoss(),
            torch.zeros(2, 4),
            torch.zeros(2),
            "HuberLoss: targets of torch.float32 [2] given for outputs [2, 4]; [2, 4] allowed",
        ),
    ],
)
def test_what_it_does_not_is_told(
    loss: nn.Module, outputs: Tensor, targets: Tensor, message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        check_targets(loss, outputs, targets)


def test_a_loss_of_the_librarys_may_convert() -> None:
    class Halved(nn.MSELoss):
        pass

    check_targets(Halved(), torch.zeros(2, 1), torch.zeros(2))
