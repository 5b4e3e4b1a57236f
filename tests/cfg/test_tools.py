"""cfg/tools.sh: installs what only tests need, or says how; it never fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cfg import requirements
from quantlab.deploy.c.boards.table import BOARDS, PACKAGES
from tests.quantlab.deploy.boards import QUICK

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
    packages = " ".join(requirements._TESTS.values())
    said = run(programs)
    assert said == f"some tests will skip; for them: sudo apt-get install {packages}\n"
    (programs / "arm-none-eabi-gcc").touch(mode=0o755)
    expected = "some tests will skip; for them: sudo apt-get install qemu-user qemu-system-arm\n"
    assert run(programs) == expected


def test_is_quiet_where_all_is_there(programs: Path) -> None:
    for program in requirements._TESTS:
        (programs / program).touch(mode=0o755)
    assert run(programs) == ""


def test_boards_need_what_is_said() -> None:
    said = {**requirements._TESTS, **requirements._LONG_TESTS}
    assert PACKAGES.items() <= said.items()
    for name in QUICK:
        assert BOARDS[name].programs.items() <= requirements._TESTS.items()


def test_what_tests_would_skip_for_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert requirements.main(["--tests"]) == 0
    expected = "qemu-user gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-riscv64"
    assert capsys.readouterr().out.startswith(f"sudo apt-get install {expected}")
    for program in (*requirements._TESTS, *requirements._LONG_TESTS):
        (tmp_path / program).touch(mode=0o755)
    assert requirements.main(["--tests"]) == 0
    assert capsys.readouterr().out == "nothing is missing\n"
