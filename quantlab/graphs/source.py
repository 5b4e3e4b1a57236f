"""Where in the user's code an error or a node comes from."""

import linecache
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch
from torch import fx, nn

_NOT_THE_USERS = (f"{Path(torch.__file__).parent}/", f"{Path(__file__).parent}/", "<")
_MOST_LETTERS = 110
# What tracing writes into a node's meta: the file and the number of the line.
CALLED_AT = "called_at"


def user_line(error: BaseException) -> str | None:
    """Return `file:line: 'code'` of the innermost frame outside torch and this package; None if
    there is none."""
    for frame, number in _user_frames(error):
        return _line(frame.f_code.co_filename, number)
    return None


def node_line(node: fx.Node) -> str | None:
    """Return `file:line: 'code'` of the user's call that a traced node stands for; None if it is
    not known."""
    if CALLED_AT in node.meta:
        return _line(*node.meta[CALLED_AT])
    # What torch.export has noted.
    frames = re.findall(r'File "(.*)", line (\d+)', node.stack_trace or "")
    lines = [_line(f, int(number)) for f, number in frames if not f.startswith(_NOT_THE_USERS)]
    return lines[-1] if lines else None


def user_module(error: BaseException, network: nn.Module) -> str:
    """Return the path of the module in whose method the error came up, of the network its class."""
    paths = {module: path for path, module in network.named_modules()}
    for frame, _ in _user_frames(error):
        path = paths.get(frame.f_locals.get("self")) or ""
        if path:
            return path
    return type(network).__name__


def first_line(error: BaseException) -> str:
    """Return the first sentence of an error's message, or the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    sentence = lines[0].split(". ")[0].rstrip(".:") if lines else type(error).__name__
    return sentence if len(sentence) <= _MOST_LETTERS else f"{sentence[: _MOST_LETTERS - 3]}..."


def _user_frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of the user's code, the innermost one first."""
    link: BaseException | None = error
    while link is not None:
        for frame, number in reversed(list(traceback.walk_tb(link.__traceback__))):
            if not frame.f_code.co_filename.startswith(_NOT_THE_USERS):
                yield frame, number
        link = link.__cause__ or link.__context__


def _line(file: str, number: int) -> str:
    code = linecache.getline(file, number).strip()
    return f"{_shown(file)}:{number}" + (f": '{code}'" if code else "")


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
