"""How many steps of a training were captured, and why the others were not, in words."""

from collections import Counter

_PARTS = "the batch, its augmentation, forward, loss, backward"


class Account:
    """Counts steps. why_no_update: why the update ran as usual in captured steps, None if it did
    not."""

    def __init__(self, why_no_update: str | None = None) -> None:
        self._num_captured = 0
        self._others: Counter[str] = Counter()
        self._parts = f"{_PARTS} and the update"
        if why_no_update is not None:
            self._parts = f"{_PARTS}; not the update: {why_no_update}"

    def add(self, reason: str | None) -> None:
        """Count a step. reason: why it was not captured, None if it was."""
        if reason is None:
            self._num_captured += 1
        else:
            self._others[reason] += 1

    def __str__(self) -> str:
        whole = self._num_captured + self._others.total()
        said = f"{self._num_captured:,} of {whole:,} steps captured"
        if self._num_captured:
            said += f" ({self._parts})"
        reasons = ", ".join(f"{count:,} {why}" for why, count in self._others.most_common())
        return f"{said}; not captured: {reasons}" if reasons else said
