"""The constants of operations from the parameters of the store, in the query itself.

Nothing is derived and kept beside the parameters: a query reads `planes` and `numbers` and makes
the rows of the table that it would read. Rows of the store may repeat. The modern dialect alone has
the functions.
"""

from collections.abc import Mapping
from functools import singledispatch
from math import prod

import numpy as np

from quantlab.deploy.clickhouse.relational.geometry import coordinates, flat, numbers, size
from quantlab.deploy.clickhouse.relational.packing import word_of_channel
from quantlab.deploy.clickhouse.relational.writer import Constants, at, columns, narrowed, step
from quantlab.deploy.clickhouse.sql.functions import call, index, quotient, remainder
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    Expression,
    Join,
    Literal,
    Select,
    Step,
    Table,
    UnionAll,
    Value,
)
from quantlab.integer.operations import Convolution, Linear, Lookup, Operation, Threshold
from quantlab.integer.operations.rescale import Rescale

_WIDTH = 64  # bits of a stored word


class Parameters:
    """The rows of an operation in the store. key: its hash there. chosen: the neuron, where one
    alone is wanted."""

    def __init__(
        self, operation: Operation, key: str, database: str, chosen: Mapping[str, int]
    ) -> None:
        self._constants, self._key = operation.constants(), key
        self._database, self._chosen = database, chosen

    def rows(self, table: str, constant: str, *names: str) -> Step:
        """Return the rows of a constant, each once."""
        where = (
            Column("layer").equals(Value("layer", "String", self._key)),
            Column("constant").equals(Value("constant", "String", constant)),
            *at(self._chosen, *names),
        )
        source = Table(table, self._database)
        return step(
            f"{table}_of_{constant}", columns(*names), source, where=where, is_distinct=True
        )

    def elements(self, constant: str, place: str, value: str) -> Step:
        """Return the integers of a constant and where they are in it, in columns of these names."""
        inner = prod(self._constants[constant].shape[1:])
        position = numbers("integers", inner)
        rows = self.rows("numbers", constant, "place", "integers")
        made = columns("place", "integers", position=position)
        placed = step(f"places_of_{constant}", made, rows)
        at = index(Column("place") * size("integers", inner) + Column("position"))
        integer = call("arrayElement", "integers", Column("position") + 1)
        return step(constant, columns(**{place: at, value: integer}), placed)


def stored_constants(keys: Mapping[str, str], database: str) -> Constants:
    """Return constants that lie in a store. keys: the hash of each operation's layer, by the name
    of its output."""

    def constants(relation: str, operation: Operation, chosen: Mapping[str, int]) -> Step:
        parameters = Parameters(operation, keys[operation.output], database, chosen)
        found = rows_in_store(operation, relation, parameters)
        return narrowed(found, chosen, *chosen)

    return constants


@singledispatch
def rows_in_store(operation: Operation, relation: str, parameters: Parameters) -> Step:
    """Return the rows of an operation in a table of `relations`, but for the column `layer`."""
    raise TypeError(f"{type(operation).__name__}: has no constants in '{relation}'")


@rows_in_store.register(Convolution)
@rows_in_store.register(Linear)
def _(operation: Convolution | Linear, relation: str, parameters: Parameters) -> Step:
    match relation:
        case "words":
            return _words(operation, parameters)
        case "weights":
            return _weights(operation, parameters)
        case "paddings":
            return parameters.elements("padding_codes", "channel", "code")
        case _:
            return parameters.elements("bias", "neuron", "bias")


@rows_in_store.register
def _(operation: Lookup, relation: str, parameters: Parameters) -> Step:
    return parameters.elements("table", "entry", "result")


@rows_in_store.register
def _(operation: Threshold, relation: str, parameters: Parameters) -> Step:
    levels = size("levels", operation.thresholds.shape[1])
    made = columns("threshold", channel=index(quotient("place", levels)))
    by_channel = step(
        "channel_thresholds", made, parameters.elements("thresholds", "place", "threshold")
    )
    rows = Join(by_channel, parameters.elements("signs", "channel", "sign"), ("channel",))
    return step("layer_thresholds", columns("channel", "sign", "threshold"), rows)


