"""A run's folder on several hosts; two real ones in tests/experiments/test_hosts.py."""

import threading
from pathlib import Path

import pytest

from experiments.experiment import shared_folder as module
from experiments.experiment.shared_folder import shared_folder
from experiments.processes.communicator import Single
from experiments.runs.folder import RunFolder
from quantlab.errors import UsageError


class OfTwoHosts(Single):
    """Rank 0 of two hosts, without the other."""

    size = 2


def made_by_root(logs: Path, text: str = "{}") -> RunFolder:
    folder = RunFolder(problem="Toy", exp_id=3, path=logs / "exp003")
    folder.path.mkdir(parents=True)
    (folder.path / "run.json").write_text(text)
    return folder


def test_one_host_sees_its_own(tmp_path: Path) -> None:
    folder = made_by_root(tmp_path / "logs")
    assert shared_folder(folder, tmp_path / "elsewhere", Single()) is folder


def test_each_host_has_a_path_of_its_own(tmp_path: Path) -> None:
    folder = made_by_root(tmp_path / "root")
    (tmp_path / "mounted").symlink_to(tmp_path / "root")
    seen = shared_folder(folder, tmp_path / "mounted", OfTwoHosts())
    assert seen.path == tmp_path / "mounted" / "exp003"
    assert (seen.problem, seen.exp_id) == ("Toy", 3)


@pytest.mark.parametrize("text", [None, '{"of": "another run"}'])
def test_a_host_that_sees_nothing_or_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    folder = made_by_root(tmp_path / "root")
    if text is not None:
        made_by_root(tmp_path / "other", text)
    with pytest.raises(UsageError, match=r"exp003: not the folder that .* writes; all hosts"):
        shared_folder(folder, tmp_path / "other", OfTwoHosts())


def test_a_folder_may_show_late(tmp_path: Path) -> None:
    folder = made_by_root(tmp_path / "root")
    late = threading.Timer(0.2, made_by_root, (tmp_path / "late",))
    late.start()
    assert shared_folder(folder, tmp_path / "late", OfTwoHosts()).path.parent.name == "late"
    late.join()
