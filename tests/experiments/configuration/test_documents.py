"""YAML as plain data: everything round-trips, every trap is closed, all complaints are one line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.configuration.documents import (
    Document,
    dotted,
    merge,
    parse_document,
    parse_value,
    read_document,
)
from experiments.runs.folder import RunFolder
from quantlab.errors import UsageError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=15
)


@settings(max_examples=50, deadline=None)
@given(value=st.dictionaries(KEYS, PLAIN))
def test_json_is_read_as_itself(value: dict[str, Any]) -> None:
    """JSON is YAML: an independent writer of documents whose meaning is beyond doubt."""
    text = json.dumps(value, ensure_ascii=False)
    assert parse_document(text, name="f").values == value
    indented = json.dumps(value, indent=1, ensure_ascii=False)
    assert parse_document(indented, name="f").values == value


@settings(max_examples=50, deadline=None)
@example(value={"name": "1e3", "0E0": "0o7"})
@given(value=st.dictionaries(KEYS, PLAIN))
def test_what_a_run_writes_is_read_as_itself(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]
) -> None:
    run = RunFolder(problem="P", exp_id=0, path=tmp_path_factory.getbasetemp())
    run.write_config(value)
    assert read_document(run.config_file).values == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'null'", "null"),
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-1.5e+3", -1500.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1:30:00", "1:30:00"),
        ("2026-01-02", "2026-01-02"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("'12'", "12"),
        ('"1e-3"', "1e-3"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("<<", "<<"),
        ("=", "="),
        ("[1, on, 1e-3]", [1, "on", 0.001]),
        ("{a: {b: no}}", {"a": {"b": "no"}}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = parse_value(text, name="x")
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(parse_value(".nan", name="x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3: a: given twice, first at f:1"),
        ("x:\n  y:\n    a: 1\n    a: 1\n", "f:4: x.y.a: given twice, first at f:3"),
        ("x: [{a: 1, a: 2}]\n", "f:1: x.0.a: given twice, first at f:1"),
        ("1: a\n1.0: b\n", "given twice"),
        ("a: !!python/object/apply:os.system [ls]", "f:1: tag"),
        ("a: !!python/name:os.system", "f:1: tag"),
        ("a: !!set {x, y}", "f:1: tag"),
        ("a: !!binary aGk=", "f:1: tag"),
        ("a: !!timestamp 2026-01-02", "f:1: tag"),
        ("a: !custom 3", "f:1: tag !custom; only plain data is allowed"),
        ("a: &x [1, *x]", "f:1: an alias that contains itself"),
        ("a: &x {b: *x}", "f:1: an alias that contains itself"),
        ("a: *nowhere", "f:1: not valid YAML: found undefined alias"),
        ("a: [1\n", "not valid YAML"),
        ("\ta: 1\n", "f:1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f:2: not valid YAML"),
        ("a: b: c\n", "f:1: not valid YAML"),
        ("- 1\n- 2\n", "f: holds a list; expected a mapping"),
        ("3", "f: holds a int; expected a mapping"),
        ("on", "f: holds a str; expected a mapping"),
        ("? {a: 1}\n: 2\n", "f:1: a key is text or a number"),
        ("~: 1\n", "f:1: a key is text or a number, not None"),
        ("a: \x07\n", "f: not valid YAML"),
        ("a: " + "9" * 5000, "f:1"),
        ("a: " + "[" * 20_000, "f"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "f"),
        ("a: " + "{b: " * 20_000, "f"),
    ],
)
def test_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_document(text, name="f")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


def test_aliases_are_copied() -> None:
    values = parse_document("a: &x {b: [1]}\nc: *x\n", name="f").values
    assert values == {"a": {"b": [1]}, "c": {"b": [1]}}
    values["a"]["b"].append(2)
    assert values["c"]["b"] == [1]


def test_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 8) + "]" for i in range(1, 6)]
    with pytest.raises(UsageError, match="alias"):
        parse_document("\n".join(lines), name="f")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "{}", "\ufeff{}"])
def test_nothing_is_an_empty_mapping(text: str) -> None:
    assert parse_document(text, name="f").values == {}


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    refusal = ""
    try:
        parse_document(text, name="f")
    except UsageError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1, refusal


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a:\n  - b: ä\n", encoding="utf-8")
    document = read_document(file)
    assert document.values == {"a": [{"b": "ä"}]}
    assert document.origin(("a", 0, "b")) == f"{file}:2"
    assert document.origin(("a", 0, "missing")) == f"{file}:2"
    assert document.origin(("z",)) == f"{file}:1"
    file.write_bytes(b"ab: \xff")
    with pytest.raises(UsageError, match=r"c\.yaml: not UTF-8 text \(byte 4\)"):
        read_document(file)
    with pytest.raises(UsageError, match="a directory; expected a YAML file"):
        read_document(tmp_path)
    with pytest.raises(UsageError, match=r"none\.yaml: No such file or directory"):
        read_document(tmp_path / "none.yaml")


def test_names() -> None:
    assert dotted(("quantize", "rules", 0, "on")) == "quantize.rules.0.on"
    assert dotted(()) == ""


def lay(base: str, overlay: str) -> Document:
    return merge(parse_document(base, name="base"), parse_document(overlay, name="over"))


@pytest.mark.parametrize(
    ("base", "overlay", "merged"),
    [
        ("a: {b: 1, c: 2}", "a: {c: 3, d: 4}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("a: [1, 2]", "a: [3]", {"a": [3]}),
        ("a: {b: 1}", "a: 3", {"a": 3}),
        ("a: 3", "a: {b: 1}", {"a": {"b": 1}}),
        ("a: {b: 1}", "a: null", {"a": None}),
        ("a: {b: 1}", "", {"a": {"b": 1}}),
        ("", "a: 1", {"a": 1}),
        (
            "o: {class: SGD, params: {lr: 1, momentum: 2}}",
            "o: {class: Adam}",
            {"o": {"class": "Adam"}},
        ),
        (
            "o: {class: SGD, params: {lr: 1, momentum: 2}}",
            "o: {class: Adam, params: {lr: 3}}",
            {"o": {"class": "Adam", "params": {"lr": 3}}},
        ),
        (
            "o: {class: SGD, params: {lr: 1, momentum: 2}}",
            "o: {class: SGD, params: {lr: 3}}",
            {"o": {"class": "SGD", "params": {"lr": 3, "momentum": 2}}},
        ),
        (
            "o: {class: SGD, params: {lr: 1, momentum: 2}}",
            "o: {params: {lr: 3}}",
            {"o": {"class": "SGD", "params": {"lr": 3, "momentum": 2}}},
        ),
    ],
)
def test_merge(base: str, overlay: str, merged: object) -> None:
    assert lay(base, overlay).values == merged


@settings(max_examples=50, deadline=None)
@given(base=st.dictionaries(KEYS, PLAIN), overlay=st.dictionaries(KEYS, PLAIN))
def test_merging_changes_neither_and_the_overlay_wins(
    base: dict[str, Any], overlay: dict[str, Any]
) -> None:
    before = json.dumps([base, overlay])
    merged = merge(Document(values=base), Document(values=overlay)).values
    assert json.dumps([base, overlay]) == before
    assert merge(Document(values=merged), Document(values=overlay)).values == merged
    assert merge(Document(values=base), Document(values={})).values == base
    assert merge(Document(values={}), Document(values=overlay)).values == overlay


def test_origins_after_a_merge() -> None:
    document = lay("a: {b: 1,\n c: 2}\nd: [1]", "\n\n\na: {c: 3}\nd: 4")
    assert document.origin(("a", "b")) == "base:1"
    assert document.origin(("a", "c")) == "over:4"
    assert document.origin(("d",)) == "over:5"
    assert document.origin(("d", 0)) == "over:5"
