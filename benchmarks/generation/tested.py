"""Top-1 on the test photos of CIFAR10, as ResNet takes them."""

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.library import load_library, load_problem
from experiments.protocols import InMemory, Source
from experiments.storage import ensure_links

_BATCH = 500


def photos_of(source: Source, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the first test photos, prepared `[N, 3, 32, 32]`, and their classes `[N]`.

    source: as `data.source`.
    """
    problem = load_problem("CIFAR10")
    ensure_links(problem)
    samples = problem.data.load(problem.data_folder, source).test
    assert isinstance(samples, InMemory)
    evaluate = load_library("CIFAR10", "ResNet").preprocess.evaluate
    return evaluate(samples.inputs[:count]), samples.targets[:count]


@torch.no_grad()
def top1_of(scores: Callable[[Tensor], Tensor], inputs: Tensor, targets: Tensor) -> float:
    """Return the top-1 in percent of what gives the scores `[N, 10]` of a batch, on its device: a
    GPU if there is one, in float32 and not the shorter TF32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    right = 0
    with torch.backends.cudnn.flags(allow_tf32=False):
        for batch, classes in zip(inputs.split(_BATCH), targets.split(_BATCH), strict=True):
            found = scores(batch.to(device)).argmax(1)
            right += int((found.cpu() == classes).sum())
    return 100.0 * right / len(inputs)
