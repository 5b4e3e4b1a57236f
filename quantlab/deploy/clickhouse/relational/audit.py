"""One element of a tensor, computed once more by one query, for a person to read."""

from collections.abc import Mapping
from math import prod

from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.queries import written
from quantlab.deploy.clickhouse.relational.writer import Constants, Writer, columns, step
from quantlab.deploy.clickhouse.sql.nodes import Column, Select, Source, Step, Value
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.integer.program import Program


def audit(
    program: Program,
    tensor: str,
    element: int,
    sample: int,
    *,
    sources: Mapping[str, Source],
    constants: Constants,
) -> Select:
    """Return the query of an element, (sample, element, value), from constants and inputs.

    It goes on from the tensors that are given, so that one layer can be audited of what another
    engine computed. A whole network takes long if it is deep.

    element: in the tensor's own order. sample: the one that has it. sources: where tensors lie,
    each input at least. constants: see `queries_of`. Raises UsageError for a tensor that no
    operation makes, and for an element that it does not have.
    """
    writer = _written(program, tensor, element, sample, sources, constants)
    is_element = Column("element").equals(Value("element", "UInt32", element))
    rows = Step(f"made_{tensor}", writer.queries[tensor])
    return Select(columns=columns("sample", "element", "value"), source=rows, where=(is_element,))


def evidence(
    program: Program,
    tensor: str,
    element: int,
    sample: int,
    *,
    sources: Mapping[str, Source],
    constants: Constants,
) -> Select:
    """Return the query of the terms of a sum of products, each with what it is made of.

    A row is a word of bits (sample, place, neuron, tap, word, coefficient, bits, sign, mask, term)
    or a weight (sample, place, neuron, tap, channel, value, weight, term). The terms add up to the
    element less what the neuron begins with. Arguments and errors: those of `audit`; UsageError
    for a tensor that is no sum of products, too.
    """
    writer = _written(program, tensor, element, sample, sources, constants)
    if tensor not in writer.products:
        allowed = ", ".join(writer.products)
        raise UsageError(f"tensor '{tensor}' given, a sum of products allowed: {allowed}")
    return writer.products[tensor]


def _written(
    program: Program,
    tensor: str,
    element: int,
    sample: int,
    sources: Mapping[str, Source],
    constants: Constants,
) -> Writer:
    made = [operation.output for operation in program.operations]
    if tensor not in made:
        hint = did_you_mean(tensor, made)
        raise UsageError(f"tensor '{tensor}' given, one that an operation makes allowed{hint}")
    most = prod(program.types[tensor].shape) - 1
    for name, given, last in (("element", element, most), ("sample", sample, 2**32 - 1)):
        check_kind(name, given, int, f"0 to {last}")
        if not 0 <= given <= last:
            raise UsageError(f"{name}: {given} of '{tensor}' given, 0 to {last} allowed")
    of_sample = {
        name: _of_sample(name, source, sample) for name, source in sources.items() if name != tensor
    }
    return written(program, of_sample, constants, RELATIONAL, {tensor: element})


def _of_sample(name: str, source: Source, sample: int) -> Step:
    is_sample = Column("sample").equals(Value("sample", "UInt32", sample))
    made = columns("sample", "element", "value")
    return step(f"given_{name}", made, source, where=(is_sample,))
