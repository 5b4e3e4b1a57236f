"""Which inputs of a window, and so which weights, share a word.

A window has taps, the places of the kernel, of so many channels. How they share words:

    "tap"      no word has two taps: the words of a pixel are the same in every window
    "taps"     whole taps together, as many as a word has room for, where channels are few
    "window"   one after the other without gaps: the fewest words
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.layout.words import num_words

Sharing = Literal["tap", "taps", "window"]


@dataclass(frozen=True, kw_only=True)
class WindowWords:
    """See the module. width: bits of a word."""

    num_taps: int
    num_channels: int
    sharing: Sharing
    width: int = 64

    @property
    def num_words(self) -> int:
        """Words of a window."""
        return int(self.places()[-1, -1]) // self.width + 1

    def places(self) -> NDArray[np.intp]:
        """Return the bit of each input, `[taps, channels]`, counted from the window's first."""
        tap = np.arange(self.num_taps)[:, None]
        channel = np.arange(self.num_channels)
        if self.sharing == "window":
            return tap * self.num_channels + channel
        together = self.width // self.num_channels if self.sharing == "taps" else 1
        if together < 2:
            return tap * num_words(self.num_channels, self.width) * self.width + channel
        return tap // together * self.width + tap % together * self.num_channels + channel


def words_of_weights(shape: tuple[int, ...], sharing: Sharing, width: int = 64) -> NDArray[np.intp]:
    """Return the word of each weight, in the shape of the weights: equal numbers share a word.

    shape: `[O, C, kernel rows, kernel columns]` of a convolution, C channels of a group, or
    `[O, I]`. Words are counted output by output.
    """
    num_outputs, num_channels, *kernel = shape
    words = WindowWords(
        num_taps=prod(kernel), num_channels=num_channels, sharing=sharing, width=width
    )
    of_window = words.places().T.reshape(num_channels, *kernel) // width
    first = np.arange(num_outputs) * words.num_words
    return of_window + first.reshape(-1, *[1] * (len(shape) - 1))
