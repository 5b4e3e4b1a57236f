"""Values on their way into a query: never part of its text."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from quantlab.errors import UsageError

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'"}


def parameter_text(name: str, value: Any) -> str:
    """Return a parameter as `{name:Type}` takes it: escaped as in a field of TSV.

    Raises UsageError for a value of another kind than Parameters allow.
    """
    if isinstance(value, (str, bytes)):
        return _escaped(value)
    return _item(name, value)


def plain_parameter(name: str, value: Any) -> Any:
    """Return a parameter as clickhouse-driver escapes it: numbers, text and lists of them.

    Raises UsageError for a value of another kind, and for bytes that are no UTF-8.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"parameter '{name}': bytes that are no UTF-8 given, a column of a table allowed"
            ) from error
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Sequence):
        return [plain_parameter(name, part) for part in value]
    raise _refused(name, value)


def identifier(name: str) -> str:
    """Return a name in backticks, whatever it has in it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quoted(table: str) -> str:
    """Return `database.table` with each name in backticks."""
    return ".".join(map(identifier, table.split(".", 1)))


def literal(value: Any) -> str:
    """Return a value as SQL writes it, for scripts, in one line of ASCII: bytes in base64 where
    they are no text. Raises UsageError as `parameter_text`."""
    if isinstance(value, bytes):
        return f"base64Decode('{base64.b64encode(value).decode()}')"
    return _item("literal", value)


def _item(name: str, value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (str, bytes)):
        return f"'{_escaped(value.encode() if isinstance(value, str) else value)}'"
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (int, float, np.integer, np.floating)):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, Sequence):
        return f"[{','.join(_item(name, part) for part in value)}]"
    raise _refused(name, value)


def _refused(name: str, value: Any) -> UsageError:
    kind = type(value).__name__
    return UsageError(f"parameter '{name}': a {kind} given, numbers, text, bytes, lists allowed")


def _escaped(value: str | bytes) -> str:
    if isinstance(value, str):
        return "".join(_ESCAPES.get(letter, letter) for letter in value)
    return "".join(
        _ESCAPES.get(chr(byte), chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}")
        for byte in value
    )
