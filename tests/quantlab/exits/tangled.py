"""A network whose exits read what exits seldom read: the image itself, several layers, sums across
segments, and the scores of one another."""

from functools import cache

import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.exits.program import NEVER, ExitProgram
from quantlab.integer.lower import lower
from tests.quantlab.exits.networks import CLASSES, SPEC, images


class Tangled(nn.Module):
    """Gives the scores of four exits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(4, 4, 3, padding=1)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.pool, self.flatten = nn.MaxPool2d(4), nn.Flatten()
        self.of_image = nn.Linear(64, CLASSES)
        self.of_layers = nn.Linear(32, CLASSES)
        self.of_scores = nn.Linear(16 + CLASSES, CLASSES)
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first = self.relu1(self.conv1(x))
        second = self.relu2(self.conv2(first))
        third = self.relu3(self.conv3(second) + first)
        pooled = [self.flatten(self.pool(one)) for one in (first, second, third)]
        of_image = self.of_image(self.flatten(x))
        of_layers = self.of_layers(torch.cat(pooled[:2], 1))
        of_scores = self.of_scores(torch.cat([pooled[1], of_layers], 1))
        return of_image, of_layers, of_scores, self.last(pooled[2])


@cache
def tangled(seed: int = 0) -> ExitProgram:
    torch.manual_seed(seed)
    made = Tangled().eval()
    algorithm = {"kind": "ste", "num_bits": 8}
    quantize(made, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    quantize(made, [{"select": "!first & !of_image", "on": "input", "algorithm": algorithm}])
    calibrate(made, [images(64)])
    program = lower(made, SPEC, images(64))
    return ExitProgram(program=program, thresholds=(NEVER,) * 3)
