"""With what a run on several processes begins."""

from pathlib import Path

import pytest
import torch

from tests.ranks import begun_weights, run_on_ranks


@pytest.mark.long
def test_ranks_begin_with_the_same_bits(tmp_path: Path) -> None:
    first, second = run_on_ranks(begun_weights, tmp_path)
    assert any(name.endswith("basis") for name in first["network"])
    for name in ("network", "average"):
        assert first[name].keys() == second[name].keys()
        for key, tensor in first[name].items():
            assert torch.equal(tensor, second[name][key]), key
