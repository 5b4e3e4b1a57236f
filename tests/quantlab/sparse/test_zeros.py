"""Dense layers whose zeros are held, against torch's pruning: a mask at each forward pass."""

import copy
import io
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.nn.utils.prune import custom_from_mask
from torch.optim import Optimizer

from quantlab.algorithms.eager_optimizer import eager
from quantlab.errors import UsageError
from quantlab.graphs.replace import has_hooks
from quantlab.sparse import apply_masks, hold_zeros, release_zeros, uniform_magnitude
from tests.waiting import no_waiting


def network(sparsity: float = 0.6) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).double()
    apply_masks(net, uniform_magnitude(net, sparsity))
    return net


def layers(net: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    return [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def held(net: nn.Module) -> nn.Module:
    for layer in layers(net):
        assert hold_zeros(layer) is None
    return net


def masked(net: nn.Module) -> nn.Module:
    for layer in layers(net):
        custom_from_mask(layer, "weight", layer.weight != 0)
    return net


def losses(net: nn.Module, optimizer: Optimizer, num_steps: int = 5) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(num_steps):
        x = torch.randn(8, 2, 4, 4, generator=generator, dtype=torch.float64)
        loss = (net(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        found.append(loss.item())
    return found


def num_zeros(net: nn.Module) -> list[int]:
    return [int((layer.weight == 0).sum()) for layer in layers(net)]


OPTIMIZERS: dict[str, Callable[[Iterator[nn.Parameter]], Optimizer]] = {
    "momentum and decay": partial(
        torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True
    ),
    "adam": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "rprop": partial(torch.optim.Rprop, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps_are_those_of_masked_training(name: str) -> None:
    net, twin = held(network()), masked(network())
    before = num_zeros(net)
    found = losses(net, OPTIMIZERS[name](net.parameters()))
    wanted = losses(twin, OPTIMIZERS[name](twin.parameters()))
    assert found == pytest.approx(wanted, rel=1e-9)
    assert num_zeros(net) == before == [65, 43]
    for one, other in zip(layers(net), layers(twin), strict=True):
        torch.testing.assert_close(one.weight, other.weight_orig * other.weight_mask)


def test_momentum_of_before_does_not_move_zeros() -> None:
    """The optimizer goes on that trained the network before it was pruned."""
    ends = []
    for hold in (held, masked):
        net = network(0.0)
        optimizer = OPTIMIZERS["momentum and decay"](net.parameters())
        losses(net, optimizer, 2)
        apply_masks(net, uniform_magnitude(net, 0.6))
        found = losses(hold(net), optimizer)
        ends.append([*found, net(torch.ones(2, 2, 4, 4, dtype=torch.float64)).sum().item()])
        assert num_zeros(net) == [65, 43]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def pickled(net: nn.Module) -> nn.Module:
    memory = io.BytesIO()
    torch.save(net, memory)
    memory.seek(0)
    copied: nn.Module = torch.load(memory, weights_only=False)
    return copied


def loaded(net: nn.Module, *, assign: bool) -> nn.Module:
    other = held(network())
    other.load_state_dict(copy.deepcopy(net.state_dict()), assign=assign)
    return other


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": pickled,
    "state": partial(loaded, assign=False),
    "assigned state": partial(loaded, assign=True),
    "type and back": lambda net: net.float().double(),
    "held again": held,
    "thawed": lambda net: copy.deepcopy(net.requires_grad_(False)).requires_grad_(True),
    "compiled": lambda net: torch.compile(net, backend="eager"),
}


# torch.compile reads `.grad` of what a graph begins with, after any break.
@pytest.mark.filterwarnings(r"ignore:The \.grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", COPIES)
def test_what_becomes_of_a_network_holds_its_zeros(name: str) -> None:
    net = network().float().double()  # of numbers that float32 has
    twin = masked(copy.deepcopy(net))
    copied = COPIES[name](held(net))
    steps = OPTIMIZERS["momentum and decay"]
    found = losses(copied, steps(copied.parameters()))
    assert found == pytest.approx(losses(twin, steps(twin.parameters())), rel=1e-9)
    assert num_zeros(copied) == [65, 43]


def test_a_state_has_no_other_entries_and_goes_both_ways() -> None:
    net = held(network())
    dense = network(0.0)
    assert list(net.state_dict()) == list(dense.state_dict())
    dense.load_state_dict(net.state_dict())
    assert num_zeros(dense) == [65, 43]


def test_a_loaded_state_of_other_zeros_brings_them() -> None:
    net, other = held(network()), network(0.8)
    with torch.no_grad():
        for layer in layers(other):
            layer.weight.copy_(layer.weight.flip(0))
    net.load_state_dict(other.state_dict())
    wanted = [layer.weight == 0 for layer in layers(other)]
    losses(net, torch.optim.SGD(net.parameters(), lr=0.1))
    for layer, is_zero in zip(layers(net), wanted, strict=True):
        assert torch.equal(layer.weight == 0, is_zero)


def test_kept_zeros_grow_and_stay_kept_in_a_state_of_the_same_mask() -> None:
    layer = nn.Linear(4, 3)
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[0] = True
    assert hold_zeros(layer, mask) is None
    assert torch.equal(layer.weight != 0, mask)
    with torch.no_grad():
        layer.weight[0, 0] = 0.0
    layer.load_state_dict(copy.deepcopy(layer.state_dict()))
    layer(torch.ones(2, 4)).sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad != 0, mask)
    hold_zeros(layer, ~mask)
    layer.weight.grad = None
    layer(torch.ones(2, 4)).sum().backward()
    assert torch.equal(layer.weight.grad != 0, ~mask)
    assert not layer.weight.any()


class Tied(nn.Module):
    """A weight that an embedding reads too, whose gradient is the sum of both."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(4, 5)
        self.again = nn.Linear(4, 5)
        self.head.weight = self.again.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.again(self.embedding(x)) + self.head(self.embedding(x))
        return y


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def with_hook() -> nn.Module:
    layer = nn.Linear(4, 5)
    layer.register_forward_hook(lambda module, x, y: y + module.weight.sum())
    return layer


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "tied": Tied,
    "subclass": lambda: Doubled(4, 5),
    "hooks": with_hook,
    "weight norm": lambda: weight_norm(nn.Linear(4, 5)),
    "spectral norm": lambda: spectral_norm(nn.Linear(4, 5)),
    "orthogonal": lambda: orthogonal(nn.Linear(4, 5)),
    "pruned": lambda: custom_from_mask(nn.Linear(4, 5), "weight", torch.arange(20).view(5, 4) % 3),
    "pruned bias": lambda: custom_from_mask(nn.Linear(4, 5), "bias", torch.ones(5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_nothing_can_replace_hold_their_zeros(name: str) -> None:
    torch.manual_seed(0)
    net = LAYERS[name]()
    mask = torch.arange(20).view(5, 4) % 3 != 0
    for layer in layers(net):
        if name != "pruned":
            assert hold_zeros(layer, mask) is None
        assert hold_zeros(layer) is None
    if "pruned" not in name:  # which torch cannot copy
        net = copy.deepcopy(net)
    x = torch.tensor([[0, 1, 2, 3]]) if name == "tied" else torch.randn(3, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    before = layers(net)[0].weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) - 1).square().sum().backward()
        optimizer.step()
    for layer in layers(net):
        assert torch.equal(layer.weight != 0, mask)
        assert not torch.equal(layer.weight, before)


def test_a_weight_that_is_read_without_a_call_of_its_layer() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2)
    layer = attention.out_proj
    with torch.no_grad():
        layer.weight[1:] = 0.0
    assert hold_zeros(layer, readers=[attention]) is None
    attention = copy.deepcopy(attention)
    x = torch.randn(3, 2, 4)
    attention(x, x, x)[0].square().sum().backward()
    gradient = attention.out_proj.weight.grad
    assert gradient is not None
    assert gradient[0].all()
    assert not gradient[1:].any()


def test_layers_of_inference_mode_are_never_trained() -> None:
    with torch.inference_mode():
        layer = nn.Linear(4, 3)
        assert hold_zeros(layer) is None
        layer(torch.ones(2, 4))


def test_infinite_gradients_do_not_reach_zeros() -> None:
    layer = nn.Linear(2, 1)
    hold_zeros(layer, torch.tensor([[True, False]]))
    layer(torch.full((1, 2), torch.inf)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[torch.inf, 0.0]]


def test_released_zeros_are_trained() -> None:
    net = held(network())
    assert not has_hooks(layers(net)[0])
    release_zeros(net)
    assert not list(layers(net)[0].buffers())
    losses(net, torch.optim.SGD(net.parameters(), lr=0.1))
    assert num_zeros(net) == [0, 0]
    assert all(not module._forward_pre_hooks for module in net.modules())


def test_a_weight_that_a_hook_computes_is_named() -> None:
    layer = nn.Linear(2, 2)
    layer.stem = nn.Parameter(layer.weight.detach())
    del layer.weight
    layer.weight = layer.stem * 2  # type: ignore[assignment]
    assert hold_zeros(layer) == "a hook computes its weight"


@pytest.mark.parametrize("mask", [torch.ones(2, 2), torch.ones(2, 3, dtype=torch.bool)])
def test_wrong_masks_are_one_clear_line(mask: Tensor) -> None:
    with pytest.raises(UsageError, match=r"^mask: .* given; torch.bool of \[2, 2\] allowed$"):
        hold_zeros(nn.Linear(2, 2), mask)


@pytest.mark.parametrize("is_parametrized", [False, True])
def test_steps_with_held_zeros_do_not_wait_for_a_gpu(is_parametrized: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3)
    if is_parametrized:
        weight_norm(layer)
    hold_zeros(layer, torch.rand(3, 4) < 0.5)
    zeros = layer.weight == 0
    optimizer = eager(torch.optim.SGD)(layer.parameters(), 0.1, momentum=0.9, foreach=True)
    x = torch.rand(2, 4)
    layer(x)
    with no_waiting():
        for _ in range(2):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()
    assert torch.equal(layer.weight == 0, zeros)
