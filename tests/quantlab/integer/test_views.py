"""Views that torch gives, and what is read of them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from quantlab.integer.lower.views import View, views_of

SHAPE = (2, 4, 3, 5)
INDICES = st.lists(
    st.one_of(
        st.integers(-2, 1),
        st.slices(3),
        st.none(),
        st.builds(slice, st.integers(-5, 5), st.none(), st.integers(1, 6)),
    ),
    max_size=5,
).filter(lambda index: sum(part is not None for part in index) <= 4)


def shown(view: View, x: Tensor) -> np.ndarray:
    """Return the elements that a view shows, by its definition."""
    y = x.numpy()
    for axis, (start, count, step) in enumerate(
        zip(view.starts, view.counts, view.steps, strict=True)
    ):
        y = y.take(range(start, start + count * step, step), axis)
    order = [axis for axis in view.axes if axis is not None]
    y = y.transpose([*order, *(axis for axis in range(y.ndim) if axis not in order)])
    kept = [size // times for size, times in zip(view.shape, view.repeats, strict=True)]
    return np.tile(y.reshape(kept), view.repeats)


def check(call: Any) -> None:
    x = torch.arange(np.prod(SHAPE)).reshape(SHAPE)
    views = views_of(SHAPE, call)
    wanted = call(x)
    wanted = wanted if isinstance(wanted, tuple | list) else [wanted]
    assert views is not None
    for view, part in zip(views, wanted, strict=True):
        np.testing.assert_array_equal(shown(view, x), part.numpy())


@given(index=INDICES)
def test_every_index_of_numbers_slices_and_new_axes(index: list[Any]) -> None:
    kept = [part if not isinstance(part, slice) or (part.step or 1) > 0 else None for part in index]
    if torch.zeros(SHAPE)[tuple(kept)].numel():
        check(lambda x: x[tuple(kept)])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.permute(dims=(0, 3, 1, 2)),
        lambda x: torch.transpose(x, dim0=1, dim1=-1),
        lambda x: x.movedim(1, -1),
        lambda x: x.swapaxes(axis0=2, axis1=3),
        lambda x: x.mT,
        lambda x: x.chunk(3, dim=-1),
        lambda x: torch.split(x, [1, 3], dim=1),
        lambda x: x.unbind(2),
        lambda x: x[:, :1].expand(-1, 6, -1, -1),
        lambda x: x.narrow(3, 1, 2).squeeze().unsqueeze(1),
        lambda x: x[..., ::2, 1:4:2].transpose(1, 3),
        lambda x: torch.ops.aten.slice.Tensor(x, 3, -4, 9223372036854775807, 2),
    ],
)
def test_other_views(call: Any) -> None:
    check(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.flip(1),
        lambda x: x[:, [1, 0]],
        lambda x: x[:, 5:],
        lambda x: x.unfold(3, 3, 1),
        lambda x: x.diagonal(dim1=1, dim2=2),
        lambda x: x.view(torch.uint8),
        lambda x: x.size(1),
        lambda x: x.clone(),
    ],
)
def test_what_is_no_view_of_that_kind(call: Any) -> None:
    assert views_of(SHAPE, call) is None
