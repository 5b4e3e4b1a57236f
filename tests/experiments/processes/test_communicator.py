"""What processes tell each other."""

from pathlib import Path

import pytest
import torch

from experiments.processes.communicator import Single, TorchDistributed, connect
from quantlab.errors import DataError, UsageError
from tests.ranks import collectives, run_on_ranks

VARIABLES = ("HOROVOD_RANK", "HOROVOD_SIZE", "RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK")


def surround(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("variables", [{}, {"RANK": "one", "WORLD_SIZE": "2"}])
def test_torch_outside_torchrun(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    surround(monkeypatch, variables)
    with pytest.raises(UsageError, match=r"RANK=.*in the environment; torchrun sets a number"):
        TorchDistributed()


def test_torch_without_an_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    surround(monkeypatch, {"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        TorchDistributed()


def test_srun_without_its_variables_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    surround(monkeypatch, {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
    with pytest.raises(UsageError, match="SLURM_NODEID is not in the environment; srun sets it"):
        connect("slurm")


def test_alone() -> None:
    alone = connect("single")
    assert isinstance(alone, Single)
    assert (alone.rank, alone.size, alone.is_root) == (0, 1, True)
    tensor = torch.tensor([1.0, 2.0])
    reduced = alone.all_reduce(tensor)
    assert torch.equal(reduced, tensor)
    assert reduced is not tensor
    assert alone.gather({"a": 1}) == [{"a": 1}]
    assert alone.from_root(lambda: 7) == 7
    with pytest.raises(DataError, match="gone"):
        alone.from_root(fail)


def fail() -> None:
    raise DataError("gone")


def test_two_processes(tmp_path: Path) -> None:
    for rank, found in enumerate(run_on_ranks(collectives, tmp_path)):
        assert found["place"] == [rank, 2, rank]
        assert found["reduced"]["sum"].tolist() == [1.0, 19.0]
        assert found["reduced"]["min"].tolist() == [0.0, 9.0]
        assert found["reduced"]["max"].tolist() == [1.0, 10.0]
        assert found["mine"].tolist() == [float(rank), 10.0 - rank], "the input was changed"
        assert found["broadcast"].tolist() == [0.0, 0.0, 0.0]
        assert found["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert found["from_root"] == "made on 0"
        assert found["message"] == "DataError: nothing there"
        assert found["merged"]["count"].tolist() == [[2**53], [2**53]]
