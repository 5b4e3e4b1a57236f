"""Images have pixels of 8 bits here."""

from pathlib import Path

from quantlab.errors import DataError


def check_8_bits(mode: str, path: Path) -> None:
    """Raise DataError for an image of more than 8 bits a pixel and channel.

    mode: Pillow's name of its pixels. Pillow clips them to 255 where it converts such an image to
    8 bits, which makes most of them white.
    """
    if mode.startswith("I") or mode == "F":
        bits = 16 if mode.startswith("I;16") else 32
        raise DataError(f"{path}: pixels of {bits} bits; 8 bits allowed: convert the file")
