"""Classes by name, and their parameters."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import parse_document
from experiments.configuration.section import ClassSpec
from experiments.training import lr_schedules
from quantlab.errors import UsageError

PATH = ("part",)


class Shape(nn.Module):
    def __init__(
        self,
        size: int,
        scale: float = 1.0,
        sides: tuple[int, int] = (1, 2),
        name: "str" = "x",
        options: dict[int, float] | None = None,
        *,
        is_flat: bool = False,
        untyped=3,  # type: ignore[no-untyped-def]
    ) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"size: {size}\nsecond line")
        if size > 99:
            raise RuntimeError("Trying to create a tensor that is too large")
        self.given = (size, scale, sides, name, options, is_flat, untyped)


def build(factory: Any, text: str, given: dict[str, Any] | None = None) -> Any:
    document = parse_document(f"part: {{class: X, params: {text}}}", name="f")
    spec = ClassSpec.model_validate(document.values["part"])
    spec = spec.model_copy(update={"name": factory.__name__})
    return create(factory, spec, document, PATH, given)


def test_given() -> None:
    made = build(Shape, "{size: 3, scale: 2, sides: [4, 5], is_flat: true, options: {1: 2}}")
    assert made.given == (3, 2.0, (4, 5), "x", {1: 2.0}, True, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{}", "part.params: Shape needs size"),
        ("{siez: 3}", "part.params.siez: Shape has no such parameter; did you mean 'size'?"),
        ("{size: 3, zzzz: 1}", "Shape has no such parameter; allowed: size, scale, sides"),
        ("{self: 3}", "Shape has no such parameter"),
        ("{size: '3'}", "part.params.size: input should be a valid integer (got '3') (f:1)"),
        ("{size: 3.5}", "part.params.size"),
        ("{size: true}", "part.params.size"),
        ("{size: 3, scale: abc}", "part.params.scale: input should be a valid number (got 'abc')"),
        ("{size: 3, sides: [1]}", "part.params.sides"),
        ("{size: 3, sides: 1}", "part.params.sides"),
        ("{size: 3, sides: ['1', '2']}", "part.params.sides"),
        ("{size: 3, name: 4}", "part.params.name: input should be a valid string (got 4)"),
        ("{size: 3, is_flat: 1}", "part.params.is_flat"),
        ("{size: 3, untyped: a}", "part.params.untyped"),
        ("{size: -1}", "part.params: Shape refuses them: size: -1 (f:1)"),
        ("{size: 100}", "part.params: Shape refuses them: Trying to create"),
    ],
)
def test_refused(params: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(Shape, params)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_the_program_gives_is_no_parameter() -> None:
    with pytest.raises(UsageError, match="SGD has no such parameter"):
        build(optim.SGD, "{params: 3, lr: 1}", {"params": [nn.Parameter(torch.zeros(1))]})


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("SGD", "{lr: 0.1, momentum: 0.9, nesterov: true}"),
        ("SGD", "{lr: 1}"),
        ("Adam", "{lr: 1.0e-3, betas: [0.8, 0.99]}"),
        ("AdamW", "{weight_decay: 0.1, amsgrad: true}"),
        ("RMSprop", "{alpha: 0.9}"),
        ("Adagrad", "{lr: 0.1}"),
        ("NAdam", "{}"),
    ],
)
def test_optimizers(name: str, params: str) -> None:
    made = build(getattr(optim, name), params, {"params": [nn.Parameter(torch.zeros(1))]})
    assert isinstance(made, optim.Optimizer)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("StepLR", "{step_size: 2, gamma: 0.5}"),
        ("MultiStepLR", "{milestones: [1, 2]}"),
        ("CosineAnnealingLR", "{T_max: 5}"),
        ("ExponentialLR", "{gamma: 0.9}"),
        ("ReduceLROnPlateau", "{mode: max, patience: 2}"),
        ("LinearLR", "{total_iters: 2}"),
        ("CyclicLR", "{base_lr: 0.1, max_lr: 1, cycle_momentum: false}"),
    ],
)
def test_schedulers(name: str, params: str) -> None:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    factory = getattr(lr_scheduler, name)
    assert isinstance(build(factory, params, {"optimizer": optimizer}), lr_scheduler.LRScheduler)


def test_schedules_of_our_own() -> None:
    assert build(lr_schedules.Hand, "{schedule: {0: 1, 3: 0.1}}").schedule == {0: 1.0, 3: 0.1}
    with pytest.raises(UsageError, match="Cosine has no such parameter; did you mean 'final'"):
        build(lr_schedules.Cosine, "{finel: 1}")


def find(name: str, *places: ModuleType | None) -> type[Any]:
    document = parse_document(f"part: {{class: {name}}}", name="f")
    return find_class(
        ClassSpec.model_validate({"class": name}), places, (nn.Module,), document, PATH
    )


def test_the_first_place_wins() -> None:
    library = ModuleType("library")
    library.Linear = Shape  # type: ignore[attr-defined]  # as a user's library has it
    assert find("Linear", library, nn) is Shape
    assert find("Linear", nn) is nn.Linear
    assert find("Linear", None, nn) is nn.Linear


@pytest.mark.parametrize("name", ["Linaer", "linear", "functional", "Module", "__doc__"])
def test_names_that_are_no_class(name: str) -> None:
    with pytest.raises(UsageError, match=rf"part.class: no Module named '{name}'.* \(f:1\)"):
        find(name, nn)


def test_the_nearest_class_is_told() -> None:
    with pytest.raises(UsageError, match="did you mean 'Linear'"):
        find("Linaer", nn)
