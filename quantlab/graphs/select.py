"""Selectors: which layers of a network are meant.

    select('layer[1-4].* & type:Conv2d & !first')            in a config
    select('layer[1-4].*') & types(nn.Conv2d) & ~first()     in Python

    GLOB        layers whose dotted name matches; `*` matches dots too
    type:GLOB   layers of a class, or of a subclass, whose name matches
    first last  the first and last layer with weights, in the order of definition
    !a  a & b  a | b  (a)     not, and, or; `!` binds tightest, then `&`, then `|`

Selectors choose among the layers that have weights to quantize: Linear, Conv1d, Conv2d,
ConvTranspose1d, ConvTranspose2d and their subclasses, each once. A layer that is really called
`first` is written `[f]irst`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import reduce

from torch import nn

from quantlab.errors import UsageError, check_kind, did_you_mean

LAYER_TYPES: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
)

Layers = Mapping[str, nn.Module]

_MOST_NAMES_SHOWN = 8


def quantizable_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with weights by dotted name, in the order of definition."""
    return {name: m for name, m in network.named_modules() if isinstance(m, LAYER_TYPES)}


class Selector(ABC):
    """A set of layers in words. `str(s)` is the expression, and `parse(str(s)) == s`."""

    _binds = 3  # how tightly the outermost operator binds: | 0, & 1, ! 2, none 3

    @abstractmethod
    def names(self, layers: Layers) -> frozenset[str]:
        """Return the names among `layers` that are meant."""

    def resolve(self, network: nn.Module) -> dict[str, nn.Module]:
        """Return the layers of a network that are meant, in the order of definition.

        Raises UsageError; see `among`.
        """
        return self.among(quantizable_layers(network))

    def among(self, layers: Layers, kind: str = "layer") -> dict[str, nn.Module]:
        """Return those of some layers that are meant, in their order.

        kind: what the layers are, for errors. Raises UsageError if none is meant, or if a part of
        the selector matches none: a setting without effect is a mistake.
        """
        for part in self._parts():
            if not part.names(layers):
                hint = did_you_mean(part.pattern, part.candidates(layers))
                raise UsageError(f"select: '{part}' matches no {kind}{hint or _among(layers)}")
        names = self.names(layers)
        if not names:
            raise UsageError(f"select: '{self}' matches no {kind}{_among(layers)}")
        return {name: layer for name, layer in layers.items() if name in names}

    def is_about(self, layers: Layers) -> bool:
        """Return whether each part of the selector matches some of the layers."""
        return all(part.names(layers) for part in self._parts())

    def __and__(self, other: "Selector") -> "Selector":
        return And(self, other)

    def __or__(self, other: "Selector") -> "Selector":
        return Or(self, other)

    def __invert__(self) -> "Selector":
        return Not(self)

    def _parts(self) -> Iterator["_Pattern"]:
        """Yield the patterns that this selector is made of."""
        yield from ()

    def _within(self, binds: int) -> str:
        """Return the expression, in parentheses if it binds less tightly than `binds`."""
        return str(self) if self._binds >= binds else f"({self})"


class _Pattern(Selector):
    pattern: str

    @abstractmethod
    def candidates(self, layers: Layers) -> list[str]:
        """Return the words that the pattern could have matched."""

    def _parts(self) -> Iterator["_Pattern"]:
        yield self


@dataclass(frozen=True)
class Glob(_Pattern):
    """Layers whose dotted name matches a glob."""

    pattern: str

    def names(self, layers: Layers) -> frozenset[str]:
        return frozenset(name for name in layers if fnmatchcase(name, self.pattern))

    def candidates(self, layers: Layers) -> list[str]:
        return list(layers)

    def __str__(self) -> str:
        return self.pattern


@dataclass(frozen=True)
class Type(_Pattern):
    """Layers whose class, or a class that it inherits from, has a matching name."""

    pattern: str

    def names(self, layers: Layers) -> frozenset[str]:
        return frozenset(
            name
            for name, layer in layers.items()
            if any(fnmatchcase(word, self.pattern) for word in _class_names(layer))
        )

    def candidates(self, layers: Layers) -> list[str]:
        return sorted({word for layer in layers.values() for word in _class_names(layer)})

    def __str__(self) -> str:
        return f"type:{self.pattern}"


@dataclass(frozen=True)
class First(Selector):
    """The first layer with weights."""

    def names(self, layers: Layers) -> frozenset[str]:
        return frozenset(list(layers)[:1])

    def __str__(self) -> str:
        return "first"


@dataclass(frozen=True)
class Last(Selector):
    """The last layer with weights."""

    def names(self, layers: Layers) -> frozenset[str]:
        return frozenset(list(layers)[-1:])

    def __str__(self) -> str:
        return "last"


