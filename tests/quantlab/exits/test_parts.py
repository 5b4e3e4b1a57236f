"""Segments and heads: each operation once, in an order in which the program can stop."""

from dataclasses import replace

import numpy as np

from quantlab.exits.parts import in_order, parts_of, programs_of
from quantlab.integer.interpreter import execute, run
from quantlab.integer.program import Program
from tests.quantlab.exits.networks import codes, program
from tests.quantlab.exits.tangled import tangled


def shuffled(made: Program) -> Program:
    """Return a program that computes the trunk first and the heads of all exits behind it."""
    late = [o for o in made.operations if o.layer.startswith("heads")]
    trunk = [o for o in made.operations if not o.layer.startswith("heads")]
    return replace(made, operations=(*trunk, *late))


def test_what_one_exit_alone_reads_is_its_head() -> None:
    for made in (program().program, shuffled(program().program)):
        layers = [
            [{o.layer.split(".")[0] for o in part} for part in pair] for pair in parts_of(made)
        ]
        assert layers == [
            [{"segments"}, {"heads"}],
            [{"segments"}, {"heads"}],
            [{"segments"}, set()],
        ]


def test_the_order_lets_each_exit_stop_as_early_as_it_can() -> None:
    made = shuffled(program().program)
    ordered = in_order(made)
    names = [operation.output for operation in ordered.operations]
    assert sorted(names) == sorted(operation.output for operation in made.operations)
    assert names == [operation.output for operation in program().program.operations]
    given = codes(3)
    for name, value in run(made, given).items():
        np.testing.assert_array_equal(run(ordered, given)[name], value)


def test_what_a_head_pools_inside_a_segment_is_pooled_there() -> None:
    whole = tangled().program
    without = replace(whole, outputs=(*whole.outputs[:2], whole.outputs[3]))
    segment, head = parts_of(without)[1]
    names = [operation.output for operation in segment]
    assert names.index("pool") < names.index("conv2")
    assert "pool" not in {operation.output for operation in head}


def test_an_order_stays_as_it_is() -> None:
    for made in (program().program, tangled().program):
        assert in_order(made).operations == made.operations


def test_segments_and_heads_are_programs_that_give_the_same_one_after_another() -> None:
    whole, given = program().program, codes(5)
    values = dict(execute(whole, given))
    known = dict(given)
    programs = [part for pair in programs_of(whole) for part in pair if part is not None]
    assert len(programs) == 5
    for part in programs:
        known |= run(part, {name: known[name] for name in part.inputs})
    for name in whole.outputs:
        np.testing.assert_array_equal(known[name], values[name])
