"""Checkpoints: what is written can be read, what is damaged is never read, whenever it crashed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.runs.checkpoints import BEST, LAST, PREVIOUS, Checkpoints
from quantlab.errors import UsageError


class Crash(BaseException):
    """The power went; not an Exception, so that nobody cleans up."""


@contextmanager
def crashing_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let `calls` file operations happen; all later ones, and what follows them, do not."""
    count = [0]

    def counted(operation: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            if count[0] >= calls:
                raise Crash
            count[0] += 1
            return operation(*arguments, **named)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(os, "link", counted(os.link))
        patch.setattr(os, "fsync", counted(os.fsync))
        yield count


def state(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.full((100,), float(number))}


def load(folder: Path, name: str = LAST) -> tuple[int, list[str]]:
    said: list[str] = []
    loaded = Checkpoints(folder).load(name, said.append)
    assert torch.equal(loaded["weights"], state(loaded["number"])["weights"])
    return loaded["number"], said


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_round_trip(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path / "fold0" / "saves")
    assert not saves.has(LAST)
    for number in range(3):
        saves.save([LAST], state(number))
    saves.save([BEST], state(1))
    assert load(saves.folder) == (2, [])
    assert load(saves.folder, PREVIOUS) == (1, [])
    assert load(saves.folder, BEST) == (1, [])
    assert saves.names() == [BEST, LAST, PREVIOUS]
    assert {path.name for path in saves.folder.iterdir()} == {
        "last.ckpt", "previous.ckpt", "best.ckpt", "manifest.json",
    }  # fmt: skip


def test_one_state_under_several_names(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(2):
        saves.save([BEST, f"epoch{number:04d}", LAST], state(number))
    assert saves.names() == ["best", "epoch0000", "epoch0001", "last", "previous"]
    found = {name: load(tmp_path, name)[0] for name in saves.names()}
    assert found == {"best": 1, "epoch0000": 0, "epoch0001": 1, "last": 1, "previous": 0}


def test_names_given_together_appear_with_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the new `last` finds the new `best` too, whenever it crashed."""
    calls, is_complete = 0, False
    while not is_complete:
        folder = tmp_path / str(calls)
        Checkpoints(folder).save([BEST, LAST], state(0))
        with crashing_after(calls, monkeypatch) as count, suppress(Crash):
            Checkpoints(folder).save([BEST, LAST], state(1))
        is_complete = count[0] < calls
        last, best = load(folder)[0], load(folder, BEST)[0]
        assert best >= last, f"after {calls} operations"
        calls += 1
    assert (last, best) == (1, 1)


def test_a_damaged_last_falls_back_and_says_so(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(3):
        saves.save([LAST], state(number))
    damage(saves.path(LAST))
    number, said = load(tmp_path)
    assert number == 1
    assert len(said) == 1
    assert "last.ckpt: damaged (its SHA-256 is not the one in manifest.json)" in said[0]
    assert "going on from previous.ckpt" in said[0]


def test_a_missing_last_falls_back(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(2):
        saves.save([LAST], state(number))
    saves.path(LAST).unlink()
    assert Checkpoints(tmp_path).has(LAST)
    assert load(tmp_path)[0] == 0


def test_training_goes_on_after_a_fallback(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(3):
        saves.save([LAST], state(number))
    damage(saves.path(LAST))
    resumed = Checkpoints(tmp_path)
    assert resumed.load(LAST, lambda _: None)["number"] == 1
    resumed.save([LAST], state(2))
    assert load(tmp_path) == (2, [])
    damage(resumed.path(LAST))
    assert load(tmp_path)[0] == 1, "a damaged file took the place of the good one before"


@pytest.mark.parametrize("number_of_saves", [1, 3])
def test_nothing_damaged_is_ever_loaded(tmp_path: Path, number_of_saves: int) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(number_of_saves):
        saves.save([LAST], state(number))
    for path in tmp_path.glob("*.ckpt"):
        damage(path)
    with pytest.raises(UsageError, match=r"(last|previous)\.ckpt: damaged"):
        load(tmp_path)


def test_other_names_have_no_fallback(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for number in range(2):
        saves.save([LAST], state(number))
    saves.save([BEST], state(0))
    damage(saves.path(BEST))
    with pytest.raises(UsageError, match=r"best\.ckpt: damaged"):
        load(tmp_path, BEST)
    with pytest.raises(UsageError, match=r"epoch0001\.ckpt: no such checkpoint; there are: best"):
        load(tmp_path, "epoch0001")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"last": 3}'])
def test_a_damaged_manifest_is_one_line(tmp_path: Path, content: str) -> None:
    Checkpoints(tmp_path).save([LAST], state(0))
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"manifest\.json"):
        load(tmp_path)


def test_nothing_but_data_is_loaded(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    saves.save([LAST], {"payload": Path("anything")})
    with pytest.raises(UsageError, match=r"last\.ckpt"):
        saves.load(LAST, lambda _: None)


@pytest.mark.parametrize("has_hard_links", [True, False])
@pytest.mark.parametrize("name", [LAST, BEST])
@pytest.mark.parametrize("saved_before", [0, 1, 2])
@pytest.mark.parametrize("is_new_process", [True, False])
def test_a_crash_between_any_two_file_operations(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    saved_before: int,
    is_new_process: bool,
    has_hard_links: bool,
) -> None:
    if not has_hard_links:

        def refuse(*_: object) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    calls, is_complete = 0, False
    while not is_complete:
        folder = tmp_path / str(calls)
        saves = Checkpoints(folder)
        for number in range(saved_before):
            saves.save([name], state(number))
        crashed = Checkpoints(folder) if is_new_process else saves
        with crashing_after(calls, monkeypatch) as count, suppress(Crash):
            crashed.save([name], state(saved_before))
        is_complete = count[0] < calls
        if saved_before or is_complete:
            found, _ = load(folder, name)
            assert found in (saved_before - 1, saved_before), f"after {calls} operations"
        # Whatever was left behind does not disturb the next one.
        after = Checkpoints(folder)
        after.save([name], state(saved_before + 1))
        assert load(folder, name) == (saved_before + 1, [])
        if name == LAST and saved_before:
            damage(after.path(LAST))
            assert load(folder)[0] in (saved_before - 1, saved_before), f"after {calls} operations"
        calls += 1
    assert calls > 4


@settings(max_examples=30, deadline=None)
@given(
    actions=st.lists(st.sampled_from(["save", "reopen", "damage", "lose", "best"]), max_size=12),
)
def test_any_history_loads_a_state_that_was_saved(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    saves = Checkpoints(folder)
    number = 0
    saves.save([LAST], state(number))
    for action in actions:
        if action == "save":
            number += 1
            saves.save([LAST], state(number))
        elif action == "best":
            saves.save([BEST], state(number))
        elif action == "reopen":
            saves = Checkpoints(folder)
        elif saves.path(LAST).exists() and action == "damage":
            damage(saves.path(LAST))
        elif saves.path(LAST).exists():
            saves.path(LAST).unlink()
    try:
        found, _ = load(folder)
    except UsageError:
        assert {"damage", "lose"} & set(actions)
    else:
        assert 0 <= found <= number
    shutil.rmtree(folder)


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    for epoch in (1, 2, 3, 10, 11):
        saves.save([f"epoch{epoch:04d}"], state(epoch))
    saves.save([LAST], state(11))
    saves.prune_epochs(2)
    assert saves.names() == ["epoch0010", "epoch0011", "last"]
    assert load(tmp_path, "epoch0010") == (10, [])


_FILL_A_DISK = """
import sys
from pathlib import Path
import torch
from experiments.runs.checkpoints import LAST, Checkpoints
from quantlab.errors import UsageError
saves = Checkpoints(Path(sys.argv[1]) / "saves")
small = {"weights": torch.zeros(50_000)}
saves.save([LAST], small)
for _ in range(2):
    try:
        saves.save([LAST], {"weights": torch.zeros(500_000)})
    except UsageError as error:
        print(error)
said = []
assert torch.equal(Checkpoints(saves.folder).load(LAST, said.append)["weights"], small["weights"])
assert not said, said
print(sorted(path.name for path in saves.folder.iterdir()))
saves.save([LAST], small)
"""


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}"
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-m", "sh", "-c", mount], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root and unshare (package util-linux)")
    script = f'{mount} && exec "$@"'
    command = [sys.executable, "-c", _FILL_A_DISK, str(tmp_path)]
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", script, "-", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second, files = done.stdout.splitlines()
    assert first == second
    assert "No space left on device; free some space" in first
    assert files == "['last.ckpt', 'manifest.json']"
