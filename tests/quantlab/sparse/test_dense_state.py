import torch
from torch import nn
from torch.nn.utils.prune import custom_from_mask

from quantlab.sparse import sparsify, uniform_magnitude
from quantlab.sparse.dense_state import dense_state


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))


def shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def test_sparse_and_masked_states_become_dense() -> None:
    dense, masked = network(), network()
    masks = uniform_magnitude(dense, 0.7)
    for name, mask in masks.items():
        custom_from_mask(masked.get_submodule(name), "weight", mask)
    sparse = sparsify(network(), masks)
    for pruned in (sparse, masked):
        state = dense_state(pruned.state_dict(), shapes(dense))
        dense.load_state_dict(state)
        x = torch.randn(5, 2, 4, 4)
        torch.testing.assert_close(dense(x), pruned(x))


def test_a_layer_alone_and_what_does_not_fit() -> None:
    layer = nn.Linear(6, 5)
    state = sparsify(layer, uniform_magnitude(layer, 0.5)).state_dict()
    weight = dense_state(state, shapes(layer))["weight"]
    assert torch.count_nonzero(weight) == 15
    assert ((weight == 0) | (weight == layer.weight)).all()
    found = dense_state(state, {"weight": (2, 2)})
    assert found.keys() == state.keys()
    assert torch.equal(found["weight"], state["weight"])
    plain = network().state_dict()
    assert dense_state(plain, shapes(network())).keys() == plain.keys()


def test_indices_of_the_dense_network_stay() -> None:
    state = {"weight": torch.randn(4), "indices": torch.arange(4).flip(0)}
    found = dense_state(state, {"weight": (4,), "indices": (4,)})
    assert found.keys() == state.keys()
    assert torch.equal(found["weight"], state["weight"])
