"""The steps of training: the loss, the rate, one epoch."""

import math
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.algorithms.eager_optimizer import eager
from quantlab.algorithms.parameter_groups import parameter_groups
from quantlab.compression.batch_checks import BatchChecks
from quantlab.compression.layers import keep
from quantlab.compression.recipe import Recipe
from quantlab.compression.samples import Batches, batches_on
from quantlab.conversion.accuracy import scores_of
from quantlab.conversion.samples import codes_of
from quantlab.errors import DivergedError, UsageError
from quantlab.graphs.inputs import device_of, taking
from quantlab.graphs.shapes import evaluating
from quantlab.integer.fast import FastEngine
from quantlab.integer.lower import InputSpec
from quantlab.integer.program import Program

_BATCH = 256
Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss: (1 - distill) criterion(outputs, classes) + distill T^2 KL(teacher || network)."""

    criterion: Criterion
    teacher: nn.Module
    distill: float
    temperature: float

    def __call__(self, outputs: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        loss = self._loss(outputs, targets)
        if self.distill == 0.0 or outputs.ndim != 2:
            return loss
        with torch.no_grad():
            wanted = scores_of(self.teacher(inputs)) / self.temperature
        given = nn.functional.log_softmax(outputs / self.temperature, 1)
        distance = nn.functional.kl_div(
            given, nn.functional.log_softmax(wanted, 1), log_target=True, reduction="batchmean"
        )
        return (1 - self.distill) * loss + self.distill * self.temperature**2 * distance

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            loss: object = self.criterion(outputs, targets)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"criterion: it refused outputs and classes: {reason}") from error
        allowed = "the mean loss of a batch, a tensor of one number, allowed"
        if not isinstance(loss, Tensor):
            raise UsageError(f"criterion: a {type(loss).__name__} returned, {allowed}")
        if loss.numel() != 1:
            raise UsageError(f"criterion: a tensor {list(loss.shape)} returned, {allowed}")
        if not loss.requires_grad:
            raise UsageError(
                "criterion: a tensor that does not depend on the outputs returned, one with a "
                "gradient allowed"
            )
        return loss.reshape(())


def new_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of a stage."""
    groups = parameter_groups(network)
    if recipe.optimizer == "adam":
        adam = eager(torch.optim.Adam)
        return adam(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)
    return eager(torch.optim.SGD)(
        groups,
        recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )


def rate_at(recipe: Recipe, progress: float) -> float:
    """Return the learning rate. progress: the part of all steps that is done."""
    warm = min(progress / recipe.warmup, 1.0) if recipe.warmup else 1.0
    return recipe.learning_rate * warm * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What happens in each step of an epoch. rate: by the part of the epoch that is done. masks:
    of the weights that are kept, at this moment. after_backward, after_step: given the part."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    rate: Callable[[float], float]
    masks: Callable[[], Mapping[str, Tensor]]
    after_backward: Callable[[], None] = lambda: None
    after_step: Callable[[float], None] = lambda part: None


def train_epoch(
    network: nn.Module, batches: Batches, num_batches: int, num_classes: int, steps: Steps
) -> float:
    """Train for one epoch; return the mean loss of its batches.

    num_batches: of an epoch. num_classes: of the network. Raises DivergedError for a loss that is
    not finite, UsageError for a batch that the network cannot train on. Steps on a GPU never wait
    for it: what is wrong with a batch that lies there is only said at the end.
    """
    network.train()
    total = torch.zeros((), dtype=torch.float64, device=device_of(network))
    count = 0
    for inputs, targets in batches_on(network, batches, "data.train", num_classes):
        for group in steps.optimizer.param_groups:
            group["lr"] = steps.rate(count / num_batches)
        with taking(inputs, "data.train"):
            scores = scores_of(network(inputs))
        loss = steps.objective(scores, inputs, targets)
        steps.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        steps.after_backward()
        steps.optimizer.step()
        count += 1
        steps.after_step(count / num_batches)
        keep(network, steps.masks())
        total += loss.detach()
    mean = total.item() / max(count, 1)
    if not math.isfinite(mean):
        raise DivergedError(f"compress: a loss of {mean}; a lower recipe.learning_rate may help")
    return mean


def num_batches_of(batches: Batches) -> int:
    """Return how many batches an epoch has."""
    try:
        return len(batches) if isinstance(batches, Sized) else sum(1 for _ in batches)
    except TypeError:  # of a loader whose data set has no length
        return sum(1 for _ in batches)


@torch.no_grad()
def num_classes_of(network: nn.Module, samples: Tensor) -> int:
    """Return how many classes a network scores. samples: `[N, ...]`. Raises UsageError for samples
    that it does not take, and for outputs that are no scores `[N, classes]`."""
    with evaluating(network), taking(samples, "data.train"):
        scores = scores_of(network(samples.to(device_of(network))))
    if scores.ndim != 2:
        raise UsageError(f"model: outputs {list(scores.shape)} given, scores [N, classes] allowed")
    return scores.shape[1]


@torch.no_grad()
def accuracy_of(network: nn.Module, batches: Batches, name: str) -> float:
    """Return for how many samples the largest output is that of the class, in percent."""
    right, count = torch.zeros((), dtype=torch.int64, device=device_of(network)), 0
    checks = BatchChecks(name)
    with evaluating(network):
        for inputs, targets in batches_on(network, batches, name, checks=checks):
            with taking(inputs, name):
                scores = scores_of(network(inputs))
            classes = checks.classes(targets, len(scores), scores.shape[1])
            right += (scores.argmax(1) == classes).sum()
            count += len(targets)
    checks.look()
    return 100 * right.item() / count


def chance_of(batches: Batches) -> float:
    """Return the accuracy of the most frequent class for all samples, in percent."""
    classes = torch.cat([torch.as_tensor(targets).flatten().cpu() for _, targets in batches])
    counts: Tensor = classes.unique(return_counts=True)[1]
    return 100 * int(counts.max()) / len(classes)


def accuracy_of_integers(
    program: Program, spec: InputSpec, network: nn.Module, batches: Batches, name: str
) -> float:
    """Return the same of an integer program, whose integers the C computes."""
    engine, output = FastEngine(program), program.outputs[0]
    right = count = 0
    for inputs, targets in batches_on(network, batches, name):
        for samples, classes in zip(inputs.split(_BATCH), targets.split(_BATCH), strict=True):
            codes = engine.run({"input": codes_of(samples, spec)})[output]
            scores = torch.from_numpy(program.reals[output](codes))
            right += int((scores.argmax(1) == classes.cpu()).sum())
            count += len(classes)
    return 100 * right / count


@torch.no_grad()
def reestimate_batch_norms(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Give batch norms the mean and variance over batches, in place of moving averages: those of a
    network whose weights are other ones by now."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = [(module, module.training) for module in network.modules()]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for inputs, _ in batches:
        network(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, was in was_training:
        module.training = was
