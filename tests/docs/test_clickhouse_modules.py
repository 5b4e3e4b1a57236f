"""The example and the table of docs/clickhouse-modules.md."""

from typing import Any, get_args

from quantlab.deploy.clickhouse.wasm.plan import Form
from tests.docs.markdown import CHECKOUT, read_page

PAGE = read_page(CHECKOUT / "docs" / "clickhouse-modules.md")


def test_the_example_runs() -> None:
    (example,) = [block.text for block in PAGE.blocks if block.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(example, "clickhouse-modules.md", "exec"), names)
    assert names["module"].code.startswith(b"\0asm")


def test_all_forms_are_described() -> None:
    assert [row[0].strip("`") for row in PAGE.rows] == list(get_args(Form))
