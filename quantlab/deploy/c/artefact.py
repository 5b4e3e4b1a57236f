"""`c`: a folder of C files, and as engines this machine and emulated boards."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from quantlab.deploy.artefact import Artefact, EngineSource, Files, Options, Parts, only_path, paths
from quantlab.deploy.c.boards.table import BOARDS, Board
from quantlab.deploy.c.folder import leftovers, stored_options
from quantlab.deploy.c.options import ENCODINGS, OPTIONS, YES, read
from quantlab.integer.verify import Engine

FOLDER, FILE = Path("c"), "model.c"


def files(parts: Parts, options: Options) -> Files:
    from quantlab.deploy.c.model import c_model
    from quantlab.deploy.c.vectors import from_text

    asked = read(options)
    found: dict[str, bytes] = {}
    for name, path in paths(parts, FILE).items():
        folder = FOLDER / Path(path).parent
        vectors = None if asked.vectors is None else from_text(parts[name], asked.vectors)
        model = c_model(parts[name], asked.encoding, vectors=vectors, intermittent=asked.power)
        asked.check(model.sizes)
        for file, data in model.files.items():
            found[str(folder / file)] = data
    return found


def stale(files: Files, folder: Path) -> Sequence[Path]:
    own = {str(Path(name).relative_to(FOLDER)): data for name, data in files.items()}
    return leftovers(own, folder / FOLDER)


def stored(folder: Path) -> Options:
    from quantlab.deploy.c.vectors import is_text

    could_be: Mapping[str, Callable[[str], bool]] = {
        "encoding": lambda value: value in ENCODINGS,
        "vectors": is_text,
        "intermittent": lambda value: value == YES,
        "energy": lambda value: value.isascii() and value.isdecimal() and int(value) > 0,
    }
    # What no export writes is left out: the manifest then is not the one expected.
    return {
        name: value
        for name, value in stored_options(folder / FOLDER).items()
        if could_be[name](value)
    }


def host(parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.c.host import HostEngine

    path = FOLDER / only_path(parts, FILE)
    (program,) = parts.values()
    return HostEngine(program, (folder / path).parent)


def on_board(board: Board, parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.c.boards.engine import BoardEngine

    path = FOLDER / only_path(parts, FILE)
    (program,) = parts.values()
    return BoardEngine(program, (folder / path).parent, board)


_HOST = EngineSource(open=host, programs={"cc": "gcc"}, by_default=False)
_ON_BOARDS = {
    name: EngineSource(open=partial(on_board, board), programs=board.programs, by_default=False)
    for name, board in BOARDS.items()
}

C = Artefact(
    files=files,
    engines={"c": _HOST, **_ON_BOARDS},
    options=OPTIONS,
    stored=stored,
    stale=stale,
)