@rows_in_store.register
def _(operation: Rescale, relation: str, parameters: Parameters) -> Step:
    names = (*operation.multiplier_names, "offset", "shift")
    arrays = {name: operation.constants()[name] for name in names}
    shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    element = index(numbers("cells", prod(shape)))
    one = step("cells_of_constants", columns(element=element), Table("one", "system"))
    places = coordinates(shape)
    own = {
        f"{name}_place": flat(places[len(shape) - array.ndim :], array.shape)
        for name, array in arrays.items()
    }
    rows: Step | Join = step("places_of_constants", columns(cell=Column("element"), **own), one)
    for name in arrays:
        rows = Join(rows, parameters.elements(name, f"{name}_place", name), (f"{name}_place",))
    left, *right = (Column(name) for name in operation.multiplier_names)
    made = columns(
        "cell",
        "offset",
        "shift",
        left_multiplier=left,
        right_multiplier=right[0] if right else Literal(0),
    )
    return step("layer_rescales", made, rows)


def _weights(layer: Convolution | Linear, parameters: Parameters) -> Step:
    """Return (neuron, tap, channel, weight), weights of 0 left out."""
    num_outputs, num_channels, *kernel = layer.weight.shape
    taps = prod(kernel)
    channel: Expression = Column("place")
    tap: Expression = Literal(0)
    if taps > 1:
        tap = remainder("place", size("taps", taps))
        channel = quotient("place", size("taps", taps))
    if isinstance(layer, Convolution) and layer.groups > 1:
        group = quotient("neuron", size("group_neurons", num_outputs // layer.groups))
        channel = group * size("group_channels", num_channels) + channel
    made = columns("neuron", "weight", tap=index(tap), channel=index(channel))
    is_kept = Column("weight").differs(0)
    return step("layer_weights", made, _placed_weights(layer, parameters), where=(is_kept,))


def _placed_weights(layer: Convolution | Linear, parameters: Parameters) -> Step:
    """Return (neuron, place, weight): the sum of the planes' bits, of which 1 bit stands for -1 and
    1."""
    count, num_bits = prod(layer.weight.shape[1:]), layer.weight_bits
    powers = [1 << bit for bit in range(num_bits)]
    coefficients = [2] if num_bits == 1 else [*powers[:-1], -powers[-1]]
    planes = parameters.rows("planes", "weight", "neuron", "plane", "kept", "words")
    all_words = call("range", call("length", "words"))
    kept = call("if", call("empty", "kept"), all_words, "kept")
    pair = call("arrayJoin", call("arrayZip", kept, "words"))
    words = step("stored_words", columns("neuron", "plane", pair=pair), planes)
    bit = call("arrayJoin", call("range", _WIDTH))
    split = step("stored_places", columns("neuron", "plane", "pair", bit=bit), words)
    number, word = (call("tupleElement", "pair", part) for part in (1, 2))
    made = columns(
        "neuron",
        "plane",
        place=index(number * _WIDTH + Column("bit")),
        is_set=call("bitAnd", call("bitShiftRight", word, "bit"), 1),
    )
    bits = step("stored_bits", made, split)
    values = Value("stored_coefficients", "Array(Int64)", coefficients)
    term = call("arrayElement", values, Column("plane") + 1)
    counted = Select(
        columns=columns("neuron", "place", term=term),
        source=bits,
        where=(Column("is_set").equals(1), Column("place") < size("weights", count)),
    )
    neurons = step("neurons", columns("neuron"), planes, is_distinct=True)
    lowest = Value("lowest_weight", "Int64", -1 if num_bits == 1 else 0)
    begun = Select(
        columns=columns("neuron", place=index(numbers("weights", count)), term=lowest),
        source=neurons,
    )
    terms = Step("weight_terms", UnionAll((begun, counted)))
    keys = ("neuron", "place")
    return step("placed_weights", columns(*keys, weight=call("sum", "term")), terms, group_by=keys)


def _words(layer: Convolution | Linear, parameters: Parameters) -> Step:
    """Return (neuron, tap, word, sign, mask)."""
    word, place = word_of_channel(layer)
    is_one = call("toUInt64", Column("weight").equals(1))
    made = columns(
        "neuron",
        "tap",
        word=index(word),
        sign=call("bitShiftLeft", is_one, place),
        mask=call("bitShiftLeft", call("toUInt64", 1), place),
    )
    bits = step("weight_bits", made, _weights(layer, parameters))
    keys = ("neuron", "tap", "word")
    joined = {name: call("groupBitOr", name) for name in ("sign", "mask")}
    renamed = {f"{name}_bits": value for name, value in joined.items()}
    grouped = step("joined_bits", columns(*keys, **renamed), bits, group_by=keys)
    kept = {name: Column(f"{name}_bits") for name in joined}
    return step("layer_words", columns(*keys, **kept), grouped)
