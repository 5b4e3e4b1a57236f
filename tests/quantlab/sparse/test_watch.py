"""What is seen of a tensor that was written to, and sparse layers whose state was overwritten."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.sparse import (
    HalfSparseConv2d,
    HalfSparseLinear,
    QuantizedSparseConv2d,
    QuantizedSparseLinear,
    SparseBlock,
    SparseConv2d,
    SparseLayer,
    SparseLinear,
)
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.linear_layer import LinearLayer
from quantlab.sparse.watch import Seen
from tests.quantlab.sparse.on_ranks import sparse_steps
from tests.ranks import run_on_ranks

WRITES: dict[str, Callable[[Tensor, Tensor], object]] = {
    "copy": lambda tensor, new: tensor.copy_(new),
    "data": lambda tensor, new: tensor.data.copy_(new),
    "numpy": lambda tensor, new: np.copyto(tensor.detach().numpy(), new.numpy()),
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_seen(name: str) -> None:
    tensor = torch.arange(5000)
    before = Seen.of(tensor)
    assert Seen.of(tensor) == before
    WRITES[name](tensor, torch.arange(5000).flip(0))
    assert Seen.of(tensor) != before
    assert Seen.of(torch.arange(5000)) != before


def test_one_number_is_seen_where_torch_counts_or_all_are_compared() -> None:
    tensor = torch.arange(5000)
    before = Seen.of(tensor)
    tensor[1] = 7
    assert Seen.of(tensor) != before
    with torch.inference_mode():
        uncounted = torch.arange(5000)
        before = Seen.of(uncounted)
        uncounted[1] = 7
        assert Seen.of(uncounted) != before


LINEAR: list[type[LinearLayer]] = [SparseLinear, HalfSparseLinear, QuantizedSparseLinear]
CONVOLUTIONS: list[type[Conv2dLayer]] = [SparseConv2d, HalfSparseConv2d, QuantizedSparseConv2d]
MASK = torch.arange(6 * 4 * 3 * 3).reshape(6, 4, 3, 3) % 5 < 2


def linear(kind: type[LinearLayer]) -> nn.Module:
    dense = nn.Linear(36, 6)
    return kind.from_dense(dense, MASK.reshape(6, 36))


def convolution(kind: type[Conv2dLayer]) -> Conv2dLayer:
    return kind.from_dense(nn.Conv2d(4, 6, 3, padding=1), MASK)


def block(kind: type[Conv2dLayer]) -> nn.Module:
    return SparseBlock(convolution(kind), nn.BatchNorm2d(6), has_pool=True)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    **{kind.__name__: (lambda kind=kind: linear(kind)) for kind in LINEAR},
    **{kind.__name__: (lambda kind=kind: convolution(kind)) for kind in CONVOLUTIONS},
    **{f"block of {kind.__name__}": (lambda kind=kind: block(kind)) for kind in CONVOLUTIONS},
}


def sparse_part(module: nn.Module) -> SparseLayer:
    return next(m for m in module.modules() if isinstance(m, SparseLayer))


def inputs(module: nn.Module, batch: int) -> Tensor:
    shape = (36,) if isinstance(module, LinearLayer) else (4, 6, 6)
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))


def results(module: nn.Module) -> list[Tensor]:
    """Return outputs and gradients for one sample, as gathered by linear layers, and for nine."""
    found = []
    for batch in (1, 9):
        torch.manual_seed(0)
        x = inputs(module, batch).requires_grad_()
        y = module(x)
        layer = sparse_part(module)
        found += [y, *torch.autograd.grad(y.square().sum(), [x, layer.weight])]
    return found


def written(pattern_of: SparseLayer) -> tuple[Tensor, Tensor]:
    """Return values and indices of another pattern with as many weights."""
    other = SparseLinear(torch.randn(6, 36), None, MASK.reshape(6, 36).flip(1))
    assert not torch.equal(other.indices, pattern_of.indices)
    return other.weight.detach(), other.indices


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_its_state_says(name: str, write: str) -> None:
    """Its plans are those of other indices; values are in any order."""
    torch.manual_seed(0)
    module = LAYERS[name]()
    results(module)
    layer = sparse_part(module)
    twin = copy.deepcopy(module)
    values, indices = written(layer)
    WRITES[write](layer.weight.data, values)
    WRITES[write](layer.indices, indices)
    state = {**copy.deepcopy(layer.state_dict())}
    sparse_part(twin).load_state_dict(state)
    dense = torch.zeros(216)
    dense[indices] = values
    assert torch.equal(layer.dense_weight().flatten(), dense)
    assert torch.equal(sparse_part(twin).dense_weight(), layer.dense_weight())
    wanted, found = results(twin), results(module)
    order = [int((layer.indices == place).nonzero()) for place in sparse_part(twin).indices]
    for i in (2, 5):
        found[i] = found[i][order]
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", LAYERS)
def test_values_alone(name: str) -> None:
    module = LAYERS[name]()
    twin = copy.deepcopy(module)
    results(module)
    values = torch.randn(len(sparse_part(module).weight))
    sparse_part(module).weight.data.copy_(values)
    twin.load_state_dict(copy.deepcopy(module.state_dict()))
    for one, other in zip(results(module), results(twin), strict=True):
        assert torch.equal(one, other)


def test_in_inference_mode() -> None:
    with torch.inference_mode():
        layer = linear(SparseLinear)
        x = inputs(layer, 9)
        layer(x)
        values, indices = written(sparse_part(layer))
        sparse_part(layer).weight.copy_(values)
        sparse_part(layer).indices.copy_(indices)
        torch.testing.assert_close(layer(x), layer.to_dense()(x))


@pytest.mark.filterwarnings(r"ignore:The \.grad attribute of a Tensor that is not a leaf")
def test_compiled() -> None:
    layer = convolution(SparseConv2d)
    compiled = torch.compile(layer, backend="eager")
    x = inputs(layer, 3)
    assert torch.equal(compiled(x), layer(x))
    values, indices = written(layer)
    layer.weight.data.copy_(values)
    layer.indices.copy_(indices)
    torch.testing.assert_close(compiled(x), layer.to_dense()(x), atol=1e-5, rtol=1e-4)


def test_a_new_mask_and_the_optimizer_after_another_order() -> None:
    layer = convolution(SparseConv2d)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    layer(inputs(layer, 2)).square().sum().backward()
    optimizer.step()
    order = torch.randperm(len(layer.indices))
    dense, momentum = layer.dense_weight(), optimizer.state[layer.weight]["momentum_buffer"]
    wanted = layer.pattern.scatter(momentum)
    for tensor in (layer.weight.data, layer.indices, momentum):
        tensor.copy_(tensor[order].clone())
    assert torch.equal(layer.dense_weight(), dense)
    layer.update_mask(MASK, optimizer)
    assert torch.equal(layer.dense_weight(), dense)
    carried = layer.pattern.scatter(optimizer.state[layer.weight]["momentum_buffer"])
    assert torch.equal(carried, wanted)


def test_the_same_numbers_make_no_new_plans() -> None:
    """A broadcast before each step writes what is there."""
    layer = convolution(SparseConv2d)
    x = inputs(layer, 2)
    before = layer.plan_for(x)
    layer.indices.copy_(layer.indices.clone())
    assert layer.plan_for(x) is before
    layer.indices = layer.indices.clone()
    assert layer.plan_for(x) is before


WRONG: dict[str, tuple[Callable[[SparseLayer], object], str]] = {
    "outside": (lambda layer: layer.indices.fill_(216), "index 216 given; 0..215 allowed"),
    "negative": (lambda layer: layer.indices.neg_(), "index -1 given; 0..215 allowed"),
    "twice": (lambda layer: layer.indices.data.fill_(5), "index 5 given twice"),
    "length": (
        lambda layer: setattr(layer, "indices", torch.arange(3)),
        r"indices: \[3\] given; \[87\], one for each weight, allowed",
    ),
    "type": (lambda layer: setattr(layer, "indices", layer.indices.int()), "indices of int32"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_indices_are_one_clear_line_until_they_are_right(name: str) -> None:
    layer = convolution(SparseConv2d)
    x, indices = inputs(layer, 2), layer.indices.clone()
    wanted = layer(x)
    write, message = WRONG[name]
    write(layer)
    for use in (lambda: layer(x), layer.dense_weight, layer.to_dense, lambda: layer.sparsity):
        with pytest.raises(UsageError, match=message) as error:
            use()
        assert "\n" not in str(error.value)
    assert "SparseConv2d" in repr(layer)
    layer.indices = indices
    assert torch.equal(layer(x), wanted)


def test_ranks_of_other_masks_compute_with_that_of_the_first(tmp_path: Path) -> None:
    """DistributedDataParallel overwrites weights and indices by those of the first rank."""
    first, other = run_on_ranks(sparse_steps, tmp_path)
    for name in ("indices", "held zeros", "weight", "dense weight", "outputs"):
        assert torch.equal(first[name], other[name]), name
    torch.testing.assert_close(other["outputs"], other["dense outputs"])
    assert torch.equal(first["held zeros"], first["own zeros"])
    assert not torch.equal(other["held zeros"], other["own zeros"])
    assert not torch.equal(other["indices"], other["own indices"])
