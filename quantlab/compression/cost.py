"""What a network takes on a board, as a search asks for it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from quantlab.conversion.forms import FORMS
from quantlab.conversion.given import given_of
from quantlab.errors import UsageError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Bytes. flash: of what is constant. ram: of the arena, inputs and outputs, as planned."""

    flash: int
    ram: int


CostFunction = Callable[[nn.Module], Cost]


def exported_cost(
    samples: Tensor, *, dtype: str = "s8", representation: str = "auto"
) -> CostFunction:
    """Return a function that gives the bytes of a network as C: constants, without code.

    samples: `[N, ...]`, that ranges are read off. dtype, representation: as of
    `save_compressed_model`. The function raises UsageError for what cannot be written as C.
    """
    if dtype not in FORMS:
        raise UsageError(
            f"dtype: '{dtype}' given, {', '.join(FORMS)} allowed{did_you_mean(dtype, FORMS)}"
        )

    def cost(network: nn.Module) -> Cost:
        given = given_of(network, None, samples, None, None, None)
        sizes = FORMS[dtype].convert(given, representation).model.sizes
        return Cost(flash=sizes.flash, ram=sizes.ram)

    return cost
