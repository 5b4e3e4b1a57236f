"""How often a network and its program name the right class. Of several outputs the first counts."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from quantlab.conversion.samples import codes_of
from quantlab.errors import UsageError, check_kind
from quantlab.floats.interpreter import run
from quantlab.floats.program import FloatProgram
from quantlab.graphs.shapes import evaluating
from quantlab.integer.fast import FastEngine
from quantlab.integer.lower import InputSpec
from quantlab.integer.program import Program

_BATCH = 256


def classes_of(given: object, count: int) -> Tensor:
    """Return targets as classes `[N]`. Raises UsageError unless they are, one for each sample."""
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(given)
    check_kind("example_targets", given, Tensor, "a tensor or a NumPy array")
    assert isinstance(given, Tensor)
    if given.shape != (count,) or given.is_floating_point() or given.is_complex():
        raise UsageError(
            f"example_targets: {str(given.dtype).removeprefix('torch.')}{list(given.shape)} given, "
            f"integers [{count}] allowed, a class for each sample of example_data"
        )
    return given.cpu()


@torch.no_grad()
def network_accuracy(network: nn.Module, batch: Tensor, targets: Tensor) -> float:
    """Return for how many of a batch's samples the largest output is that of the class, in percent.

    Raises UsageError for outputs that are no scores `[N, classes]`.
    """
    with evaluating(network):
        scores = [scores_of(network(samples)) for samples in batch.split(_BATCH)]
    return _accuracy(torch.cat(scores).cpu(), targets)


def integer_accuracy(program: Program, spec: InputSpec, batch: Tensor, targets: Tensor) -> float:
    """Return the same of an integer program, whose integers the C computes."""
    engine, name = FastEngine(program), program.outputs[0]
    scores = [
        torch.from_numpy(program.reals[name](engine.run({"input": codes_of(samples, spec)})[name]))
        for samples in batch.split(_BATCH)
    ]
    return _accuracy(torch.cat(scores), targets)


def float_accuracy(program: FloatProgram, batch: Tensor, targets: Tensor) -> float:
    """Return the same of a float program, whose floats the C computes."""
    name = program.outputs[0]
    scores = [
        torch.from_numpy(run(program, {"input": samples.float().cpu().numpy()})[name])
        for samples in batch.split(_BATCH)
    ]
    return _accuracy(torch.cat(scores), targets)


def scores_of(outputs: object) -> Tensor:
    """Return the first of a network's outputs. Raises UsageError unless it is a tensor."""
    while not isinstance(outputs, Tensor):
        if isinstance(outputs, Mapping):
            outputs = list(outputs.values())
        if not isinstance(outputs, Sequence) or not outputs:
            raise UsageError(
                f"model: a network that returns a {type(outputs).__name__} given, tensors allowed"
            )
        outputs = outputs[0]
    return outputs


def _accuracy(scores: Tensor, targets: Tensor) -> float:
    if scores.ndim != 2:
        raise UsageError(
            f"example_targets: classes given, but the network's outputs are {list(scores.shape)}; "
            "[N, classes] allowed"
        )
    ends = targets.min().item(), targets.max().item()
    for given in ends:
        if not 0 <= given < scores.shape[1]:
            raise UsageError(
                f"example_targets: {given} given, classes 0 to {scores.shape[1] - 1} allowed"
            )
    return 100 * (scores.argmax(1) == targets).double().mean().item()
