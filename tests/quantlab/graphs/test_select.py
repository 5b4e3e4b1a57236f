import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from quantlab.errors import UsageError
from quantlab.graphs.select import (
    And,
    First,
    Glob,
    Last,
    Not,
    Or,
    Selector,
    Type,
    first,
    last,
    quantizable_layers,
    select,
    types,
)


class Special(nn.Conv2d):
    pass


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.bn = nn.BatchNorm2d(1)
        self.down = Special(1, 1, 1)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 1, 1)
        self.layer1 = Block()
        self.layer2 = Block()
        self.again = self.layer1  # the same layers are not found twice
        self.fc = nn.Linear(1, 1)


ALL = ["stem", "layer1.conv", "layer1.down", "layer2.conv", "layer2.down", "fc"]


def test_layers_in_the_order_of_definition() -> None:
    assert list(quantizable_layers(Network())) == ALL


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("*", ALL),
        ("first", ["stem"]),
        ("last", ["fc"]),
        ("!first & !last", ALL[1:-1]),
        ("layer*", ALL[1:-1]),
        ("layer[1-1].*", ["layer1.conv", "layer1.down"]),
        ("layer[!1]*", ["layer2.conv", "layer2.down"]),
        ("type:Special", ["layer1.down", "layer2.down"]),
        ("type:Conv* & !type:Special", ["stem", "layer1.conv", "layer2.conv"]),
        ("layer*&type:Conv2d&!first", ALL[1:-1]),
        ("fc | stem", ["stem", "fc"]),
        ("stem | layer1.* & type:Special", ["stem", "layer1.down"]),
        ("(stem | layer1.*) & type:Special", ["layer1.down"]),
        ("!(stem | layer*)", ["fc"]),
        ("!!fc", ["fc"]),
        ("!fc & *.conv", ["layer1.conv", "layer2.conv"]),
    ],
)
def test_expressions(expression: str, names: list[str]) -> None:
    assert list(select(expression).resolve(Network())) == names


def test_python_spelling() -> None:
    written = select("layer[1-4].*") & types(nn.Conv2d) & ~first() & ~last()
    assert written == select("layer[1-4].* & type:Conv2d & !first & !last")
    assert (types(nn.Conv2d, nn.Linear) | first()) == select("type:Conv2d | type:Linear | first")
    with pytest.raises(UsageError, match="types: none given"):
        types()


WORDS = st.sampled_from(["a", "a.b", "layer[1-4]*", "*", "x[!&]y", "[f]irst"])
SELECTORS: st.SearchStrategy[Selector] = st.recursive(
    st.one_of(st.builds(Glob, WORDS), st.builds(Type, WORDS), st.just(First()), st.just(Last())),
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(And, inner, inner), st.builds(Or, inner, inner)
    ),
    max_leaves=12,
)


@given(SELECTORS)
@settings(deadline=None)
def test_parsing_undoes_printing(selector: Selector) -> None:
    assert select(str(selector)) == selector
    assert select(str(selector).replace(" ", "")) == selector


@given(SELECTORS)
@settings(deadline=None)
def test_names_follow_the_truth_table(selector: Selector) -> None:
    layers = quantizable_layers(Network())

    def holds(s: Selector, name: str) -> bool:
        match s:
            case Not(operand):
                return not holds(operand, name)
            case And(left, right):
                return holds(left, name) and holds(right, name)
            case Or(left, right):
                return holds(left, name) or holds(right, name)
            case _:
                return name in s.names(layers)

    assert selector.names(layers) == {name for name in layers if holds(selector, name)}


@given(st.text(alphabet="ab*[]!&|() :typefirst", max_size=20))
@settings(deadline=None)
def test_any_text_parses_or_is_one_line(text: str) -> None:
    try:
        selector = select(text)
    except UsageError as error:
        message = str(error)
    else:
        assert select(str(selector)) == selector
        return
    assert "\n" not in message
    assert message.endswith("expected")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "select: '': the end at character 1"),
        ("   ", "the end at character 1"),
        ("a && b", "'&' at character 4"),
        ("a b", "'b' at character 3, '&', '|' or the end expected"),
        ("a and b", "'and' at character 3"),
        ("(a | b", "the end at character 7, '&', '|' or ')' expected"),
        ("a)", "')' at character 2"),
        ("a &", "the end at character 4"),
        ("type:", "'type:' at character 1"),
        ("a & [b", "'[' at character 5"),
        ("!", "the end at character 2"),
    ],
)
def test_malformed(expression: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(expression)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("layer1.cnv", "'layer1.cnv' matches no layer; did you mean 'layer1.conv'?"),
        ("type:conv2d", "'type:conv2d' matches no layer; did you mean 'Conv2d'?"),
        ("zzz", "'zzz' matches no layer among stem, layer1.conv"),
        ("first & last", "'first & last' matches no layer among stem"),
        ("stem | layer9.conv", "'layer9.conv' matches no layer"),
        ("!layer9.conv", "'layer9.conv' matches no layer"),
    ],
)
def test_without_effect(expression: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(expression).resolve(Network())
    assert message in str(caught.value)


def test_networks_of_one_and_of_none() -> None:
    lone = nn.Linear(1, 1)
    assert select("first & last").resolve(lone) == {"": lone}
    with pytest.raises(UsageError, match="the network has none with weights"):
        select("*").resolve(nn.ReLU())
    with pytest.raises(UsageError, match="and 2 more"):
        select("zzz").resolve(nn.Sequential(*(nn.Linear(1, 1) for _ in range(10))))


LAYERS = {name: nn.Linear(1, 1) for name in ("a.one", "a.two", "b.one")} | {
    "b.c": nn.Conv2d(1, 1, 1)
}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("*", ["a.one", "a.two", "b.one", "b.c"]),
        ("a.* | last", ["a.one", "a.two", "b.c"]),
        ("type:Linear & !first", ["a.two", "b.one"]),
    ],
)
def test_among(expression: str, names: list[str]) -> None:
    assert list(select(expression).among(LAYERS, "thing")) == names


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("zzz", "select: 'zzz' matches no thing among a.one, a.two, b.one, b.c"),
        ("* & !a.tow", "select: 'a.tow' matches no thing; did you mean 'a.two'?"),
        ("type:Linaer", "select: 'type:Linaer' matches no thing; did you mean 'Linear'?"),
        ("first & last", "select: 'first & last' matches no thing among a.one"),
    ],
)
def test_what_matches_none_among_them(expression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        select(expression).among(LAYERS, "thing")


def test_long_lists_are_cut() -> None:
    many = {f"layer{i}": nn.Linear(1, 1) for i in range(12)}
    with pytest.raises(UsageError, match=r"layer7 and 4 more"):
        select("x").among(many)
