"""Gradients summed over two real processes against those of one."""

from pathlib import Path

import torch

from tests.ranks import forward, inputs, network_of_all_kinds, run_on_ranks, summed_gradients


def expected(shares: list[tuple[torch.Tensor, bool]]) -> dict[str, torch.Tensor]:
    """One process that goes through all shares."""
    parts = network_of_all_kinds()
    for batch, is_deep in shares:
        forward(parts, batch, is_deep=is_deep).square().sum().backward()
    return {name: p.grad for name, p in parts.named_parameters() if p.grad is not None}


def test_sum_over_two_processes(tmp_path: Path) -> None:
    found = run_on_ranks(summed_gradients, tmp_path)
    steps = [
        expected([(inputs()[:4], True), (inputs()[4:5], True), (inputs()[5:], False)]),
        expected([(inputs(), True)]),
    ]
    layouts = {name: p.stride() for name, p in network_of_all_kinds().named_parameters()}
    for rank in found:
        for step, gradients in enumerate(steps):
            for name, gradient in gradients.items():
                torch.testing.assert_close(rank[f"{step}.{name}"], gradient)
                assert tuple(rank[f"{step}.{name}.stride"].tolist()) == layouts[name]
            for name in ("never.weight", "never.bias"):
                assert not rank[f"{step}.{name}"].any()
            assert f"{step}.frozen.weight" not in rank
    assert layouts["conv.weight"] == (27, 1, 9, 3), "the case has a layout of its own"
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), "ranks hold different gradients"