@dataclass(frozen=True)
class Not(Selector):
    """All layers but those of `operand`."""

    operand: Selector

    _binds = 2

    def names(self, layers: Layers) -> frozenset[str]:
        return frozenset(layers) - self.operand.names(layers)

    def _parts(self) -> Iterator[_Pattern]:
        return self.operand._parts()

    def __str__(self) -> str:
        return f"!{self.operand._within(2)}"


@dataclass(frozen=True)
class And(Selector):
    """Layers of both operands."""

    left: Selector
    right: Selector

    _binds = 1

    def names(self, layers: Layers) -> frozenset[str]:
        return self.left.names(layers) & self.right.names(layers)

    def _parts(self) -> Iterator[_Pattern]:
        yield from self.left._parts()
        yield from self.right._parts()

    def __str__(self) -> str:
        return f"{self.left._within(1)} & {self.right._within(2)}"


@dataclass(frozen=True)
class Or(Selector):
    """Layers of either operand."""

    left: Selector
    right: Selector

    _binds = 0

    def names(self, layers: Layers) -> frozenset[str]:
        return self.left.names(layers) | self.right.names(layers)

    def _parts(self) -> Iterator[_Pattern]:
        yield from self.left._parts()
        yield from self.right._parts()

    def __str__(self) -> str:
        return f"{self.left._within(0)} | {self.right._within(1)}"


def first() -> Selector:
    """Select the first layer with weights."""
    return First()


def last() -> Selector:
    """Select the last layer with weights."""
    return Last()


def types(*classes: type[nn.Module]) -> Selector:
    """Select the layers of these classes or of subclasses. Raises UsageError if none is given."""
    if not classes:
        raise UsageError("types: none given, at least one allowed")
    parts: list[Selector] = [Type(cls.__name__) for cls in classes]
    return reduce(Or, parts)


def select(expression: str) -> Selector:
    """Return the selector that an expression describes.

    Raises UsageError, with the position, if it is not well formed.
    """
    check_kind("select", expression, str, "text such as 'layer* & !first'")
    return _Parser(expression).parse()


def _class_names(layer: nn.Module) -> list[str]:
    classes = type(layer).__mro__
    return [cls.__name__ for cls in classes[: classes.index(nn.Module)]]


def _among(layers: Layers) -> str:
    if not layers:
        return "; the network has none with weights"
    shown = [name or "(the network itself)" for name in layers][:_MOST_NAMES_SHOWN]
    more = len(layers) - len(shown)
    return f" among {', '.join(shown)}{f' and {more} more' if more else ''}"


class _Parser:
    """expression = term {'|' term};  term = factor {'&' factor};
    factor = '!' factor | '(' expression ')' | 'first' | 'last' | 'type:' GLOB | GLOB."""

    # A word runs to the next blank or operator; within [...] those are part of it.
    _TOKEN = re.compile(r"\s*((?:\[\]?[^\]\s]*\]|[^\s&|!()\[])+|[&|!()\[])")
    _OPERATORS = frozenset("&|!()[")

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[tuple[str, int]] = []
        end = len(expression.rstrip())
        position = 0
        while position < end and (match := self._TOKEN.match(expression, position)):
            self._tokens.append((match[1], match.start(1)))
            position = match.end()
        self._tokens.append(("", end))
        self._next = 0

    def parse(self) -> Selector:
        selector = self._or()
        if self._token:
            raise self._error("'&', '|' or the end")
        return selector

    @property
    def _token(self) -> str:
        return self._tokens[self._next][0]

    def _skip(self, token: str) -> bool:
        """Go on if the next token is this one."""
        is_next = self._token == token
        self._next += is_next
        return is_next

    def _or(self) -> Selector:
        selector = self._and()
        while self._skip("|"):
            selector = Or(selector, self._and())
        return selector

    def _and(self) -> Selector:
        selector = self._factor()
        while self._skip("&"):
            selector = And(selector, self._factor())
        return selector

    def _factor(self) -> Selector:
        if self._skip("!"):
            return Not(self._factor())
        if self._skip("("):
            selector = self._or()
            if not self._skip(")"):
                raise self._error("'&', '|' or ')'")
            return selector
        word = self._token
        if not word or word in self._OPERATORS or word == "type:":
            raise self._error("a name, 'type:NAME', 'first', 'last', '!' or '('")
        self._next += 1
        if word in ("first", "last"):
            return First() if word == "first" else Last()
        return Type(word.removeprefix("type:")) if word.startswith("type:") else Glob(word)

    def _error(self, expected: str) -> UsageError:
        token, position = self._tokens[self._next]
        found = f"'{token}'" if token else "the end"
        return UsageError(
            f"select: '{self._expression}': {found} at character {position + 1}, "
            f"{expected} expected"
        )
