"""How layers are computed: the formulas, in NumPy, against the interpreter."""

import numpy as np
import pytest

from quantlab.deploy.clickhouse.wasm.plan import Plan, plans_of, skipped
from quantlab.integer.interpreter import execute
from quantlab.integer.program import Program
from tests.quantlab.deploy.clickhouse.wasm.layers import CASES, program_of


@pytest.mark.parametrize("name", CASES)
def test_layers_have_their_forms(name: str) -> None:
    case, plans = CASES[name], plans_of(program_of(CASES[name]))
    forms = [("narrow" if plan.is_narrow else plan.form) for plan in plans.values()]
    assert forms == ([case.form] if case.form else [])


def test_words_are_added_up_in_16_bits_where_they_fit() -> None:
    at_once = {
        name: plan.words_at_once
        for name, case in CASES.items()
        for plan in plans_of(program_of(case)).values()
    }
    assert {name for name, count in at_once.items() if count == 2} == {
        "two words at once",
        "two words at once, small weights",
    }


def test_linear_layers_read_images_before_they_are_flat() -> None:
    program = program_of(CASES["linear bits"])
    plans = plans_of(program)
    assert [plan.source for plan in plans.values()] == ["t"]
    assert skipped(program, plans) == {"flat"}
    both = Program(inputs=program.inputs, operations=program.operations, outputs=("flat", "y"))
    assert skipped(both, plans_of(both)) == set()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.form])
def test_formulas(name: str) -> None:
    program = program_of(CASES[name])
    (plan,) = plans_of(program).values()
    raw = np.random.default_rng(1).integers(0, 256, (2, *CASES[name].shape), dtype=np.uint8)
    values = {"x": raw, **dict(execute(program, {"x": raw}))}
    given = values[plan.source].astype(np.int64)
    found = np.array([_sums(plan, one) for one in given])
    np.testing.assert_array_equal(found.reshape(values["y"].shape), values["y"])


def _sums(plan: Plan, given: np.ndarray) -> np.ndarray:
    """Return factor * (sum of a b) + shared * (sum of a) + bias, `[O, positions]`."""
    geometry = plan.geometry
    top, left = geometry.padding[:2]
    image = np.broadcast_to(
        plan.padding_codes, (geometry.padded_height, geometry.padded_width, geometry.channels)
    ).copy()
    last = given.transpose(1, 2, 0) if given.ndim == 3 else given
    image[top : top + geometry.height, left : left + geometry.width] = last.reshape(
        geometry.height, geometry.width, -1
    )
    a = image >> plan.low & 1 if plan.is_counted else image - plan.low
    if plan.form == "bytes":
        a = a.astype(np.int8).astype(np.int64)
        small = a if plan.are_inputs_small else plan.weight
        assert small.min() >= 0
        assert small.max() <= 127
    flat = a.reshape(-1)
    starts = [
        (row * geometry.stride[0] * geometry.padded_width + column * geometry.stride[1] + start)
        * geometry.channels
        for row in range(geometry.rows)
        for column in range(geometry.columns)
        for start in geometry.run_starts
    ]
    windows = np.array([flat[start : start + geometry.run_length] for start in starts])
    windows = windows.reshape(geometry.num_positions, -1)
    products = plan.weight.reshape(plan.num_outputs, -1) @ windows.T
    return plan.factor * products + plan.shared * windows.sum(1) + plan.bias[:, None]


def test_programs_without_layers_have_no_plans() -> None:
    program = program_of(CASES["narrow"])
    assert (
        plans_of(Program(inputs=program.inputs, operations=program.operations[:-1], outputs=("t",)))
        == {}
    )
