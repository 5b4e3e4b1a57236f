"""Options that cannot go together, or point nowhere."""

from pathlib import Path

import pytest

from experiments.command_line import Invocation
from experiments.commands.checks import check_report, check_verify
from quantlab.errors import UsageError


def invocation(options: dict[str, str]) -> Invocation:
    return Invocation(command="", options=options, overrides=[], operands=[])


def test_what_may_be(tmp_path: Path) -> None:
    check_report(invocation({"problem": "P", "exp_id": "0"}))
    check_report(invocation({"html": str(tmp_path / "page.html")}))
    check_verify(invocation({"problem": "P", "exp_id": "0", "tested": "all", "fold": "1"}))
    check_verify(invocation({"torchvision": "alexnet", "images": "photos", "samples": "3"}))


@pytest.mark.parametrize("file", ["", "/", "/nowhere/page.html"])
def test_where_no_page_can_be(file: str) -> None:
    with pytest.raises(UsageError, match=f"--html={file}: a file in a folder that exists allowed"):
        check_report(invocation({"html": file}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": "P"}, "verify needs --exp_id="),
        ({"exp_id": "3"}, "verify needs --problem="),
        ({"torchvision": "alexnet"}, "verify needs --images="),
        ({"images": "a", "problem": "P", "exp_id": "0"}, "--images=a: not allowed without"),
        ({"torchvision": "alexnet", "images": "a", "fold": "1"}, "--fold=1: not allowed with "),
    ],
)
def test_what_verify_refuses(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_verify(invocation(options))
