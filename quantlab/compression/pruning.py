"""The ramp: weights are removed while the network is trained, until its C fits the budget."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from quantlab.algorithms.layers import carries
from quantlab.compression.byte_curve import ByteCurve, byte_curve, layer_operations
from quantlab.compression.exporting import Exported, Exporter
from quantlab.compression.importance import Importance
from quantlab.compression.largest_first import LargestFirst
from quantlab.compression.layers import kept_of, prunable_layers
from quantlab.compression.ramp import ramped
from quantlab.compression.recipe import Recipe
from quantlab.compression.selection import (
    Present,
    Selection,
    Selector,
    least_kept,
    mask_of,
    ranking,
)
from quantlab.compression.sensitivity import Sensitivity
from quantlab.compression.smaller import without_dead_filters

SELECTORS: Mapping[str, Callable[[], Selector]] = {
    "sensitivity": Sensitivity,
    "largest_first": LargestFirst,
}
_UPDATES = 120  # of the masks, over the whole ramp
_MEASURED = 30  # how often the C is measured on the way
_FITS = 8
_SPARE = 0.005  # of the flash: near enough to the budget


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A network whose zeros are final. flash: of its C, with `bits` for the weights of layers."""

    network: nn.Module
    bits: Mapping[str, int]
    flash: int


