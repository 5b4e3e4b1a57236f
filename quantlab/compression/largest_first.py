"""SparseComp's rule: the layer with the most bytes loses the smallest of its weights.

Source: P. Farina et al., Memory-efficient energy-adaptive inference of pre-trained models on
batteryless embedded systems, EWSN 2024, arXiv:2405.10426, as its published code does it. A step
takes the layer that is largest at that moment and is not fragile, of all if all are. Its density
becomes a tenth, and then 0.9 of it again and again, until its bytes are a tenth of those before
(`compressionStep=0.1`), at most 31 times. A layer is fragile after a step that cost 5 points of
accuracy. Bytes are those of C here, weights have 8 bits, and each step is trained until the next.
"""

from collections.abc import Mapping
from typing import Any

import torch

from quantlab.compression.selection import (
    Present,
    Selection,
    Selector,
    least_kept,
    mask_of,
    ranking,
)

_STEP = 0.1
_ROUNDS = 31
_FRAGILE = 5.0
_BITS = 8


class LargestFirst(Selector):
    """See the module."""

    def __init__(self) -> None:
        self._fragile: set[str] = set()
        self._last: str | None = None
        self._accuracy: float | None = None

    @torch.no_grad()
    def select(self, present: Present, nbytes: float) -> Selection:
        counts = {name: present.counts[name] for name in present.curves}
        while self._total(present, counts) > nbytes:
            can = [n for n in counts if counts[n] > least_kept(present.layers[n])]
            if not can:
                break
            able = [name for name in can if name not in self._fragile] or can
            sizes = {n: float(present.curves[n].at(counts[n], _BITS)) for n in able}
            name = max(able, key=lambda n: sizes[n])
            counts[name] = self._fewer(present, name, counts[name])
            self._last = name
        orders = {
            n: ranking(present.layers[n].weight.abs(), present.layers[n].weight) for n in counts
        }
        return Selection(
            masks={n: mask_of(orders[n], counts[n], present.layers[n].weight) for n in counts},
            bits=dict.fromkeys(counts, _BITS),
        )

    def observe(self, accuracy: float) -> None:
        before, last = self._accuracy, self._last
        if before is not None and last is not None and before - accuracy >= _FRAGILE:
            self._fragile.add(last)
        self._accuracy, self._last = accuracy, None

    def state_dict(self) -> dict[str, Any]:
        return {
            "fragile": sorted(self._fragile),
            "last": self._last,
            "accuracy": self._accuracy,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._fragile = set(state["fragile"])
        self._last, self._accuracy = state["last"], state["accuracy"]

    def _total(self, present: Present, counts: Mapping[str, int]) -> float:
        return sum(float(present.curves[n].at(count, _BITS)) for n, count in counts.items())

    def _fewer(self, present: Present, name: str, count: int) -> int:
        """Return how many weights the layer keeps after a step."""
        size, layer = present.layers[name].weight.numel(), present.layers[name]
        before = float(present.curves[name].at(count, _BITS))
        density = count / size
        for _ in range(_ROUNDS):
            density = 0.1 if density == 1 else density * (1 - _STEP)
            fewer = int(density * size)
            if float(present.curves[name].at(fewer, _BITS)) <= before * _STEP:
                break
        return max(min(fewer, count - 1), least_kept(layer))
