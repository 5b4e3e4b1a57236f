"""The names of models."""

import re

from quantlab.errors import UsageError, check_kind

_MOST_LETTERS = 64


def check_name(name: object) -> str:
    """Return a model's name. Raises UsageError unless it is a word, for it becomes part of the
    names of functions: nothing that SQL could take for something else."""
    check_kind("model", name, str, "text")
    assert isinstance(name, str)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) or len(name) > _MOST_LETTERS:
        shown = name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}..."
        raise UsageError(
            f"model {shown!r} given; letters, digits and '_' allowed, no digit first, at most "
            f"{_MOST_LETTERS}"
        )
    return name
