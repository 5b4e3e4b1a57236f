"""Sums of products: a row for each neuron and word where bits are counted, else for each weight."""

from collections.abc import Mapping
from math import prod

from quantlab.deploy.clickhouse.relational.choice import planes_read
from quantlab.deploy.clickhouse.relational.geometry import numbers, padded, pixels, size, windowed
from quantlab.deploy.clickhouse.relational.packing import word_of_channel
from quantlab.deploy.clickhouse.relational.writer import Writer, columns, narrowed, step
from quantlab.deploy.clickhouse.sql.functions import call, index, quotient, remainder, wide
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    Join,
    Literal,
    Select,
    Source,
    Step,
    UnionAll,
    Value,
)
from quantlab.deploy.emitter import Emitters
from quantlab.integer.layout.planes import Planes
from quantlab.integer.operations import Convolution, Linear, Windows
from quantlab.integer.tensor_type import TensorType

_TERM = ("sample", "place", "neuron")


def convolution(operation: Convolution, writer: Writer) -> None:
    (given,) = writer.types(operation)
    image = pixels(writer.source(operation.inputs[0]), given)
    if operation.windows.is_padded:
        codes = writer.constants("paddings", operation)
        image = padded(image, writer.samples(), given, operation.windows, codes)
    places = prod(operation.windows.output_size(*given.shape[1:]))
    chosen = writer.chosen(operation, {"neuron": len(operation.bias), "place": places})
    sums = _sums(operation, writer, image, given, operation.windows, places, chosen)
    element = Column("neuron") * size("places", places) + Column("place")
    writer.tensor(operation, sums, index(element), Column("total"))


def linear(operation: Linear, writer: Writer) -> None:
    (given,) = writer.types(operation)
    num_outputs, num_inputs = operation.weight.shape
    places = prod(given.shape[:-1])
    image = rows_as_image(writer.source(operation.inputs[0]), num_inputs)
    as_image = TensorType((num_inputs, 1, places), given.kind)
    chosen = writer.chosen(operation, {"place": places, "neuron": num_outputs})
    sums = _sums(operation, writer, image, as_image, Windows(kernel=(1, 1)), places, chosen)
    element = Column("place") * size("outputs", num_outputs) + Column("neuron")
    writer.tensor(operation, sums, index(element), Column("total"))


def rows_as_image(source: Source, num_inputs: int) -> Step:
    """Return rows of inputs `[..., I]` as (sample, channel, y, x, value), each row a pixel."""
    inputs = size("inputs", num_inputs)
    made = columns(
        "sample",
        channel=index(remainder("element", inputs)),
        y=index(Literal(0)),
        x=index(quotient("element", inputs)),
        value=Column("value"),
    )
    return step("pixels", made, source)


def _sums(
    operation: Convolution | Linear,
    writer: Writer,
    image: Step,
    given: TensorType,
    windows: Windows,
    places: int,
    chosen: Mapping[str, int],
) -> Step:
    """Return (sample, place, neuron, total). chosen: the place and neuron that alone are wanted."""
    planes, offset = planes_read(operation, writer.levels), 0
    of_neuron = {name: place for name, place in chosen.items() if name == "neuron"}
    if planes is None:
        laid = windowed(image, given, windows, ("channel", "value"))
        laid = narrowed(laid, chosen, "place")
        weights = writer.constants("weights", operation, of_neuron)
        products = _multiplied(laid, weights)
        writer.products[operation.output] = _with(products, "tap", "channel", "value", "weight")
    else:
        packed = _packed(image, planes, operation)
        laid = windowed(packed, given, windows, ("word", "coefficient", "bits"))
        laid = narrowed(laid, chosen, "place")
        words = writer.constants("words", operation, of_neuron)
        products, offset = _counted(laid, words), planes.offset
        parts = ("tap", "word", "coefficient", "bits", "sign", "mask")
        writer.products[operation.output] = _with(products, *parts)
    biases = _constants(operation, writer, offset, of_neuron)
    numbered = step("places", columns("sample", place=numbers("places", places)), writer.samples())
    begun = Select(
        columns=columns("sample", "place", "neuron", term=Column("constant")),
        source=Join(narrowed(numbered, chosen, "place"), biases, ()),
    )
    terms = Step("terms", UnionAll((products, begun)))
    return step("sums", columns(*_TERM, total=call("sum", "term")), terms, group_by=_TERM)


def _with(products: Select, *parts: str) -> Select:
    """Return products with what they are made of."""
    *keys, term = products.columns
    return Select(columns=(*keys, *columns(*parts), term), source=products.source)


def _multiplied(windows: Step, weights: Step) -> Select:
    return Select(
        columns=columns(*_TERM, term=wide("weight") * wide("value")),
        source=Join(windows, weights, ("tap", "channel")),
    )


def _packed(image: Step, planes: Planes, layer: Convolution | Linear) -> Step:
    """Return (sample, y, x, word, coefficient, bits): the channels of each pixel, 64 a word, plane
    by plane."""
    plane = Column("plane")
    first = size("first_bit", planes.first)
    level = call("bitShiftRight", "value", plane + first if planes.first else plane)
    coefficients = Value("coefficients", "Array(Int64)", list(planes.coefficients))
    split = step(
        "planes",
        columns("sample", "channel", "y", "x", "value", plane=numbers("planes", planes.count)),
        image,
    )
    word, place = word_of_channel(layer)
    bit = call("bitShiftLeft", call("toUInt64", call("bitAnd", level, 1)), place)
    made = columns(
        "sample",
        "y",
        "x",
        word=index(word),
        coefficient=wide(call("arrayElement", coefficients, plane + 1)),
        bit=bit,
    )
    keys = ("sample", "y", "x", "word", "coefficient")
    bits = step("bits", made, split)
    return step("packed", columns(*keys, bits=call("groupBitOr", "bit")), bits, group_by=keys)


def _counted(windows: Step, words: Step) -> Select:
    """Return the terms of each word: of its weights those of 1 whose bits are set, less those of
    -1, which is the ones among its weights, less the bits that differ from them."""
    ones = wide(call("bitCount", "sign"))
    differing = call("bitAnd", call("bitXor", "bits", "sign"), "mask")
    term = Column("coefficient") * (ones - wide(call("bitCount", differing)))
    return Select(
        columns=columns(*_TERM, term=term),
        source=Join(windows, words, ("tap", "word")),
    )


def _constants(
    operation: Convolution | Linear, writer: Writer, offset: int, chosen: Mapping[str, int]
) -> Step:
    """Return (neuron, constant): its bias, and the offset of the inputs times its weights."""
    biases = writer.constants("biases", operation, chosen)
    per_neuron = Select(columns=columns("neuron", constant=wide("bias")), source=biases)
    if not offset:
        return Step("constants", per_neuron)
    weights = wide(call("bitCount", "sign")) * 2 - wide(call("bitCount", "mask"))
    offsets = Select(
        columns=columns("neuron", constant=weights * Value("offset", "Int64", offset)),
        source=writer.constants("words", operation, chosen),
    )
    return Step("constants", UnionAll((per_neuron, offsets)))


EMITTERS: Emitters = {Convolution: convolution, Linear: linear}
