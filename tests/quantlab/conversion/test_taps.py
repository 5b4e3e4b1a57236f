"""A baseline and its exit as one network: what the exit gets, and what does not fit."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.conversion.taps import TapPool, joined
from quantlab.errors import UsageError
from tests.quantlab.conversion.early_exits import Baseline, Exit, images, models


@pytest.mark.parametrize("shape", [(7, 6, 5), (6, 6, 6)])
@pytest.mark.parametrize("kernel", [(3, 2, 2), (2, 3, 1), (1, 2, 3)])
def test_pooling_with_channels_is_that_of_three_axes(
    shape: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    x = torch.randn(4, *shape)
    torch.testing.assert_close(TapPool(kernel, shape)(x), functional.max_pool3d(x, kernel))


def test_pooling_of_other_axes() -> None:
    image, signal, row = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6), torch.randn(2, 3)
    torch.testing.assert_close(TapPool(2, (3, 6, 6))(image), functional.max_pool2d(image, 2))
    torch.testing.assert_close(TapPool((3,), (3, 6))(signal), functional.max_pool1d(signal, 3))
    assert TapPool(1, (3,))(row) is row


@pytest.mark.parametrize(
    ("simulate", "computed"),
    [
        (None, 3),
        (1, 1),
        (2, 2),
        (lambda outputs: outputs[:1], 1),
        (lambda outputs: [outputs[0], outputs[1], torch.zeros_like(outputs[2])], 2),
        (lambda outputs: outputs, 3),
    ],
)
@torch.no_grad()
def test_an_exit_gets_pooled_outputs_and_zeros_for_those_not_computed(
    simulate: Any, computed: int
) -> None:
    baseline, exit_model = models()
    x = images(4)
    scores, taps = baseline(x, intermediate_outputs=True)
    pooled = [
        functional.max_pool2d(taps[0], 6),
        functional.max_pool3d(taps[1], (2, 3, 3)),
        taps[2],
    ]
    given = [
        one if number < computed else torch.zeros_like(one) for number, one in enumerate(pooled)
    ]
    found = joined(baseline, exit_model, x, simulate)(x)
    torch.testing.assert_close(found[0], exit_model(torch.cat(given, 1)))
    torch.testing.assert_close(found[1], scores)


@torch.no_grad()
def test_one_exit_model_serves_several_exits() -> None:
    baseline, exit_model = models()
    x = images(4)
    found = joined(baseline, exit_model, x, [1, 3])(x)
    for number, scores in zip((1, 3), found, strict=False):
        alone = joined(baseline, exit_model, x, number)(x)
        torch.testing.assert_close(scores, alone[0])
    torch.testing.assert_close(found[2], baseline(x))


class Other(Baseline):
    """Gives something else than scores and intermediate outputs."""

    def __init__(self, outputs: Any) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor, intermediate_outputs: bool = False) -> Any:
        return self.outputs if intermediate_outputs else super().forward(x)


def raises(outputs: list[Tensor]) -> list[Tensor]:
    return [outputs[99]]


SCORES = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"baseline": nn.Flatten()},
            "model: the forward of a Flatten without 'intermediate_outputs' given",
        ),
        ({"baseline": Other(SCORES)}, "model: a Tensor given with intermediate_outputs=True"),
        ({"baseline": Other((SCORES, []))}, "model: a tuple given with intermediate_outputs=True"),
        ({"baseline": Other((SCORES, [3]))}, "model: a tuple given with intermediate_outputs=True"),
        (
            {"baseline": Other((SCORES[0], [SCORES]))},
            r"model: outputs \[3\] given, scores \[N, C\]",
        ),
        ({"exit_model": nn.Flatten()}, "early_exit_model.pool_kernels: None given"),
        ({"exit_model": Exit(15, [])}, "early_exit_model.pool_kernels: 0 kernels given"),
        ({"exit_model": Exit(15, [1] * 4)}, "early_exit_model.pool_kernels: 4 kernels given"),
        (
            {"exit_model": Exit(15, [0, 3, 1])},
            r"early_exit_model.pool_kernels\[0\]: 0 given, a size from 1",
        ),
        (
            {"exit_model": Exit(15, [6, (1, 1, 1, 1), 1])},
            r"early_exit_model.pool_kernels\[1\]: \(1, 1, 1, 1\) given",
        ),
        ({"exit_model": Exit(15, ["x"])}, r"early_exit_model.pool_kernels\[0\]: 'x' given"),
        (
            {"exit_model": Exit(15, [6, 3, 5])},
            r"early_exit_model.pool_kernels\[2\]: 5 given, at most the sizes of the intermediate",
        ),
        (
            {"exit_model": Exit(15, [6, 2, 1])},
            r"early_exit_model.pool_kernels: pooled to \[\[4, 2, 2\], \[6, 3, 3\], \[8, 2, 2\]\]",
        ),
        (
            {"exit_model": Exit(99)},
            r"early_exit_model: the pooled intermediate outputs: float32\[4, 15, 2, 2\] given, "
            "which the network does not take",
        ),
        ({"simulate": 0}, "simulate_exit: 0 given, 1 to 3 allowed"),
        ({"simulate": 4}, "simulate_exit: 4 given, 1 to 3 allowed"),
        ({"simulate": True}, "simulate_exit: a bool given"),
        ({"simulate": "x"}, "simulate_exit: a str given"),
        ({"simulate": []}, r"simulate_exit: \[\] given, a number or rising numbers allowed"),
        ({"simulate": [2, 1]}, r"simulate_exit: \[2, 1\] given, a number or rising numbers"),
        ({"simulate": [1, 1]}, r"simulate_exit: \[1, 1\] given, a number or rising numbers"),
        ({"simulate": [1, 9]}, "simulate_exit: 9 given, 1 to 3 allowed"),
        ({"simulate": raises}, r"simulate_exit: IndexError raised \(list index out of range\)"),
        ({"simulate": lambda outputs: 3}, "simulate_exit: a function given that returns something"),
        (
            {"simulate": lambda outputs: [torch.zeros_like(outputs[0]), *outputs[1:]]},
            "simulate_exit: a function given that returns something",
        ),
        (
            {"simulate": lambda outputs: [2 * outputs[0]]},
            "simulate_exit: a function given that returns something",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], said: str) -> None:
    baseline, exit_model = models()
    given = {"baseline": baseline, "exit_model": exit_model, "simulate": None, **changes}
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        joined(given["baseline"], given["exit_model"], images(4), given["simulate"])
    assert "\n" not in str(caught.value)


def test_an_exit_with_other_scores_is_refused() -> None:
    baseline, exit_model = models()
    exit_model.fc1 = nn.Linear(60, 5)
    with pytest.raises(UsageError, match=r"^early_exit_model: outputs \[4, 5\] given, scores"):
        joined(baseline, exit_model, images(4), None)
