"""States in a folder: what is stored comes back, and nothing damaged does."""

from pathlib import Path

import pytest
import torch

from quantlab.compression.store import Store, digest_of
from quantlab.errors import UsageError

CPU = torch.device("cpu")


def test_a_state_comes_back(tmp_path: Path) -> None:
    Store(tmp_path, {"a": 1}).save("ramp", {"epoch": 3, "x": torch.arange(3)})
    found = Store(tmp_path, {"a": 1}).load("ramp", CPU)
    assert found is not None
    assert found["epoch"] == 3
    assert torch.equal(found["x"], torch.arange(3))
    assert Store(tmp_path, {"a": 1}).load("quantized", CPU) is None


def test_without_a_folder_nothing_is_kept() -> None:
    store = Store(None, {})
    store.save("ramp", {"epoch": 3})
    assert store.load("ramp", CPU) is None


@pytest.mark.parametrize("keep", [0, 10, 63, 64, 200])
def test_a_damaged_state_is_refused(tmp_path: Path, keep: int) -> None:
    store = Store(tmp_path, {"a": 1})
    store.save("ramp", {"epoch": 3})
    path = tmp_path / "ramp.state"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match=r"ramp\.state: damaged"):
        store.load("ramp", CPU)


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    Store(tmp_path, {"board": "c-m3", "budget": 1})
    with pytest.raises(UsageError, match="budget 1 lies there, 2 given"):
        Store(tmp_path, {"board": "c-m3", "budget": 2})


def test_the_digest_is_of_names_types_and_numbers() -> None:
    state = {"b": torch.ones(2), "a": torch.zeros(3, dtype=torch.int64)}
    assert digest_of(state) == digest_of(dict(reversed(state.items())))
    others = (
        {**state, "b": torch.ones(3)},
        {**state, "b": torch.ones(2).double()},
        {"b": state["b"]},
    )
    assert len({digest_of(state), *map(digest_of, others)}) == 4
