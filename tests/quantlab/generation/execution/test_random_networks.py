"""Networks of random branches compute what they did, in one mode or many, and as packs."""

import copy
import random

import pytest
import torch
from torch import Tensor, nn

from quantlab.generation import MLGConv2d, MLGSpec
from quantlab.generation.execution import compile_for_inference
from quantlab.generation.layers import latents
from quantlab.generation.modes import modes_of
from quantlab.graphs.select import quantizable_layers
from quantlab.graphs.trace import trace
from quantlab.packs import make_pack
from tests.quantlab.generation.execution.networks import with_norms

SPEC = MLGSpec(base_in=1, base_out=3)
CHANNELS, SIDE = 4, 6
KINDS = ("conv", "conv", "norm", "relu", "relu6", "tanh", "add", "add", "cat")


class Branches(nn.Module):
    """Each value is made of earlier ones, which may be read several times."""

    def __init__(self, draw: random.Random, num_steps: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        self.plan: list[tuple[str, int, int]] = []
        for number in range(num_steps):
            kind = draw.choice(KINDS)
            left, right = (draw.randrange(max(0, number - 3), number + 1) for _ in range(2))
            self.plan.append((kind, left, right))
            self.steps.append(self._module(kind, draw))
        self.last = nn.Linear(CHANNELS * SIDE * SIDE, 3)

    def _module(self, kind: str, draw: random.Random) -> nn.Module:
        match kind:
            case "conv" if draw.random() < 0.3:
                return nn.Conv2d(CHANNELS, CHANNELS, 1)
            case "conv":
                return MLGConv2d(CHANNELS, CHANNELS, 3, padding=1, spec=SPEC)
            case "norm":
                return nn.BatchNorm2d(CHANNELS)
            case "cat":
                return nn.Conv2d(2 * CHANNELS, CHANNELS, 1)
            case "relu6":
                return nn.ReLU6()
            case "tanh":
                return nn.Tanh()
            case _:
                return nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for (kind, left, right), step in zip(self.plan, self.steps, strict=True):
            match kind:
                case "add":
                    values.append(values[left] + values[right])
                case "cat":
                    values.append(step(torch.cat([values[left], values[right]], 1)))
                case _:
                    values.append(step(values[left]))
        return self.last(values[-1].flatten(1)) + self.last(values[-2].flatten(1))


def random_modes(draw: random.Random, network: nn.Module) -> dict[str, str]:
    modes = {}
    for name, layer in quantizable_layers(network).items():
        is_generated = isinstance(layer, MLGConv2d)
        by_torch = modes_of(latents(layer)) if is_generated else ("generated",)
        modes[name] = draw.choice([*by_torch, "fused", "fused"])
    return modes


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def check(seed: int) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    network = with_norms(Branches(draw, draw.randrange(2, 14))).eval()
    x = torch.randn(2, CHANNELS, SIDE, SIDE)
    expected = network(x)
    scores = torch.from_numpy(make_pack(network, x).scores(x.numpy()))
    assert error(scores, expected) < 2e-5
    gm = trace(copy.deepcopy(network), x)
    gm.graph.eliminate_dead_code()
    used = {str(node.target) for node in gm.graph.find_nodes(op="call_module")}
    modes = {name: mode for name, mode in random_modes(draw, network).items() if name in used}
    for mode in ("fused", "factored", modes):
        made = compile_for_inference(network, x, mode=mode)
        assert error(made(x), expected) < 2e-5


@pytest.mark.parametrize("seed", [7, 58, 78, 108])  # residuals that are the input, dead branches
def test_branches(seed: int) -> None:
    check(seed)


@pytest.mark.long
def test_many_branches() -> None:
    for seed in range(60):
        check(seed)
