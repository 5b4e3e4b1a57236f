"""The examples of docs/c.md: they run, and what they write compiles and computes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, read_page

PAGE = read_page(CHECKOUT / "docs" / "c.md")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: cc")


def blocks(language: str) -> list[str]:
    return [block.text for block in PAGE.blocks if block.language == language]


@needs_compiler
def test_ones_own_network_runs_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = blocks("python")[0]
    assert len([line for line in example.splitlines() if line]) <= 20
    exec(compile(example, "c.md", "exec"), {"__name__": "__example__"})
    assert "accuracy: " in capsys.readouterr().out
    caller = next(text for text in blocks("c") if "int main" in text)
    (tmp_path / "main.c").write_text(caller)
    (commands,) = [block.text for block in PAGE.blocks if block.text.startswith("cc ")]
    strict = commands.replace("-O2", "-O0 -Wall -Wextra -pedantic -Werror", 1)
    done = subprocess.run(["bash", "-ec", strict], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("class ")


@needs_compiler
def test_a_call_from_a_users_program_compiles(tmp_path: Path) -> None:
    caller = next(text for text in blocks("c") if "int classify" in text)
    (tmp_path / "model.h").write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "enum { QL_ARENA_SIZE = 8, QL_INPUT_SIZE = 4, QL_SCORES_SIZE = 40 };\n"
        "int ql_run(void*, const void*, size_t, void*, size_t);\n"
    )
    (tmp_path / "caller.c").write_text(caller)
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
    subprocess.run(["cc", *flags, tmp_path / "caller.c"], check=True)


def test_a_program_of_ones_own_becomes_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = [text for text in blocks("python") if "c_model(" in text]
    exec(compile(example, "c.md", "exec"), {"__name__": "__example__"})
    assert (tmp_path / "board" / "headers" / "input.h").is_file()


@needs_compiler
def test_the_bytes_of_a_program_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written, measured = (
        next(text for text in blocks("python") if part in text)
        for part in ("c_model(", "footprint(")
    )
    for example in (written, measured):
        exec(compile(example, "c.md", "exec"), {"__name__": "__example__"})
    assert "ql_run" in capsys.readouterr().out


def test_a_network_of_floats_becomes_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = [text for text in blocks("python") if 'dtype="f32"' in text]
    exec(compile(example, "c.md", "exec"), {"__name__": "__example__"})
    assert "0x1." in (tmp_path / "floats" / "headers" / "input.h").read_text()


def test_names_of_the_repository_that_the_page_tells_are_there() -> None:
    walks = (CHECKOUT / "quantlab" / "deploy" / "c" / "walks.py").read_text()
    for name in ("def arg_max(", "EMITTERS", "writer.new(", "writer.keep(", "writer.runtime"):
        assert name in walks
