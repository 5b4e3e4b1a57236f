"""`c`: a folder of C files, and as engines this machine and emulated boards."""

from functools import partial
from pathlib import Path

from quantlab.deploy.artefact import Artefact, EngineSource, Files, Options, Parts, only_path, paths
from quantlab.deploy.c.boards.table import BOARDS, Board
from quantlab.integer.verify import Engine

FOLDER, FILE = Path("c"), "model.c"


def files(parts: Parts, options: Options) -> Files:
    from quantlab.deploy.c.model import c_model

    found: dict[str, bytes] = {}
    for name, path in paths(parts, FILE).items():
        folder = FOLDER / Path(path).parent
        for file, data in c_model(parts[name]).files.items():
            found[str(folder / file)] = data
    return found


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

C = Artefact(files=files, engines={"c": _HOST, **_ON_BOARDS})
