"""cfg/tools.sh: installs what only tests need, or says how; it never fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cfg" / "tools.sh"


def run(*folders: Path) -> str:
    """Run the script with the programs of some folders alone; return what it complains of."""
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        [str(shutil.which("bash")), str(SCRIPT)],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the one program that the script itself runs."""
    (tmp_path / "id").symlink_to(str(shutil.which("id")))
    return tmp_path


def test_says_how_to_get_what_is_missing(programs: Path) -> None:
    said = run(programs)
    assert said == "some tests will skip; for them: sudo apt-get install qemu-user\n"


def test_is_quiet_where_all_is_there(programs: Path) -> None:
    (programs / "qemu-x86_64").touch(mode=0o755)
    assert run(programs) == ""