class Pruning:
    """Removes weights of a network, in place. flash: the budget, None keeps all."""

    def __init__(
        self, network: nn.Module, exporter: Exporter, recipe: Recipe, flash: int | None
    ) -> None:
        self._network, self._exporter, self._flash = network, exporter.quick, flash
        self._device = next(network.parameters()).device
        self._layers = prunable_layers(network)
        self._selector = SELECTORS[recipe.method]()
        self._importance = Importance(self._layers)
        self._weight_bits = recipe.weight_bits
        self._bits: Mapping[str, int] = dict.fromkeys(self._layers, max(recipe.weight_bits))
        self._num_epochs = recipe.ramp_epochs
        self._curves: dict[str, ByteCurve] = {}
        self._others = self._dense = 0.0
        self._next = 0.0
        self.masks: Mapping[str, Tensor] = kept_of(network)
        self._values = {n: layer.weight.detach().clone() for n, layer in self._layers.items()}

    def observe_gradients(self) -> None:
        """Take the gradients of a step."""
        if self._flash is not None:
            self._importance.observe(self.masks)

    def begin_epoch(self, epoch: int) -> int | None:
        """Measure the C at the begin of an epoch; return its bytes, None where that is not due."""
        every = -(-self._num_epochs // _MEASURED)
        if self._flash is None or epoch % every:
            return None
        flash = self._measure()
        if epoch == 0:
            self._dense = float(flash)
        return flash

    def step(self, part: float) -> None:
        """Remove weights as the ramp wants. part: of it that is done."""
        if self._flash is None or part < self._next or part >= 1:
            return
        self._next = part + 1 / _UPDATES
        wanted = ramped(self._dense, self._flash, part)
        self._remember()
        self._keep(self._select(wanted - self._others))

    def end_epoch(self, accuracy: float) -> None:
        """Take the accuracy on validation samples."""
        self._selector.observe(accuracy)

    def finish(self) -> Pruned:
        """Remove weights until the C fits, and the filters that are dead then.

        Of a network whose C cannot fit the smallest that could be made is returned.
        """
        if self._flash is None:
            made = without_dead_filters(self._network, self._exporter.samples)
            exported = self._exported(made, self._bits)
            return self._pruned(made, exported.flash)
        self._measure()
        wanted, best = self._flash - self._others, None
        below, above = -math.inf, math.inf  # of what was wanted when the C fitted, and did not
        smallest: tuple[int, Selection] | None = None
        flash = -1
        for _ in range(_FITS):
            selection, last = self._select(wanted), flash
            flash = self._exported_of(selection).flash
            if smallest is None or flash < smallest[0]:
                smallest = (flash, selection)
            if flash <= self._flash:
                below = max(below, wanted)
                best = (flash, selection) if best is None or flash > best[0] else best
            else:
                above = min(above, wanted)
            is_near = 0 <= self._flash - flash <= max(self._flash * _SPARE, 24)
            if is_near or (flash == last and above == math.inf):  # all that there is
                break
            wanted += 1.01 * (self._flash - flash)
            if not below < wanted < above:
                wanted = (below + above) / 2
        assert smallest is not None
        if best is None:
            smallest = min(smallest, self._fewest(self._flash), key=lambda one: one[0])
        flash, selection = smallest if best is None else best
        self._quantize(selection)
        self.masks = kept_of(self._network)
        made = without_dead_filters(self._network, self._exporter.samples)
        return self._pruned(made, flash)

    def _pruned(self, network: nn.Module, flash: int) -> Pruned:
        return Pruned(network=network.to(self._device), bits=self._bits, flash=flash)

    def smallest(self) -> int:
        """Return the bytes of the smallest C that is known, or of one that fits the budget: no
        budget below them can be met."""
        before = Selection(masks=self.masks, bits=self._bits)
        flash, _ = self._fewest(self._flash)
        self._keep(before)
        return flash

    def _fewest(self, enough: int | None) -> tuple[int, Selection]:
        """Return the bytes of the smallest C, or of the first one of at most `enough`, and what it
        keeps: as few weights as each layer may, or all, for small networks often need more code for
        fewer weights than these save."""
        found: list[tuple[int, Selection]] = []
        for is_all in (False, True):
            for bits in sorted(self._weight_bits):
                selection = self._extreme(bits, keep_all=is_all)
                found.append((self._exported_of(selection).flash, selection))
                if enough is not None and found[-1][0] <= enough:
                    return found[-1]
        return min(found, key=lambda one: one[0])

    def _extreme(self, bits: int, *, keep_all: bool) -> Selection:
        masks = {}
        for name in self._curves or self._layers:
            weight = self._values[name]
            order = ranking(weight.abs(), weight)
            count = len(order) if keep_all else least_kept(self._layers[name])
            masks[name] = mask_of(order, count, weight)
        return Selection(masks=masks, bits=dict.fromkeys(masks, bits))

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs."""
        return {
            "selector": self._selector.state_dict(),
            "importance": self._importance.state_dict(),
            "bits": dict(self._bits),
            "curves": {
                name: {
                    "counts": torch.from_numpy(curve.counts),
                    **{str(bits): torch.from_numpy(sizes) for bits, sizes in curve.nbytes.items()},
                }
                for name, curve in self._curves.items()
            },
            "others": self._others,
            "dense": self._dense,
            "next": self._next,
            "masks": dict(self.masks),
            "values": self._values,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state. The weights are those of the network's own state."""
        self._selector.load_state_dict(state["selector"])
        self._importance.load_state_dict(state["importance"])
        self._bits = dict(state["bits"])
        self._curves = {
            name: ByteCurve(
                counts=stored["counts"].cpu().numpy(),
                nbytes={int(k): v.cpu().numpy() for k, v in stored.items() if k != "counts"},
            )
            for name, stored in state["curves"].items()
        }
        self._others, self._dense, self._next = state["others"], state["dense"], state["next"]
        self.masks, self._values = dict(state["masks"]), dict(state["values"])

    def _select(self, nbytes: float) -> Selection:
        present = Present(
            layers=self._layers,
            weights=self._values,
            counts={name: int(mask.sum()) for name, mask in self.masks.items()},
            curves=self._curves,
            importance=self._importance,
            weight_bits=self._weight_bits,
        )
        return self._selector.select(present, nbytes)

    @torch.no_grad()
    def _remember(self) -> None:
        """Note the present values of the weights that are kept."""
        for name, layer in self._layers.items():
            self._values[name] = torch.where(self.masks[name], layer.weight, self._values[name])

    @torch.no_grad()
    def _keep(self, selection: Selection) -> None:
        """Put a selection into effect, with the values that were noted last."""
        self.masks, self._bits = {**self.masks, **selection.masks}, {**selection.bits}
        for name, mask in self.masks.items():
            self._layers[name].weight.copy_(self._values[name] * mask)

    @torch.no_grad()
    def _quantize(self, selection: Selection) -> None:
        """Put a selection into effect. Weights whose code is zero go too, so that the C cannot take
        more after training."""
        self._keep(selection)
        quantized = self._exporter.quantized(self._network, self._bits)
        for name in selection.masks:
            weight = self._layers[name].weight
            quantizer = carries(quantized.get_submodule(name))["weight"]
            weight.mul_((quantizer.codes(weight.cpu()) != 0).to(weight))

    def _exported_of(self, selection: Selection) -> Exported:
        self._quantize(selection)
        made = without_dead_filters(self._network, self._exporter.samples)
        return self._exported(made, self._bits)

    def _exported(self, network: nn.Module, bits: Mapping[str, int]) -> Exported:
        return self._exporter.export(self._exporter.quantized(network, bits))

    def _measure(self) -> int:
        """Measure the C of the present network and the bytes of its layers; return all bytes."""
        self._remember()
        quantized = self._exporter.quantized(self._network, {})
        program = self._exporter.program(quantized)
        operations = layer_operations(program, self._layers)
        self._curves = {
            name: byte_curve(operation, program, self._order(name), self._weight_bits_with_8())
            for name, operation in operations.items()
            if bool((self._values[name] != 0).any())
        }
        made = without_dead_filters(self._network, self._exporter.samples)
        flash = self._exported(made, self._bits).flash
        self._others = flash - sum(
            float(curve.at(int(self.masks[name].sum()), self._bits.get(name, 8)))
            for name, curve in self._curves.items()
        )
        return flash

    def _weight_bits_with_8(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*self._weight_bits, 8)))

    def _order(self, name: str) -> np.ndarray:
        weight = self._values[name]
        return ranking(weight.abs(), weight).cpu().numpy()
