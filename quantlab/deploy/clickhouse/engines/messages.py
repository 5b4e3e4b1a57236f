"""What engines say, in one line."""

import re

from quantlab.errors import UsageError

_MOST_LETTERS = 300
_TIMEOUT, _MEMORY, _WASM = 159, 241, 770
_SOCKET_TIMEOUT, _NETWORK = 209, 210
_OTHER_FOLDER = re.compile(r"EmbeddedServer already initialized with path '(.*?)', cannot")
_CODE = re.compile(r"Code: (\d+)\.")
_NOISE = re.compile(
    r"Code: \d+\.|DB::Exception:|Streaming insert (append|init|finish) failed:"
    r"|Stack trace:.*|: [Ww]hile executing .*|: [Ii]n scope .*?(?=\([A-Z_]+\)|$)"
    r"|DB::Exception(?=\b)|\(version [^)]*\)\)?",
    re.DOTALL,
)


def code_of(text: str) -> int:
    """Return the number of an engine's error, 0 where it has none."""
    found = _CODE.search(text)
    return int(found[1]) if found else 0


def error_of(text: str, timeout_s: float) -> UsageError:
    """Return the error of an engine's message, in one line with its number. timeout_s: what a
    query may take."""
    code = code_of(text)
    other = _OTHER_FOLDER.search(text)
    if other:
        return UsageError(
            f"{other[1]}: this process has this store open, chDB allows one at a time; close it"
        )
    words = " ".join(_NOISE.sub(" ", text).split())
    if len(words) > _MOST_LETTERS:
        words = words[:_MOST_LETTERS].rstrip() + "..."
    if code == _TIMEOUT:
        return UsageError(
            f"ClickHouse: the query took more than {timeout_s:g} s, timeout_s allows no more "
            f"({code})"
        )
    if code == _MEMORY:
        return UsageError(f"ClickHouse: the query needs more memory than it may have: {words}")
    if code == _WASM:
        return UsageError(f"ClickHouse: the module failed, the table is as it was: {words}")
    return UsageError(f"ClickHouse: {words or 'it failed without a message'} ({code or 'no code'})")


def server_error_of(error: Exception, place: str, timeout_s: float) -> UsageError:
    """Return the error of a server, in one line. place: its host and port."""
    text = str(error)
    code = getattr(error, "code", 0)
    if isinstance(error, (OSError, EOFError)) or code in (_NETWORK, _SOCKET_TIMEOUT):
        words = " ".join(_NOISE.sub(" ", text).split()) or type(error).__name__
        return UsageError(f"ClickHouse: no server answers at {place}: {words}")
    words = text if getattr(error, "message", text) else type(error).__name__
    return error_of(words if code_of(words) else f"Code: {code}. {words}", timeout_s)
