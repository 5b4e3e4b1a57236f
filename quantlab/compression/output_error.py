"""How far a network's outputs are from what they were."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.shapes import evaluating

_BATCH = 128
_LEAST = torch.finfo(torch.float64).tiny


def output_error(network: nn.Module, samples: Tensor) -> Callable[[nn.Module], float]:
    """Return a function that compares another network's outputs on samples with this one's of now:
    the sum of squared differences over that of squares, 0 for the same outputs."""
    wanted = _outputs(network, samples)
    scale = sum(y.square().sum().item() for y in wanted)

    def error(other: nn.Module) -> float:
        outputs = _outputs(other, samples)
        pairs = zip(outputs, wanted, strict=True)
        return float(sum((y - w).square().sum().item() for y, w in pairs) / max(scale, _LEAST))

    return error


@torch.no_grad()
def _outputs(network: nn.Module, samples: Tensor) -> list[Tensor]:
    with evaluating(network):
        return [y for batch in samples.split(_BATCH) for y in _tensors(network(batch))]


def _tensors(outputs: object) -> Iterator[Tensor]:
    match outputs:
        case Tensor():
            yield outputs.double()
        case Mapping():
            yield from _tensors(list(outputs.values()))
        case Sequence() if not isinstance(outputs, str):
            for output in outputs:
                yield from _tensors(output)
        case _:
            raise UsageError(
                f"network: one that returns a {type(outputs).__name__} given, tensors allowed"
            )
