"""horovodrun, torchrun and python: the same program, the same numbers. All real processes."""

import json
import os
import random
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.lab import BIN, TOY_RUN, Lab

needs_horovod = pytest.mark.skipif(
    find_spec("horovod") is None, reason="Horovod is not built; run: bash cfg/horovod.sh"
)
HOROVODRUN = (str(BIN / "horovodrun"), "-np")
# Each call has a port of its own, which the kernel chooses.
TORCHRUN = (str(BIN / "torchrun"), "--standalone", "--no-python", "--nproc-per-node")


def horovodrun(count: int) -> tuple[str, ...]:
    return (*HOROVODRUN, str(count), "-H", f"localhost:{count}")


def torchrun(count: int) -> tuple[str, ...]:
    return (*TORCHRUN, str(count))


def succeed(lab: Lab, *arguments: str, launcher: tuple[str, ...] = ()) -> str:
    done = lab.run(*arguments, launcher=launcher)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_horovod
def test_two_processes_of_horovodrun(lab: Lab) -> None:
    out = succeed(lab, *TOY_RUN, "--data.batch_size=8", launcher=horovodrun(2))
    assert out.count("Toy/exp000") == 1, "rank 1 speaks too"
    record = lab.record()
    assert (record["launcher"], record["world_size"], record["status"]) == ("horovod", 2, "done")
    assert sorted(path.name for path in lab.folder().path.iterdir()) == [
        "config.yaml", "fold0", "lock", "log.rank0.txt", "log.rank1.txt", "run.json", "sources",
    ]  # fmt: skip


@needs_horovod
def test_an_error_on_one_rank_ends_all(lab: Lab) -> None:
    done = lab.run(*TOY_RUN, "--network.class=Exploding", launcher=horovodrun(2))
    assert done.returncode != 0
    assert "training diverged" in done.stderr
    assert (lab.record()["status"], lab.record()["exit_code"]) == ("failed", 4)


@pytest.mark.long
@needs_horovod
def test_all_launchers_give_the_same_weights(lab: Lab) -> None:
    single = [(), horovodrun(1), torchrun(1)]
    for launcher in single:
        succeed(lab, *TOY_RUN, launcher=launcher)
    hashes = [lab.record(i)["weights_sha256"] for i in range(len(single))]
    assert len(set(hashes)) == 1
    assert [lab.record(i)["launcher"] for i in range(3)] == ["single", "horovod", "torch"]
    for launcher in (horovodrun(2), torchrun(2)):
        succeed(lab, *TOY_RUN, "--data.batch_size=8", launcher=launcher)
    assert lab.record(3)["weights_sha256"] == lab.record(4)["weights_sha256"]
    assert lab.rows(3) == lab.rows(4)


@pytest.mark.long
@needs_horovod
def test_two_processes_are_one_with_the_double_batch(lab: Lab) -> None:
    run = (
        *TOY_RUN,
        "--network.class=Plain",
        "--training.precision=float64",
        "--experiment.epochs=15",
        "--experiment.max_steps=50",
        "--data.limit=59",
    )
    succeed(lab, *run, "--data.batch_size=14")
    succeed(lab, *run, "--data.batch_size=7", launcher=horovodrun(2))
    succeed(lab, *run, "--data.batch_size=7", launcher=torchrun(2))
    losses = [
        {row["step"]: row["train/step_loss"] for row in lab.rows(i) if "train/step_loss" in row}
        for i in range(3)
    ]
    assert len(losses[0]) == 50
    for other in losses[1:]:
        assert other.keys() == losses[0].keys()
        for step, loss in losses[0].items():
            assert abs(other[step] - loss) < 1e-9, f"step {step}"


@pytest.mark.long
def test_two_launches_at_once(lab: Lab) -> None:
    processes = [lab.start(*TOY_RUN) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert sorted(path.name for path in lab.logs.iterdir()) == ["exp000", "exp001"]
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]


def wait_for(path: Path, process: object, text: str = "") -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, f"no {text!r} in {path}"
        time.sleep(0.02)


ENDLESS = (*TOY_RUN, "--experiment.epochs=100000")


@pytest.mark.long
def test_one_run_has_one_writer(lab: Lab) -> None:
    process = lab.start(*ENDLESS)
    try:
        wait_for(lab.folder().fold(0) / "metrics.jsonl", process, "valid/top1")
        assert lab.record()["status"] == "running"
        second = lab.run("resume", "--problem=Toy", "--exp_id=0")
        assert second.returncode == 2
        assert len(second.stderr.splitlines()) == 1
        assert "exp000: in use by process" in second.stderr
        listed = json.loads(lab.run("list", "--problem=Toy", "--json").stdout)
        assert [run["status"] for run in listed] == ["running"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert lab.record()["status"] == "killed"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 2])
def test_interruption_writes_a_checkpoint(lab: Lab, number: signal.Signals, workers: int) -> None:
    process = lab.start(*ENDLESS, f"--data.workers={workers}")
    wait_for(lab.folder().fold(0) / "metrics.jsonl", process, "valid/top1")
    os.killpg(process.pid, number)  # as the terminal does
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert "go on with: python main.py resume --problem=Toy --exp_id=0" in out
    assert (lab.record()["status"], lab.record()["exit_code"]) == ("interrupted", 130)
    assert (lab.folder().fold(0) / "saves" / "last.ckpt").exists()


