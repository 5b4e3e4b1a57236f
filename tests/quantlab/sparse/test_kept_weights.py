"""Plans that share a pattern's weights against plans of their own."""

import numpy as np
import torch

from quantlab.sparse import SparseConv2d
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.kept_weights import KeptWeights
from quantlab.sparse.pattern import Pattern


def test_rows_are_in_the_order_of_panels_outputs_and_planes() -> None:
    torch.manual_seed(0)
    pattern = Pattern.of_mask(torch.rand(6, 5, 3, 2) < 0.5)
    weights = KeptWeights.of(pattern, Geometry(kernel=(3, 2), stride=(2, 1)))
    output, channel, row, _ = np.unravel_index(pattern.indices, pattern.shape)
    plane = channel * 2 + row % 2
    for per_panel in (3, 4, 3, 100):
        wanted = np.lexsort((plane, output, plane // per_panel))
        assert np.array_equal(weights.order_of_rows(per_panel), wanted)


def test_layers_compute_the_same_whatever_shapes_came_before() -> None:
    torch.manual_seed(0)
    dense = torch.nn.Conv2d(300, 40, 3, padding=1)
    sparse = SparseConv2d.from_dense(dense, torch.rand_like(dense.weight) < 0.3)
    fresh = SparseConv2d.from_dense(sparse.to_dense(), sparse.pattern.mask())
    for batch in (5, 64, 3, 4, 33):
        x = torch.randn(batch, 300, 4, 5)
        fresh.keep(fresh.indices)
        fresh.load_state_dict(sparse.state_dict())
        assert torch.equal(sparse(x), fresh(x))
