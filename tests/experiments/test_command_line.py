"""What follows main.py, and the help about it."""

import pytest

from experiments.command_line import Option, Syntax, parse, usage
from experiments.commands.table import COMMANDS
from quantlab.errors import UsageError

SYNTAXES = {
    "train": Syntax(
        help="train it",
        options={"problem": Option(help="which"), "exp_id": Option(help="a number")},
        required=("problem",),
        sections=("a", "data", "e"),
    ),
    "show": Syntax(
        help="show it",
        options={
            "json": Option(help="as JSON", is_flag=True),
            "top": Option(help="how many", at_least=1),
            "how": Option(help="at what pace", allowed=("fast", "slow")),
            "size.height": Option(help="rows"),
            "size.width": Option(help="columns"),
        },
        operands="FILE ...",
    ),
}


def test_train_is_the_default() -> None:
    found = parse(["--problem=P"], SYNTAXES)
    assert found.command == "train"
    assert found.options == {"problem": "P"}
    assert parse(["train", "--problem=P"], SYNTAXES) == found


@pytest.mark.parametrize(
    "arguments", [["--problem=P", "--exp-id=3"], ["--problem", "P", "--exp_id", "3"]]
)
def test_spellings(arguments: list[str]) -> None:
    found = parse(arguments, SYNTAXES)
    assert found.options == {"problem": "P", "exp_id": "3"}
    assert found.number("exp_id") == 3


def test_overrides_keep_their_names_and_values() -> None:
    found = parse(["--problem=P", "--a.b-c=x=y", "--a.0.d", "-1", "--e.f="], SYNTAXES)
    assert [(o.path, o.text) for o in found.overrides] == [
        (("a", "b-c"), "x=y"),
        (("a", 0, "d"), "-1"),
        (("e", "f"), ""),
    ]


def test_a_whole_section() -> None:
    found = parse(["--problem=P", "--data={limit: 3}"], SYNTAXES)
    assert [(o.path, o.text) for o in found.overrides] == [(("data",), "{limit: 3}")]


def test_operands_and_flags() -> None:
    found = parse(["show", "a.png", "--json", "b=c.png", "--top=2"], SYNTAXES)
    assert found.operands == ["a.png", "b=c.png"]
    assert found.has("json")
    assert not found.has("other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw"], "no command named 'shw'; did you mean 'show'"),
        (["qqqq"], "no command named 'qqqq'; allowed: train, show"),
        (["train"], "train needs --problem=...; see: main.py train --help"),
        (["--problm=P"], "--problm: train has no such option; did you mean 'problem'"),
        (["show", "--size=3"], "no such option; did you mean 'size.height' or 'size.width'?"),
        (["--zzz=1"], "--zzz: train has no such option"),
        (["--problem=P", "--problem=Q"], "--problem: given twice"),
        (["--problem"], "--problem: needs a value, as --problem=VALUE"),
        (["--problem", "--exp_id=3"], "--problem: needs a value"),
        (["show", "--json=1"], "--json=1: takes no value"),
        (["show", "--json", "--json"], "--json: given twice"),
        (["show", "--top=many"], "--top=many: expected a whole number from 1"),
        (["show", "--top", "1.5"], "--top=1.5: expected a whole number from 1"),
        (["show", "--top=-3"], "--top=-3: expected a whole number from 1"),
        (["show", "--top=0"], "--top=0: at least 1 allowed"),
        (["show", "--how=slo"], "--how=slo: fast or slow allowed; did you mean 'slow'"),
        (["show", "--a.b=1"], "--a.b: show has no such option"),
        (["--problem=P", "x"], "'x': train takes no argument without dashes"),
        (["--problem=P", "-x"], "'-x': train takes no argument without dashes"),
        (["--problem=P", "--a..b=1"], "--a..b: an empty part"),
        (["--problem=P", "--=3"], "--: train has no such option"),
    ],
)
def test_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(arguments, SYNTAXES)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "\u00b2"])
def test_numbers(text: str) -> None:
    found = parse(["--problem=P", f"--exp_id={text}"], SYNTAXES)
    with pytest.raises(UsageError, match="expected a whole number from 0"):
        found.number("exp_id")


def test_help_tells_every_command_and_option() -> None:
    syntaxes = {name: command.syntax for name, command in COMMANDS.items()}
    text = usage(syntaxes)
    for name, syntax in syntaxes.items():
        assert f"  {name:<10} {syntax.help}" in text.splitlines()
        own = usage(syntaxes, name)
        assert own.splitlines()[0].startswith(f"usage: python main.py {name}")
        for option in syntax.options:
            assert f"--{option}" in own
        assert (".key=... " in own) == bool(syntax.sections)
        assert (syntax.values in own) == bool(syntax.sections)
        assert set(syntax.required) <= set(syntax.options)
        assert max(map(len, own.splitlines())) <= 100
