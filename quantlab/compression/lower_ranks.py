"""Low-rank forms of layers, taken before any weight is removed."""

from torch import Tensor, nn

from quantlab.compression.cost import exported_cost
from quantlab.compression.factorize import factorize
from quantlab.compression.factorized import Factorized
from quantlab.compression.separation import separate


def with_lower_ranks(
    network: nn.Module, samples: Tensor, ram: int | None
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a copy whose layers have low-rank forms where the bytes of its C fall, and a line for
    each of them.

    samples: `[N, ...]`, that ranges are read off. ram: the most bytes; where the C is planned to
    take more, layers are separated first. The same arguments give the same network.
    """
    cost = exported_cost(samples)
    said: list[str] = []
    if ram is not None and cost(network).ram > ram:
        separated = separate(network, samples, cost=cost)
        network = separated.network
        said += _changes(separated)
    factorized = factorize(network, samples, cost=cost, ram=ram)
    return factorized.network, (*said, *_changes(factorized))


def _changes(made: Factorized) -> list[str]:
    return [str(row) for row in made.rows if row.chosen is not None]
