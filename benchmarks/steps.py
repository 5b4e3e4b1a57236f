"""Training steps on one batch: eager, compiled, or captured as one CUDA graph."""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from quantlab.algorithms import parameter_groups

WARM_UP = 3  # steps on a side stream before a capture
Step = Callable[[], None]
Forward = Callable[[Tensor], Tensor]


def channels_last(network: nn.Module) -> nn.Module:
    """Return the network with its weights in channels_last, in place."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def eager_step(network: nn.Module, inputs: Tensor, targets: Tensor) -> Step:
    """Return a step in float32 on the device of the inputs."""
    network.train()
    optimizer = torch.optim.SGD(parameter_groups(network), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(network(inputs), targets).backward()
        optimizer.step()

    return step


def gpu_step(network: nn.Module, forward: Forward, inputs: Tensor, targets: Tensor) -> Step:
    """Return a step in bfloat16 with fused SGD. forward: the network, or its compiled code."""
    optimizer = torch.optim.SGD(
        parameter_groups(network), lr=1e-3, momentum=0.9, weight_decay=5e-4, fused=True
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            loss = cross_entropy(forward(inputs), targets)
        loss.backward()
        optimizer.step()

    return step


def captured(step: Step) -> Step:
    """Return the replay of a step, captured whole, after some steps that build what it needs."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()
    return graph.replay


def gpu_clock() -> float:
    """Return the time when all that was launched is done, in seconds."""
    torch.cuda.synchronize()
    return perf_counter()
