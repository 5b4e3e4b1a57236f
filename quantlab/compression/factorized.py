"""What a search for other forms of layers returns: the network, and a row for each layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from quantlab.compression.cost import Cost
from quantlab.compression.forms import Ranks


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A form that a layer was tried in.

    words: the form and its ranks. ranks: the least with which the loss stays within its bound, or
    those of EVBMF if it never does; None if EVBMF sees noise alone. loss, cost: of the whole
    network with it; None where they were not looked for. problem: why it cannot be taken, for
    people, empty where it can.
    """

    form: str
    words: str
    ranks: Ranks | None = None
    loss: float | None = None
    cost: Cost | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of a layer.

    chosen: the form that it has now, None if it stayed as it was. before, after: what the whole
    network costs. ideal_before, ideal_after: the most elements of two tensors in succession, of one
    sample: the least memory that the layer could do with if it wrote over nothing. reason: what was
    tried and how it ended, for people.
    """

    name: str
    chosen: Trial | None
    trials: Sequence[Trial]
    before: Cost
    after: Cost
    ideal_before: int
    ideal_after: int
    reason: str

    def __str__(self) -> str:
        return f"{self.name or 'network'}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Factorized:
    """A network of which layers have other forms, with a row for each layer in the order of
    definition. cost: what the network costs now. loss: its loss now."""

    network: nn.Module
    rows: Sequence[Row]
    cost: Cost
    loss: float

    def __str__(self) -> str:
        return "\n".join(map(str, self.rows))
