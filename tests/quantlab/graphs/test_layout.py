from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.graphs.layout import Edge, Layout, Size, lay_out

GAP = 20.0


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], list[Edge], list[float]]:
    number = draw(st.integers(2, 14))
    numbers = st.integers(5, 60).map(float)
    sizes = [
        Size(left=draw(numbers), right=draw(numbers), height=draw(numbers)) for _ in range(number)
    ]
    edges = {(draw(st.integers(0, lower - 1)), lower) for lower in range(1, number)}
    for _ in range(draw(st.integers(0, 8))):
        lower = draw(st.integers(1, number - 1))
        edges.add((draw(st.integers(0, lower - 1)), lower))
    gaps = [GAP + draw(st.integers(0, 30)) for _ in range(number)]
    return sizes, sorted(edges), gaps


def box(layout: Layout, sizes: list[Size], i: int) -> tuple[float, float, float, float]:
    size = sizes[i]
    left, top = layout.x[i] - size.left, layout.top[i]
    return left, top, layout.x[i] + size.right, top + size.height


@given(graphs())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_box_meets_another_box_or_a_passing_edge(
    graph: tuple[list[Size], list[Edge], list[float]],
) -> None:
    sizes, edges, gaps = graph
    layout = lay_out(sizes, edges, gaps)
    boxes = [box(layout, sizes, i) for i in range(len(sizes))]
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(boxes, 2):
        assert r1 <= l2 + 1e-6 or r2 <= l1 + 1e-6 or b1 <= t2 or b2 <= t1
    for upper, lower in edges:
        assert boxes[upper][3] + gaps[lower] <= boxes[lower][1] + 1e-6
        assert layout.row[lower] - layout.row[upper] == len(layout.routes[upper, lower]) + 1
        bottom = layout.row_bottom[layout.row[upper]]
        for x, top, end in layout.routes[upper, lower]:
            assert bottom + GAP <= top + 1e-6  # between the rows there is nothing to cross
            bottom = end
            for left, t, right, b in boxes:
                assert not (left < x < right and t < end and top < b)
    for left, top, right, bottom in boxes:
        assert -1e-6 <= left < right <= layout.width + 1e-6
        assert 0 <= top < bottom <= layout.height + 1e-6
    assert layout == lay_out(sizes, edges[::-1], gaps)


def sizes(number: int) -> list[Size]:
    return [Size(left=20, right=20, height=10) for _ in range(number)]


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out(sizes(4), [(0, 1), (1, 2), (2, 3)], [GAP] * 4)
    assert layout.row == [0, 1, 2, 3]
    assert len(set(layout.x)) == 1
    assert layout.top == [0, 30, 60, 90]


def test_a_skip_passes_at_one_side_in_a_straight_line() -> None:
    layout = lay_out(sizes(5), [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)], [GAP] * 5)
    assert len(set(layout.x)) == 1
    (lane,) = {x for x, _, _ in layout.routes[0, 4]}
    assert abs(lane - layout.x[0]) > 20


def test_a_source_stands_above_what_reads_it() -> None:
    layout = lay_out(sizes(4), [(0, 1), (1, 2), (3, 2)], [GAP] * 4)
    assert layout.row == [0, 1, 2, 1]


def test_branches_do_not_cross_without_need() -> None:
    """Two ladders side by side, given in an order in which they cross."""
    edges = [(0, 1), (0, 2), (1, 4), (2, 3), (4, 5), (3, 6), (5, 7), (6, 7)]
    layout = lay_out(sizes(8), edges, [GAP] * 8)
    assert (layout.x[1] < layout.x[2]) == (layout.x[4] < layout.x[3])
    assert (layout.x[4] < layout.x[3]) == (layout.x[5] < layout.x[6])