@pytest.mark.long
def test_signals_that_reach_all_processes_are_the_trainers(lab: Lab) -> None:
    process = lab.start(*ENDLESS, "--data.workers=2")
    try:
        metrics = lab.folder().fold(0) / "metrics.jsonl"
        wait_for(metrics, process, "valid/top1")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3  # the workers and the server that they were forked from
        for number in (signal.SIGINT, signal.SIGTERM):
            for child in children:
                child.send_signal(number)
        size = metrics.stat().st_size
        deadline = time.monotonic() + 120
        while metrics.stat().st_size < size + 5000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running()]


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_random_moments(lab: Lab, workers: int) -> None:
    run = (
        *TOY_RUN,
        "--config=quantized",
        "--data.batch_size=4",
        f"--data.workers={workers}",
        "--checkpoint.every_steps=1",
        "--experiment.epochs=12",
    )
    succeed(lab, *run)
    random_moments = random.Random(1)
    arguments, kills = run, 0
    while kills < 5:
        process = lab.start(*arguments)
        saves = lab.folder(1).fold(0) / "saves"
        before = (saves / "last.ckpt").stat().st_mtime_ns if (saves / "last.ckpt").exists() else 0
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            last = saves / "last.ckpt"
            if last.exists() and last.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(random_moments.uniform(0.0, 0.25))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        assert lab.record(1)["status"] in ("killed", "done")
        arguments = ("resume", "--problem=Toy", "--exp_id=1")
    succeed(lab, *arguments)
    assert lab.record(1)["weights_sha256"] == lab.record(0)["weights_sha256"]
    assert lab.record(1)["metrics"] == lab.record(0)["metrics"]
    assert lab.rows(1) == lab.rows(0)
    assert scalars(lab, 1) == scalars(lab, 0)


def scalars(lab: Lab, exp_id: int) -> dict[str, list[tuple[int, float]]]:
    stats = lab.folder(exp_id).fold(0) / "stats" / lab.record(exp_id)["name"]
    board = EventAccumulator(str(stats), {"scalars": 0})
    board.Reload()
    return {
        tag: sorted((event.step, event.value) for event in board.Scalars(tag))
        for tag in board.Tags()["scalars"]
    }


def at_the_checkpoint_before(lab: Lab, exp_id: int) -> None:
    """Leave a run as if it had been killed while validating its last epoch: its record says so,
    and the checkpoint written then is the last good one."""
    folder = lab.folder(exp_id)
    saves = folder.fold(0) / "saves"
    (saves / "last.ckpt").unlink()  # another name of a file, maybe
    (saves / "last.ckpt").write_bytes(b"torn")
    folder.update(status="running", metrics={}, folds=[], weights_sha256=None)


@pytest.mark.long
def test_two_processes_resume_with_the_running_statistics_of_each(lab: Lab) -> None:
    averaged = ("--training.ema.decay=0.9", "--data.valid_fraction=0.5", "--data.batch_size=4",
                "--checkpoint.seconds_between=0", "--experiment.epochs=2")  # fmt: skip
    succeed(lab, *TOY_RUN, *averaged, launcher=torchrun(2))
    expected = lab.record(), lab.rows()
    at_the_checkpoint_before(lab, 0)
    out = succeed(lab, "resume", "--problem=Toy", "--exp_id=0", launcher=torchrun(2))
    assert "going on from previous.ckpt" in out
    for key in ("metrics", "weights_sha256"):
        assert lab.record()[key] == expected[0][key]
    assert lab.rows() == expected[1]
    assert [again["world_size"] for again in lab.record()["resumed"]] == [2]
    at_the_checkpoint_before(lab, 0)
    out = succeed(lab, "resume", "--problem=Toy", "--exp_id=0")
    assert lab.record()["status"] == "done"
    assert [again["world_size"] for again in lab.record()["resumed"]] == [2, 1]
    assert last_epoch(lab.rows()) == pytest.approx(last_epoch(expected[1]))


def last_epoch(rows: list[dict[str, float]]) -> dict[str, float]:
    """The metrics of training in the last epoch."""
    (*_, row) = (row for row in rows if "train/top1" in row)
    return {name: row[name] for name in ("epoch", "train/top1", "train/loss")}


def test_a_rank_that_is_killed_is_told_in_one_line(lab: Lab) -> None:
    process = lab.start(*TOY_RUN, "--experiment.epochs=100000", launcher=torchrun(2))
    try:
        deadline = time.monotonic() + 120
        log = lab.folder().path / "log.rank1.txt"
        while not (log.exists() and "epoch" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = [p for p in psutil.Process(process.pid).children(recursive=True)
                if "main.py" in p.cmdline() and p.environ().get("RANK") == "1"]  # fmt: skip
        pids[0].kill()
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode != 0
    ours = [line for line in err.splitlines() if line.startswith("main.py:")]
    assert len(ours) <= 1
    assert "Error" not in "".join((lab.folder().path / "log.rank0.txt").read_text())
