"""The options of all layers, measured one after another or by several processes."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor

from quantlab.algorithms.after_training.batches import Progress
from quantlab.generation.allocation.options import (
    Option,
    bases_in_of,
    dense_options,
    generated_options,
    options_of,
)
from quantlab.generation.spec import MLGSpec

_WHAT = "options of layers"
Ranges = Mapping[str, tuple[float, float]]  # the least and most bytes of generated options


def options_of_layers(
    weights: Mapping[str, Tensor],
    ranges: Ranges,
    like: MLGSpec,
    progress: Progress,
    processes: int,
) -> dict[str, list[Option]]:
    """Return the options of each weight, see `options_of`."""
    if processes > 1:
        return _side_by_side(weights, ranges, like, progress, processes)
    options: dict[str, list[Option]] = {}
    for index, (name, weight) in enumerate(weights.items()):
        progress(_WHAT, index, len(weights))
        least, most = ranges[name]
        options[name] = options_of(weight, least=least, most=most, like=like)
    progress(_WHAT, len(weights), len(weights))
    return options


def _side_by_side(
    weights: Mapping[str, Tensor],
    ranges: Ranges,
    like: MLGSpec,
    progress: Progress,
    processes: int,
) -> dict[str, list[Option]]:
    """Measure a layer's numbers of kernels in a basis apart, the longest ones first."""
    tasks = [
        (name, base_in) for name, weight in weights.items() for base_in in bases_in_of(weight.shape)
    ]
    longest = sorted(tasks, key=lambda task: -weights[task[0]].numel() * task[1])
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    )
    with pool:
        running = {
            (name, base_in): pool.submit(
                _measured, weights[name].detach().cpu(), base_in, *ranges[name], like
            )
            for name, base_in in longest
        }
        done = {}
        for index, task in enumerate(tasks):
            progress(_WHAT, index, len(tasks))
            done[task] = running[task].result()
    progress(_WHAT, len(tasks), len(tasks))
    return {
        name: [
            *dense_options(weight),
            *(option for task in tasks if task[0] == name for option in done[task]),
        ]
        for name, weight in weights.items()
    }


def _measured(
    weight: Tensor, base_in: int, least: float, most: float, like: MLGSpec
) -> list[Option]:
    return generated_options(weight, base_in, least=least, most=most, like=like)
