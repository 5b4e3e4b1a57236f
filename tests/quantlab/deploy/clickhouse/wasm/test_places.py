"""Where buffers lie."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quantlab.deploy.clickhouse.wasm.codes import groups_of
from quantlab.deploy.clickhouse.wasm.places import SLACK, Lifetime, Place, lifetimes_of, placed
from quantlab.deploy.clickhouse.wasm.plan import plans_of
from quantlab.integer.tensor_type import S16, U8, TensorType
from tests.quantlab.deploy.clickhouse.wasm.layers import CASES, program_of


@st.composite
def lifetimes(draw: st.DrawFn) -> dict[str, Lifetime]:
    found = {}
    for index in range(draw(st.integers(0, 12))):
        first = draw(st.integers(-1, 9))
        last = draw(st.integers(first, 10))
        found[f"b{index}"] = Lifetime(size=draw(st.integers(0, 500)), first=first, last=last)
    return found


@given(lifetimes=lifetimes(), start=st.integers(0, 100))
def test_buffers_in_use_do_not_overlap(lifetimes: dict[str, Lifetime], start: int) -> None:
    addresses, end = placed(lifetimes, start)
    for name, own in lifetimes.items():
        assert addresses[name] >= start
        assert addresses[name] % 16 == 0
        assert addresses[name] + own.size + SLACK <= end
        for other, another in lifetimes.items():
            if name < other and own.first <= another.last and another.first <= own.last:
                ends = addresses[name] + own.size + SLACK, addresses[other] + another.size + SLACK
                assert ends[0] <= addresses[other] or ends[1] <= addresses[name]


def test_memory_is_used_again() -> None:
    chain = {f"b{i}": Lifetime(size=160, first=i, last=i + 1) for i in range(9)}
    addresses, end = placed(chain, 0)
    assert len(set(addresses.values())) == 2
    assert end == 2 * (160 + SLACK)


def test_tensors_live_as_long_as_they_are_needed() -> None:
    """Those of a group are all there after its step."""
    program = program_of(replace(CASES["bits"], num_outputs=8), has_codes=True)
    groups = groups_of(program, plans_of(program))
    found = lifetimes_of(program, groups, {})
    assert len(groups) == len(program.operations) - 1
    assert (found["x"].first, found["x"].last) == (-1, 0)
    assert (found["t"].first, found["t"].last) == (0, 1)
    assert (found["y"].first, found["y"].last) == (1, 1)
    assert (found["codes"].first, found["codes"].last) == (1, 2)


def test_images_have_their_channels_last() -> None:
    image = Place(address=0, tensor=TensorType((3, 4, 5), S16))
    assert (image.order, image.strides, image.num_bytes) == ((1, 2, 0), (2, 30, 6), 120)
    rows = Place(address=0, tensor=TensorType((3, 4), U8))
    assert (rows.order, rows.strides) == ((0, 1), (4, 1))
    assert Place(address=0, tensor=TensorType((), U8)).strides == ()
