"""What an engine does one after the other."""

from abc import ABC, abstractmethod

from quantlab.integer.fast.layout import Integers

Tensors = dict[str, Integers]


class Step(ABC):
    """Some operations at once. inputs: the names of all tensors that it reads."""

    inputs: tuple[str, ...]

    @abstractmethod
    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        """Return the tensors that it makes; with `keep` also those that nothing else reads.

        Several threads may call it at once. num_threads: of its kernels, as for them.
        """
