"""How an optimizer takes up a network: what quantizers learn, and what weights are generated from,
is decayed as these say."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

from quantlab.errors import check_kind


@runtime_checkable
class OwnDecay(Protocol):
    """A module whose parameters are decayed apart from the others of a network."""

    def own_decays(self) -> Mapping[nn.Parameter, float]:
        """Return the weight decay of each of them."""


def parameter_groups(
    network: nn.Module, others: Iterable[nn.Parameter] = ()
) -> list[dict[str, Any]]:
    """Return the parameters that are trained, as groups for an optimizer of `torch.optim`.

    The first group is the network's own with `others` added; then one for each weight decay among
    the quantizers, whose step sizes or thresholds the decay meant for weights would only harm, and
    the factors of generated weights.
    Raises UsageError for what is no network or parameter.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("others", others, Iterable, "parameters")
    others = list(others)
    for index, parameter in enumerate(others):
        check_kind(f"others[{index}]", parameter, nn.Parameter, "a parameter")
    learned: dict[nn.Parameter, float] = {}
    for module in network.modules():
        if isinstance(module, OwnDecay):
            learned.update(module.own_decays())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    own = [parameter for parameter in trained if parameter not in learned]
    groups: list[dict[str, Any]] = [{"params": [*own, *others]}]
    for decay in sorted(set(learned.values())):
        params = [p for p in trained if p in learned and learned[p] == decay]
        if params:
            groups.append({"params": params, "weight_decay": decay})
    return groups
