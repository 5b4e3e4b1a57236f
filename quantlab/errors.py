"""The exceptions that a caller can meet, and the words they share.

QuantLabError(ValueError)     one clear line: the name, the value, what is allowed
  UsageError                  the command line or the configuration         exit code 2
  DataError                   the data set is missing or damaged            exit code 3
  DivergedError               the loss left the finite numbers              exit code 4
  VerificationError           an artefact does not compute its program      exit code 5
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args


class QuantLabError(ValueError):
    """Base of all errors that name their cause in one line; `exit_code` is what main.py returns.

    is_told: another process of the run shows the line.
    """

    exit_code = 2
    is_told = False


class UsageError(QuantLabError):
    """A wrong name, value or combination given by the caller."""


class DataError(QuantLabError):
    """A data set that is missing, incomplete or not what it should be."""

    exit_code = 3


class DivergedError(QuantLabError):
    """Training left the finite numbers."""

    exit_code = 4


class VerificationError(QuantLabError):
    """Two runtimes gave different integers."""

    exit_code = 5


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the allowed name nearest to `name`, else `""`."""
    lowered = {candidate.lower(): candidate for candidate in allowed}
    nearest = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean '{lowered[nearest[0]]}'?" if nearest else ""


def check_kind(name: str, given: object, kind: Any, allowed: str) -> None:
    """Raise UsageError unless an argument is of a kind. kind: as of `isinstance`, but that booleans
    are no integers; allowed: it in words."""
    kinds = get_args(kind) or (kind,)
    is_flag = isinstance(given, bool) and int in kinds and bool not in kinds
    if is_flag or not isinstance(given, kind):
        raise UsageError(f"{name}: a {type(given).__name__} given, {allowed} allowed")
