"""How a program on a board ended."""

from dataclasses import dataclass

FAULT, FILE = 64, 65  # BOARD_FAULT and BOARD_FILE of board.h


@dataclass(frozen=True, kw_only=True)
class Ending:
    """code: the program's, or the emulator's own. complaint: what the emulator printed."""

    code: int
    complaint: str = ""
