"""Complaints about a configuration: the dotted name, the nearest name, the place."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from experiments.configuration.documents import Document, parse_document
from experiments.configuration.overrides import apply_overrides, parse_override
from experiments.configuration.section import ClassSpec, Section, validate
from experiments.experiment.config import Config
from quantlab.errors import UsageError


class Round(Section):
    kind: Literal["round"]
    radius: float = Field(gt=0)


class Square(Section):
    kind: Literal["square"]
    side_length: int


class Limits(Section):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _ordered(self) -> "Limits":
        if self.low > self.high:
            raise ValueError(f"low: {self.low} is above high: {self.high}")
        return self


class Root(Section):
    name: str
    shape: Annotated[Round | Square, Field(discriminator="kind")] | None = None
    shapes: list[Annotated[Round | Square, Field(discriminator="kind")]] = Field(default=[])
    limits: Limits = Limits()
    by_epoch: dict[int, Limits] = Field(default={})
    mode: Literal["fast", "slow"] = "fast"
    network: ClassSpec | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x", "nam: unknown key; did you mean 'name'? (f:1)"),
        ("{}", "name: missing"),
        ("name: 3", "name: input should be a valid string (got 3) (f:1)"),
        ("name: x\nmode: fats", "mode: input should be 'fast' or 'slow' (got 'fats') (f:2)"),
        (
            "name: x\nlimits:\n  lwo: 3",
            "limits.lwo: unknown key; did you mean 'low'? (f:3)",
        ),
        (
            "name: x\nlimits: {zzz: 3}",
            "limits.zzz: unknown key; allowed: high, low (f:2)",
        ),
        ("name: x\nlimits: {low: true}", "limits.low: input should be a valid integer (got True)"),
        ("name: x\nlimits: {low: 1.0}", "limits.low: input should be a valid integer"),
        ("name: x\nlimits: {low: '1'}", "limits.low: input should be a valid integer (got '1')"),
        ("name: x\nlimits: 4", "limits: input should be"),
        ("name: x\nlimits:\n  low: 10", "limits: low: 10 is above high: 9 (f:2)"),
        (
            "name: x\nshape: {kind: round, radios: 3}",
            "shape.radios: unknown key; did you mean 'radius'? (f:2)",
        ),
        (
            "name: x\nshape: {kind: square, side_lenght: 3}",
            "shape.side_lenght: unknown key; did you mean 'side_length'? (f:2)",
        ),
        ("name: x\nshape: {kind: round, radius: 0}", "shape.radius: input should be greater than"),
        ("name: x\nshape: {kind: round, radius: .inf}", "shape.radius: input should be a finite"),
        ("name: x\nshape: {kind: round, radius: .nan}", "shape.radius: input should be"),
        ("name: x\nshape: {kind: round}", "shape.radius: missing (f:2)"),
        (
            "name: x\nshape: {kind: roun, radius: 1}",
            "shape.kind: 'roun' given, round, square allowed; did you mean 'round'? (f:2)",
        ),
        ("name: x\nshape: {radius: 1}", "shape.kind: missing (f:2)"),
        (
            "name: x\nshapes:\n  - {kind: round, radius: 1}\n  - {kind: square, side_len: 1}",
            "shapes.1.side_len: unknown key; did you mean 'side_length'? (f:4)",
        ),
        (
            "name: x\nby_epoch:\n  3: {high: 1}\n  5: {hihg: 1}",
            "by_epoch.5.hihg: unknown key",
        ),
        (
            "name: x\nnetwork: {clas: A}",
            "network.clas: unknown key; did you mean 'class'? (f:2)",
        ),
        ("name: x\nnetwork: {name: A}", "network.name: unknown key; allowed: class, params (f:2)"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(Root, parse_document(text, name="f"))
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_fine() -> None:
    text = "{name: x, shape: {kind: round, radius: 1}, by_epoch: {2: {low: 1}}}"
    root = validate(Root, parse_document(text, name="f"))
    assert isinstance(root.shape, Round)
    assert root.shape.radius == 1.0
    assert root.by_epoch[2].low == 1


def test_an_unknown_section_comes_before_all_else() -> None:
    text = "experiment: {epochs: x}\ntrainig: {}\n"
    with pytest.raises(UsageError, match=r"trainig: unknown key; did you mean 'training'\? \(f:2"):
        validate(Config, parse_document(text, name="f"))


def test_values_are_final() -> None:
    limits = Limits()
    with pytest.raises(ValueError, match="frozen"):
        limits.low = 3  # type: ignore[misc]  # what must fail


class Texts(Section):
    name: str = ""
    note: str | None = None
    notes: list[str] = Field(default=[])
    count: int = 0
    mode: Literal["fast", "slow"] = "fast"
    free: dict[str, object] = Field(default={})
    later: Any = None


def given(*overrides: str) -> Document:
    parsed = [parse_override(*override.split("=", 1)) for override in overrides]
    return apply_overrides(parse_document("notes: [a, b]", name="f"), parsed)


@pytest.mark.parametrize(
    "text",
    [
        "Über straße #1", "007", "1e3", "true", "no", "null", "~", "[x", "{a", "a: b: c", "- x",
        "&a", "*a", "!!python/name:x", "%", "@x", "it's", "", " x ", "2026-11-28",
    ],
)  # fmt: skip
def test_fields_of_text_take_the_command_line_as_it_is(text: str) -> None:
    config = validate(Texts, given(f"name={text}", f"notes.1={text}"))
    assert (config.name, config.notes) == (text, ["a", text])


@pytest.mark.parametrize(
    ("override", "wanted"),
    [("note=", None), ("note=null", None), ("note=~", None), ("note=#1", "#1"), ("note=0", "0")],
)
def test_text_that_may_be_missing_may_be_null(override: str, wanted: str | None) -> None:
    assert validate(Texts, given(override)).note == wanted


@pytest.mark.parametrize(("quoted", "wanted"), [("'007'", "007"), ('"a#\\u00e4"', "a#\u00e4")])
def test_quotes_are_those_of_yaml(quoted: str, wanted: str) -> None:
    assert validate(Texts, given(f"name={quoted}")).name == wanted


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count=[1", "--count:1: not valid YAML"),
        ("free.a=!!python/name:x", "only plain data"),
        ("mode=[1", "--mode:1: not valid YAML"),
        ("cuont=[1", "--cuont:1: not valid YAML"),
        ("count=x", "count: input should be a valid integer (got 'x') (command line)"),
        ("cuont=1", "cuont: unknown key; did you mean 'count'? (command line)"),
    ],
)
def test_other_fields_are_yaml(override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(Texts, given(override))
    assert message in str(caught.value)


def test_sections_of_another_model_are_left_to_it() -> None:
    """Early checks know them as anything."""
    assert validate(Texts, given("later.name=[x")).later == {"name": "[x"}
