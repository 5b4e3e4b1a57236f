"""A generated network as its pack: the bytes of the file, and the top-1 of what is read from it."""

from pathlib import Path

import numpy as np
from torch import nn

from experiments.library import load_library, load_problem
from experiments.protocols import InMemory, Source
from quantlab.packs import load, make_pack, save

_BATCH = 500


def packed(
    network: nn.Module, file: Path, *, source: Source = "auto", limit: int | None = None
) -> tuple[int, float]:
    """Write the pack of a network, read it again; return its bytes and its top-1 in percent.

    source: of the photos, as `data.source`. limit: test on the first ones only.
    """
    problem = load_problem("CIFAR10")
    samples = problem.data.load(problem.data_folder, source).test
    assert isinstance(samples, InMemory)
    evaluate = load_library("CIFAR10", "ResNet").preprocess.evaluate
    save(make_pack(network, evaluate(samples.inputs[:2])), file)
    pack, count = load(file), limit or len(samples)
    right = 0
    for start in range(0, count, _BATCH):
        batch = slice(start, min(start + _BATCH, count))
        scores = pack.scores(evaluate(samples.inputs[batch]).numpy())
        right += int(np.sum(scores.argmax(1) == samples.targets[batch].numpy()))
    return file.stat().st_size, 100.0 * right / count
