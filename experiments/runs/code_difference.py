"""Where two versions of a source file differ as programs: not in comments, docstrings or layout."""

import ast
from collections.abc import Sequence

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class NoProgramError(Exception):
    """A version that Python cannot read."""


def first_difference(old: bytes, new: bytes) -> int | None:
    """Return the line of `new`, from 1, where the programs begin to differ; None if nowhere.

    Raises NoProgramError.
    """
    if old == new:
        return None
    return _differ(_program(old), _program(new), 1)


def _program(content: bytes) -> ast.Module:
    """Parse a file; docstrings are left out."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise NoProgramError from error
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _differ(old: object, new: object, line: int) -> int | None:
    """Return the line of the first difference; `line` is that of what encloses both."""
    line = getattr(new, "lineno", line)
    if type(old) is not type(new):
        return line
    if isinstance(old, ast.AST) and isinstance(new, ast.AST):
        pairs = ((getattr(old, f, None), getattr(new, f, None)) for f in new._fields)
        return next((d for pair in pairs if (d := _differ(*pair, line)) is not None), None)
    if isinstance(old, list) and isinstance(new, list):
        return _differ_in_lists(old, new, line)
    return None if repr(old) == repr(new) else line


def _differ_in_lists(old: Sequence[object], new: Sequence[object], line: int) -> int | None:
    for one, other in zip(old, new, strict=False):
        difference = _differ(one, other, line)
        if difference is not None:
            return difference
    if len(new) > len(old):
        return int(getattr(new[len(old)], "lineno", line))
    return line if len(old) > len(new) else None
