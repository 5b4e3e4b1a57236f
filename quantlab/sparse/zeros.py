"""Dense layers whose zeros stay zeros in training, as those of a layer with a mask do.

With m the mask of a weight w, 1 where it is kept: each forward pass reads w m, and the gradient of
w is m dL/dw. An optimizer that moves a weight by its gradients, their means and the weight itself
(momentum, Adam, weight decay) then leaves the zeros as they are. The weight stays the parameter
that it was, under its name; the mask is a buffer outside the state.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import is_pruned
from torch.utils.hooks import RemovableHandle

from quantlab.autograd import uncompiled
from quantlab.errors import UsageError
from quantlab.graphs.replace import DenseLayer

_KEPT = "weight_kept"  # the buffer: bool, of the weight's shape


def hold_zeros(
    layer: DenseLayer, mask: Tensor | None = None, *, readers: Sequence[nn.Module] = ()
) -> str | None:
    """Hold the zeros of a layer's weight; return why that cannot be done, None if it is done.

    mask: bool of the weight's shape, True where the weight is kept; if None, that of a layer whose
    zeros are held already, or what is not zero. Other weights become zero. readers: other modules
    that read the weight and do not call the layer.

    Loading a state that has other zeros makes them the mask, as in sparse layers. Copies of the
    layer hold theirs, by pickle and deepcopy too. Tied weights, subclasses and layers with hooks
    are held, and so are parametrized weights, behind their parametrization; frozen weights are,
    once they are trained. A weight that a hook computes is not: its zeros are those of the hook
    (`torch.nn.utils.prune` has a mask of its own). Raises UsageError for a mask of another type or
    shape.
    """
    weight = layer.weight
    if mask is not None and (mask.dtype != torch.bool or mask.shape != weight.shape):
        raise UsageError(
            f"mask: {mask.dtype} of {list(mask.shape)} given; torch.bool of {list(weight.shape)} "
            "allowed"
        )
    if parametrize.is_parametrized(layer, "weight"):
        _hold_computed(layer, mask)
        return None
    if not isinstance(weight, nn.Parameter):
        return None if is_pruned(layer) else "a hook computes its weight"
    if mask is not None or _KEPT not in layer._buffers:
        kept = weight.detach() != 0 if mask is None else mask.clone()
        layer.register_buffer(_KEPT, kept, persistent=False)
    for module in (layer, *readers):
        if not any(isinstance(hook, _Attend) for hook in module._forward_pre_hooks.values()):
            module.register_forward_pre_hook(_Attend())
    if not any(isinstance(h, _Adopt) for h in layer._load_state_dict_post_hooks.values()):
        layer.register_load_state_dict_post_hook(_Adopt())  # type: ignore[no-untyped-call]  # in torch
    _attend(layer)
    return None


def release_zeros(network: nn.Module) -> None:
    """Hold the zeros of a network's dense layers no longer."""
    for module in network.modules():
        for hooks in (module._forward_pre_hooks, module._load_state_dict_post_hooks):
            for key in [key for key, h in hooks.items() if isinstance(h, (_Attend, _Adopt))]:
                del hooks[key]
        if module._buffers.pop(_KEPT, None) is not None:
            module._non_persistent_buffers_set.discard(_KEPT)
            gate = _gate_of(module)
            if gate is not None:
                gate.handle.remove()


class _Attend:
    """Before a module is called: the weights that it reads are held, whatever became of them."""

    is_of_parameters = True

    def __call__(self, module: nn.Module, _: Any) -> None:
        for one in (module, *module.children()):
            if _KEPT in one._buffers:
                _attend(one)


class _Adopt:
    """After a state was loaded: what is zero there is the mask, if the mask does not cover it."""

    def __call__(self, layer: nn.Module, _: Any) -> None:
        weight, kept = layer.weight, layer.weight_kept
        assert isinstance(weight, nn.Parameter)
        assert isinstance(kept, Tensor)
        if bool((weight.detach() != 0).logical_and(~kept).any()):
            kept.copy_(weight.detach() != 0)


class _Gate:
    """A hook of a weight: lets gradients of kept weights pass. version: of the weight when it was
    last seen, with its zeros."""

    handle: RemovableHandle

    def __init__(self, layer: nn.Module, kept: Tensor) -> None:
        self.owner, self.kept, self.version = weakref.ref(layer), kept, -1

    def __call__(self, gradient: Tensor) -> Tensor:
        return torch.where(self.kept.to(gradient.device), gradient, 0)


@uncompiled
@torch.no_grad()
def _attend(layer: nn.Module) -> None:
    """Give a layer's weight its gate, and its zeros where anything else may have changed it.

    Copies of parameters have no hooks, so a gate may be missing.
    """
    weight, kept = layer.weight, layer.weight_kept
    if not isinstance(weight, nn.Parameter) or not weight.requires_grad or weight.is_inference():
        return
    assert isinstance(kept, Tensor)
    gate = _gate_of(layer)
    if gate is None or gate.kept is not kept:
        if gate is not None:
            gate.handle.remove()
        gate = _Gate(layer, kept)
        gate.handle = weight.register_hook(gate)
    if gate.version != weight._version:
        # Not noted by autograd: a tied layer may have read the weight, with its zeros, before.
        weight.data.masked_fill_(~kept, 0)
        gate.version = weight._version


def _gate_of(layer: nn.Module) -> _Gate | None:
    """Return the gate of a layer's weight; tied layers have one each."""
    hooks = (layer.weight._backward_hooks or {}).values()
    return next((h for h in hooks if isinstance(h, _Gate) and h.owner() is layer), None)


class _Masked(nn.Module):
    """The last parametrization of a weight that is computed from others."""

    kept: Tensor

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return torch.where(self.kept, weight, 0)


def _hold_computed(layer: DenseLayer, mask: Tensor | None) -> None:
    steps = layer.get_submodule("parametrizations.weight")
    assert isinstance(steps, parametrize.ParametrizationList)
    kept = layer.weight.detach() != 0 if mask is None else mask.clone()
    last = steps[-1]
    if not isinstance(last, _Masked):
        parametrize.register_parametrization(layer, "weight", _Masked(kept))
    elif mask is not None:
        last.kept = kept
