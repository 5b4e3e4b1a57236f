"""The example and the commands of docs/mlgpack.md."""

import shlex
from pathlib import Path

import pytest

import main
from quantlab.packs import load, pack_sizes
from tests.docs.markdown import CHECKOUT, read_page
from tests.lab import Lab

PAGE = read_page(CHECKOUT / "docs" / "mlgpack.md")


def test_the_example_writes_a_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = [block.text for block in PAGE.blocks if block.language == "python"]
    exec(compile(example, "mlgpack.md", "exec"), {"__name__": "__example__"})
    data = (tmp_path / "network.mlgpack").read_bytes()
    sizes = pack_sizes(data)
    said = [f"{size.layer} {size.part} {size.nbytes}" for size in sizes]
    assert capsys.readouterr().out.splitlines() == said
    assert sum(size.nbytes for size in sizes) == len(data)
    assert set(load(tmp_path / "network.mlgpack").weights) == {"2"}


@pytest.mark.long
def test_the_commands_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.home)
    first, *others = (shlex.split(line)[2:] for line in PAGE.blocks[0].text.splitlines())
    small = ["--data.source=synthetic", "--quick", "--experiment.threads=1"]
    assert main.main([*first, *small]) == 0
    for arguments in others:
        assert main.main(arguments) == 0
