"""Which word has a channel."""

from quantlab.deploy.clickhouse.relational.geometry import size
from quantlab.deploy.clickhouse.sql.functions import quotient, remainder
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression
from quantlab.integer.layout.words import num_words
from quantlab.integer.operations import Convolution, Linear

_WIDTH = 64  # bits of a word


def word_of_channel(layer: Convolution | Linear) -> tuple[Expression, Expression]:
    """Return the word of `channel` and its bit there. Groups share no word."""
    channel: Expression = Column("channel")
    if not isinstance(layer, Convolution) or layer.groups == 1:
        return quotient(channel, _WIDTH), remainder(channel, _WIDTH)
    channels = size("group_channels", layer.weight.shape[1])
    first = quotient(channel, channels) * size("group_words", num_words(layer.weight.shape[1]))
    in_group = remainder(channel, channels)
    return first + quotient(in_group, _WIDTH), remainder(in_group, _WIDTH)
