"""Values by dotted names."""

import copy
from typing import Any

import pytest

from experiments.configuration.documents import parse_document
from experiments.configuration.overrides import Override, apply_overrides, parse_override
from quantlab.errors import UsageError

BASE = parse_document(
    """
a: {b: 1, c: [{d: 1}, {d: 2}]}
o: {class: SGD, params: {lr: 1, momentum: 2}}
n: null
""",
    name="base",
)


def override(*texts: str) -> list[Override]:
    return [parse_override(*text.split("=", 1)) for text in texts]


def applied(*texts: str) -> dict[str, Any]:
    return apply_overrides(BASE, override(*texts)).values


def test_values_are_yaml() -> None:
    values = applied("a.b=1e-3", "a.x=on", "a.y=[1, 2]", "a.z=", "a.w={k: v}", "a.q='7'")["a"]
    assert values["b"] == 0.001
    assert (values["x"], values["y"], values["z"]) == ("on", [1, 2], None)
    assert (values["w"], values["q"]) == ({"k": "v"}, "7")


def test_items_of_lists_by_number() -> None:
    assert applied("a.c.1.d=9")["a"]["c"] == [{"d": 1}, {"d": 9}]
    assert applied("a.c.0=x")["a"]["c"] == ["x", {"d": 2}]


def test_sections_are_made_on_the_way() -> None:
    assert applied("new.deep.x=1", "n.x=2") == {
        **BASE.values,
        "new": {"deep": {"x": 1}},
        "n": {"x": 2},
    }


@pytest.mark.parametrize(
    "texts", [("o.class=Adam", "o.params.lr=3"), ("o.params.lr=3", "o.class=Adam")]
)
def test_another_class_drops_the_params_in_any_order(texts: tuple[str, str]) -> None:
    assert applied(*texts)["o"] == {"class": "Adam", "params": {"lr": 3}}


def test_the_same_class_keeps_them() -> None:
    assert applied("o.class=SGD", "o.params.lr=3")["o"]["params"] == {"lr": 3, "momentum": 2}


def test_the_last_of_two_wins() -> None:
    assert applied("a.b=1", "a.b=2")["a"]["b"] == 2


def test_a_section_that_is_given_anew_has_nothing_of_before() -> None:
    document = apply_overrides(BASE, override("o.params={lr: 3}", "o={class: Adam}"))
    assert document.values["o"] == {"class": "Adam"}
    assert list(document.texts) == [("o",)]


def test_the_document_stays() -> None:
    before = copy.deepcopy(BASE.values)
    applied("a.c.0.d=7", "o.class=Adam")
    assert before == BASE.values


def test_origins() -> None:
    document = apply_overrides(BASE, override("a.c={x: 1}"))
    assert document.origin(("a", "c")) == "command line"
    assert document.origin(("a", "c", "x")) == "command line"
    assert document.origin(("a", "c", 0, "d")) == "command line"
    assert document.origin(("a", "b")) == "base:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.c.2.d=1", "--a.c.2.d: 2 is no item of the list; allowed: 0 to 1"),
        ("a.c.x=1", "--a.c.x: 'x' is no item of the list; allowed: 0 to 1"),
        ("a.c.-1=1", "'-1' is no item"),
        ("a.b.x=1", "--a.b.x: a.b is 1, no section"),
        ("a.b.x.y=1", "--a.b.x.y: a.b is 1, no section"),
        ("o.class.x=1", "--o.class.x: o.class is 'SGD', no section"),
        ("a..b=1", "--a..b: an empty part in the dotted name"),
        (".a=1", "an empty part"),
        ("a.=1", "an empty part"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        applied(text)
    assert message in str(caught.value)


def test_an_empty_list_has_no_items() -> None:
    document = parse_document("a: []", name="f")
    with pytest.raises(UsageError, match="allowed: nothing, the list is empty"):
        apply_overrides(document, override("a.0=1"))
