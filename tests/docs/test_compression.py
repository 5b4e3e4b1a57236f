"""The example of docs/compression.md, and what the page says that it prints."""

import re
import shlex
import subprocess
from ctypes import CDLL, c_char_p
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from torch import Tensor

from quantlab import save_compressed_model
from quantlab.compression import Compressed, Recipe
from quantlab.compression.target import HOST
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.integer.interpreter import run
from tests.docs.markdown import CHECKOUT, Block, read_page

PAGE = read_page(CHECKOUT / "docs" / "compression.md")
NUMBER = re.compile(r"\d[\d,.]*")


def the_block(start: str) -> Block:
    (block,) = [block for block in PAGE.blocks if block.text.startswith(start)]
    return block


def shape_of(line: str) -> str:
    """Return a line without its figures, and without the spaces and encodings between them."""
    return re.sub(r"\b(small_)?(dense|csr|rice|small|nibbles)\b", "#", NUMBER.sub("#", line))


def assert_classify_is_the_program(images: Tensor, result: Compressed) -> None:
    """Compile the page's function with the command below it, and call it with all images."""
    Path("classify.c").write_text(the_block("#include").text)
    command = shlex.split(the_block("cc ").text.replace(" -c ", " -shared -fPIC -o model.so "))
    files = [str(path) for path in sorted(Path("small/c/runtime").glob("*.c"))]
    strict = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run([*command[:-1], *files, *strict], check=True)
    classify = CDLL(str(Path("model.so").resolve())).classify
    codes = codes_of(images, result.spec)
    wanted = run(result.program, {"input": codes})["scores"].argmax(1)
    # The C has rows of columns of channels: the same bytes, since there is one channel.
    given = [classify(c_char_p(one.tobytes())) for one in codes]
    np.testing.assert_array_equal(given, wanted)


@pytest.mark.long
@pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
def test_the_example_fits_its_budget_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = the_block("import torch").text
    assert len([line for line in example.splitlines() if line]) <= 20
    board = "c-m3" if which(BOARDS["c-m3"].compiler) else HOST
    example = example.replace('budget="20 KB"', f'budget="20 KB", board="{board}"')
    names: dict[str, object] = {"__name__": "__example__"}
    exec(compile(example, "compression.md", "exec"), names)
    printed = capsys.readouterr().out
    told = the_block("layer").text.replace("c-m3", board)
    shapes = [shape_of(line).split() for line in printed.splitlines()]
    for line in told.splitlines():
        assert shape_of(line).split() in shapes, line
    (flash,) = re.findall(r"flash: ([\d,]+) bytes of 20,000", printed)
    assert int(flash.replace(",", "")) <= 20_000
    assert (tmp_path / "small" / "c" / "model.c").is_file()
    assert (tmp_path / "small" / "report.txt").read_text().strip() == printed.strip()
    images, result = names["images"], names["result"]
    assert isinstance(images, Tensor)
    assert isinstance(result, Compressed)
    assert_classify_is_the_program(images, result)
    # As docs/intermittent.md says.
    saved = save_compressed_model(
        result.network, "smallest", images[0], spec=result.spec, intermittent=True
    )
    assert saved.spec == result.spec


def test_the_figures_of_the_page_add_up() -> None:
    rows = [line.split() for line in the_block("layer").text.splitlines()]
    totals = {row[0]: int(row[-1].replace(",", "")) for row in rows if row and len(row) == 5}
    (flash,) = [int(row[1].replace(",", "")) for row in rows if row and row[0] == "flash:"]
    assert totals["all"] == flash <= 20_000
    assert sum(total for name, total in totals.items() if name != "all") < flash


def test_the_page_has_each_field_of_the_recipe_with_its_default() -> None:
    def told(default: object) -> str:
        if isinstance(default, tuple):
            return f"({', '.join(map(told, default))})"
        if isinstance(default, str):
            return f"`{default}`"
        return "2/3" if default == 2 / 3 else str(default)

    rows = PAGE.section("The recipe").rows
    fields = {row[0].strip("`"): row[1] for row in rows if len(row) == 3}
    assert fields == {
        name: told(field.get_default()) for name, field in Recipe.model_fields.items()
    }
