"""The examples of docs/intermittent.md: they run, and a device's program compiles."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, read_page

PAGE = read_page(CHECKOUT / "docs" / "intermittent.md")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: cc")


def block(language: str) -> str:
    (text,) = [block.text for block in PAGE.blocks if block.language == language]
    return text


@needs_compiler
@pytest.mark.long
def test_ones_own_network_survives_and_its_device_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), "intermittent.md", "exec"), {"__name__": "__example__"})
    assert "failures of the power, no wrong output" in capsys.readouterr().out
    (tmp_path / "main.c").write_text(block("c"))
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-Imy_model"]
    subprocess.run(["cc", *flags, "main.c"], check=True)
