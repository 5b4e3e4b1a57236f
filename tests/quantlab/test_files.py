"""Files are written whole, several of them all or none."""

import subprocess
import sys
from pathlib import Path

import pytest

from quantlab.files import is_temporary, write_together


def test_all_are_written_in_place_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1", "b": b"2"}


def test_where_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match=r"No such file or directory: '.*missing/b'"):
        write_together({tmp_path / "a": b"1", tmp_path / "missing" / "b": b"2"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


_KILLED = """
import os, signal, sys
from pathlib import Path
from quantlab.files import write_together

class Killing(dict):
    def items(self):
        yield from super().items()
        os.kill(os.getpid(), signal.SIGKILL)

write_together(Killing({Path(sys.argv[1]): b"new"}))
"""


def test_what_a_killed_process_leaves_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.c"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert is_temporary(left)
    assert not is_temporary(path)
