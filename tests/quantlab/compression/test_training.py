"""The steps of training."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression import Recipe
from quantlab.compression.importance import Importance
from quantlab.compression.layers import kept_of, prunable_layers
from quantlab.compression.samples import Batches
from quantlab.compression.training import (
    Objective,
    Steps,
    new_optimizer,
    num_classes_of,
    train_epoch,
)
from quantlab.errors import UsageError
from tests.waiting import OnDevice


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_optimizers_import_no_compiler(name: str) -> None:
    """The methods that torch guards import torch._dynamo, at the first call of each."""
    recipe = Recipe(optimizer=name, learning_rate=0.5, momentum=0.25, weight_decay=0.125)
    optimizer = new_optimizer(nn.Linear(2, 2), recipe)
    assert isinstance(optimizer, {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name])
    assert hasattr(torch.optim.Optimizer.zero_grad, "__wrapped__")  # guarded
    assert not hasattr(type(optimizer).zero_grad, "__wrapped__")
    assert optimizer.defaults["lr"] == 0.5
    assert optimizer.defaults["weight_decay"] == 0.125


def objective(criterion: Any) -> Objective:
    return Objective(criterion=criterion, teacher=nn.Linear(4, 3), distill=0.5, temperature=1.0)


def epoch(network: nn.Module, samples: int, criterion: Any) -> float:
    """Train on batches of four and the rest."""
    inputs, classes = torch.rand(samples, 4), torch.arange(samples) % 3
    steps = Steps(
        objective=objective(criterion),
        optimizer=new_optimizer(network, Recipe()),
        rate=lambda part: 1e-3,
        masks=dict,
    )
    batches = list(zip(inputs.split(4), classes.split(4), strict=True))
    return train_epoch(network, batches, len(batches), 3, steps)


def test_a_last_batch_that_batch_norms_cannot_train_on() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    assert epoch(network, 6, nn.functional.cross_entropy) > 0
    with pytest.raises(UsageError, match=r"data.train: float32\[1, 4\] given, which .* not take"):
        epoch(network, 5, nn.functional.cross_entropy)


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        (nn.CrossEntropyLoss(reduction="none"), r"a tensor \[4\] returned, the mean loss"),
        (lambda outputs, classes: None, "a NoneType returned, the mean loss"),
        (lambda outputs, classes: 1.0, "a float returned, the mean loss"),
        (lambda outputs, classes: outputs.detach().mean(), "does not depend on the outputs"),
        (nn.BCEWithLogitsLoss(), "it refused outputs and classes: Target size"),
    ],
)
def test_a_criterion_that_returns_no_loss(criterion: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"criterion: .*{said}") as error:
        epoch(nn.Linear(4, 3), 4, criterion)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_epoch_does_not_wait_for_a_gpu(optimizer: str) -> None:
    batches = [(torch.rand(4, 4), torch.arange(4) % 3) for _ in range(3)]
    taught = objective(nn.functional.cross_entropy)

    def trained(given: Batches) -> tuple[float, list[Tensor]]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        importance, masks = Importance(prunable_layers(network)), kept_of(network)
        steps = Steps(
            objective=taught,
            optimizer=new_optimizer(network, Recipe(optimizer=optimizer)),
            rate=lambda part: 1e-2,
            masks=lambda: masks,
            after_backward=lambda: importance.observe(masks),
        )
        loss = train_epoch(network, given, len(batches), 3, steps)
        return loss, [*network.state_dict().values(), *importance.fisher().values()]

    loss, tensors = trained(batches)
    same_loss, same = trained(OnDevice(batches))
    assert loss == same_loss
    assert all(torch.equal(one, other) for one, other in zip(tensors, same, strict=True))


def test_samples_are_brought_to_the_device_of_the_network() -> None:
    network = nn.Linear(4, 3, device="meta")  # which refuses other devices' tensors, as a GPU does
    assert num_classes_of(network, torch.zeros(1, 4)) == 3
