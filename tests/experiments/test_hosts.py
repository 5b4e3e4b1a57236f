"""Runs on two hosts: real launchers, real connections, one host that is cut off.

The hosts are network namespaces of this machine (tests/hosts.py); where there are none, two
addresses of its loopback.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from tests.experiments.test_launchers import horovodrun, needs_horovod, succeed, torchrun, wait_for
from tests.hosts import SSH_PORT, Host, ssh_to, two_hosts, what_hosts_lack, what_ssh_lacks
from tests.lab import BIN, TOY_RUN, Lab

needs_hosts = pytest.mark.skipif(
    bool(what_hosts_lack()), reason=f"hosts cannot be made: {what_hosts_lack()}"
)
needs_ssh = pytest.mark.skipif(
    bool(what_ssh_lacks()),
    reason=f"{what_ssh_lacks()}; run: sudo apt-get install openssh-server openssh-client",
)
RUN = (*TOY_RUN, "--data.batch_size=8")
LAUNCHERS = ["torch", pytest.param("horovod", marks=[needs_horovod, needs_ssh])]
SECONDS = 5  # the least experiment.timeout


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Two hosts that see the same lab, and what they are called by."""

    lab: Lab
    hosts: tuple[Host, Host]
    ssh: dict[str, str]

    def start(self, launcher: str, *arguments: str, each: int = 1) -> list["subprocess.Popen[str]"]:
        """Start main.py on both hosts, `each` processes on each; return the launchers."""
        if launcher == "horovod":
            names = ",".join(f"{host.name}:{each}" for host in self.hosts)
            command = ("horovodrun", "-np", str(2 * each), "-H", names, "-p", str(SSH_PORT))
            place = self.hosts[0].inside(self.lab.home)
            prefix = (*place, *command, "--disable-cache")
            return [self.lab.start(*arguments, launcher=prefix, env=self.ssh)]
        return [
            self.lab.start(*arguments, launcher=(*host.inside(self.lab.home), *node))
            for host, node in zip(self.hosts, nodes(self.hosts[0].address, each), strict=True)
        ]

    def run(self, launcher: str, *arguments: str, each: int = 1) -> list[tuple[int, str]]:
        """Run it to its end; return the exit code and stderr of each launcher."""
        return [ended(process) for process in self.start(launcher, *arguments, each=each)]

    def succeed(self, launcher: str, *arguments: str, each: int = 1) -> None:
        for code, err in self.run(launcher, *arguments, each=each):
            assert code == 0, err


def nodes(address: str, each: int = 1, port: int = 29500) -> list[tuple[str, ...]]:
    """Return torchrun for each of two nodes; the first is at `address`."""
    common = ("--no-python", "--nnodes=2", f"--nproc-per-node={each}")
    place = (f"--master-addr={address}", f"--master-port={port}")
    return [(str(BIN / "torchrun"), *common, *place, f"--node-rank={rank}") for rank in range(2)]


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.fixture
def cluster(lab: Lab, tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        hosts = stack.enter_context(two_hosts(tmp_path))
        ssh = {} if what_ssh_lacks() else dict(stack.enter_context(ssh_to(hosts[1], tmp_path)))
        yield Cluster(lab=lab, hosts=hosts, ssh=ssh)


def lines_of_ours(err: str) -> list[str]:
    """Return what main.py printed, without horovodrun's marks."""
    lines = [line.rpartition("<stderr>:")[2] for line in err.splitlines()]
    return [line for line in lines if line.startswith(("main.py:", "rank "))]


@pytest.mark.long
@needs_hosts
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("each", [1, 2])
def test_two_hosts_train_as_one(cluster: Cluster, launcher: str, each: int) -> None:
    cluster.succeed(launcher, *RUN, each=each)
    lab = cluster.lab
    succeed(lab, *RUN, launcher=torchrun(2 * each))
    assert lab.record(0)["host"]["name"] == "alpha"
    assert lab.record(0)["world_size"] == lab.record(1)["world_size"] == 2 * each
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)


@pytest.mark.long
@needs_hosts
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_is_cut_off_ends_the_run_and_resume_goes_on(
    cluster: Cluster, launcher: str, lost: int
) -> None:
    run = (*RUN, "--experiment.epochs=40", f"--experiment.timeout={SECONDS}",
           "--checkpoint.every_steps=1")  # fmt: skip
    lab, kept = cluster.lab, 1 - lost
    succeed(lab, *run, launcher=torchrun(2))
    launchers = cluster.start(launcher, *run)
    wait_for(lab.folder(1).fold(0) / "metrics.jsonl", launchers[0], '"epoch": 2')
    cluster.hosts[lost].pull_the_cable()
    began = time.monotonic()
    log = lab.folder(1).path / f"log.rank{kept}.txt"
    wait_for(log, launchers[0], "its host cannot be reached")
    assert time.monotonic() - began < SECONDS + 30
    results = [ended(process) for process in launchers]
    assert [code for code, _ in results] == [1] * len(launchers)
    ours = lines_of_ours(results[kept if launcher == "torch" else 0][1])
    assert len(ours) == 1
    assert "another process of this run ended, or its host cannot be reached" in ours[0]
    assert (lab.record(1)["status"], lab.record(1)["exit_code"]) == ("failed", 1)
    resume = ("resume", "--problem=Toy", "--exp_id=1")
    if lost == 0:
        succeed(lab, *resume, launcher=torchrun(2))  # on one host
    else:
        cluster.hosts[lost].plug_in()
        cluster.succeed(launcher, *resume)
    assert lab.record(1)["status"] == "done"
    assert lab.record(1)["weights_sha256"] == lab.record(0)["weights_sha256"]
    assert lab.rows(1) == lab.rows(0)


@pytest.mark.long
@needs_hosts
@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_dies_in_silence_ends_the_other(cluster: Cluster, lost: int) -> None:
    lab = cluster.lab
    launchers = cluster.start(
        "torch", *RUN, "--experiment.epochs=100000", f"--experiment.timeout={SECONDS}"
    )
    wait_for(lab.folder().fold(0) / "metrics.jsonl", launchers[0], "valid/top1")
    cluster.hosts[lost].die()
    assert ended(launchers[lost])[0] == -signal.SIGKILL
    code, err = ended(launchers[1 - lost])
    assert code == 1
    assert len(lines_of_ours(err)) == 1
    assert "its host cannot be reached" in lines_of_ours(err)[0]
    assert lab.record()["status"] == ("killed" if lost == 0 else "failed")


@pytest.mark.long
@needs_hosts
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_hosts_without_a_common_storage_are_told_before_training(
    cluster: Cluster, launcher: str, tmp_path: Path
) -> None:
    lab = cluster.lab
    own = tmp_path / "own"
    own.mkdir()
    cluster.hosts[1].hide(lab.logs.resolve(), own)
    err = "".join(err for _, err in cluster.run(launcher, *RUN))
    assert lines_of_ours(err) == [
        f"main.py: beta: {lab.logs / 'exp000'}: not the folder that alpha writes; all hosts of a "
        "run need the same storage for logs, see docs/clusters.md"
    ]
    assert list(lab.logs.iterdir()) == list(own.iterdir()) == []


@pytest.mark.long
@needs_hosts
def test_hosts_that_take_themselves_for_the_loopback_need_an_interface(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host, other in (cluster.hosts, cluster.hosts[::-1]):
        names = tmp_path / f"hosts.{host.name}"
        lines = ("127.0.0.1 localhost", f"127.0.1.1 {host.name}", f"{other.address} {other.name}")
        names.write_text("\n".join((*lines, "")))
        host.hide(Path("/etc/hosts"), names)
    (code, err), _ = cluster.run("torch", *RUN, f"--experiment.timeout={SECONDS}")
    assert code == 1
    told = [line for line in lines_of_ours(err) if line.startswith("main.py: ")]
    assert len(told) == 1
    assert told[0].startswith("main.py: the processes of this run did not all meet (")
    assert told[0].endswith("; see docs/clusters.md#networks")
    assert cluster.lab.everything_in_logs() == []
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    cluster.succeed("torch", *RUN)


@pytest.mark.long
@needs_hosts
def test_a_host_that_may_not_write_is_named(cluster: Cluster) -> None:
    logs = cluster.lab.logs.resolve()
    cluster.hosts[1].hide(logs, logs)
    cluster.hosts[1].call("mount", "-o", "remount,bind,ro", str(logs))
    refused(cluster, "log.rank1.txt: cannot be written: Read-only file system")


@pytest.mark.long
@needs_hosts
@pytest.mark.parametrize(
    ("path", "change", "line"),
    [
        ("problems/Toy/Tiny/network.py", "\nX = 1\n", "problems/Toy/Tiny/network.py: other code"),
        ("experiments/storage.py", "\nX = 1\n", "experiments: other code than on alpha"),
        ("problems/Toy/Tiny/config.yaml", "\ncheckpoint: {keep_last: 7}\n",
         "checkpoint.keep_last: 7, but 3 on alpha"),
    ],
)  # fmt: skip
def test_a_host_with_other_code_is_named(
    cluster: Cluster, tmp_path: Path, path: str, change: str, line: str
) -> None:
    own = tmp_path / "own"
    own.write_text((cluster.lab.home / path).read_text() + change)
    cluster.hosts[1].hide(cluster.lab.home / path, own)
    refused(cluster, line)


@pytest.mark.long
@needs_hosts
def test_a_host_without_the_data_is_named(cluster: Cluster, tmp_path: Path) -> None:
    data = cluster.lab.problems / "Toy" / "data.py"
    text = data.read_text().replace(
        "def load(folder: Path, source: Source) -> Data:",
        "def load(folder: Path, source: Source) -> Data:\n"
        "    from quantlab.errors import DataError\n"
        "    if not (folder / 'samples').exists():\n"
        "        raise DataError(f'{folder}: no samples')",
    )
    assert "no samples" in text
    data.write_text(text)
    (cluster.lab.problems / "Toy" / "data" / "samples").touch()
    (tmp_path / "own").mkdir()
    cluster.hosts[1].hide((cluster.lab.problems / "Toy" / "data").resolve(), tmp_path / "own")
    refused(cluster, "no samples")


def refused(cluster: Cluster, line: str) -> None:
    """See one line about beta, on alpha, and no run."""
    (code, err), (other_code, other_err) = cluster.run("torch", *RUN)
    assert (code, other_code) == (1, 1)  # torchrun's own
    ours = lines_of_ours(err + other_err)
    assert len(ours) == 1
    assert ours[0].startswith("main.py: beta: ")
    assert line in ours[0]
    assert cluster.lab.everything_in_logs() == []


def worker_of(launcher: "subprocess.Popen[str]") -> int:
    """Return the process that trains, of a launcher of one."""
    children = psutil.Process(launcher.pid).children(recursive=True)
    (worker,) = [child.pid for child in children if "main.py" in child.cmdline()]
    return worker


def rank_1_of(launcher: "subprocess.Popen[str]") -> psutil.Process:
    """Return the process of rank 1, of a launcher of several."""
    name = "HOROVOD_RANK" if "horovodrun" in " ".join(map(str, launcher.args)) else "RANK"
    children = psutil.Process(launcher.pid).children(recursive=True)
    return next(
        child
        for child in children
        if child.cmdline()[1:2] == ["main.py"] and child.environ().get(name) == "1"
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def of_srun(rank: int, port: int) -> dict[str, str]:
    """Return what srun tells each of two processes, on one host each."""
    return {
        "SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": "0", "SLURM_NODEID": str(rank),
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.[2-3]",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "MASTER_PORT": str(port),
    }  # fmt: skip


@pytest.mark.long
def test_processes_of_srun(lab: Lab) -> None:
    port = free_port()
    processes = [lab.start(*RUN, env=of_srun(rank, port)) for rank in range(2)]
    for process in processes:
        code, err = ended(process)
        assert (code, err) == (0, "")
    record = lab.record()
    assert (record["launcher"], record["world_size"], record["status"]) == ("slurm", 2, "done")
    test = ("test", "--problem=Toy", "--exp_id=0", "--json")
    testers = [lab.start(*test, env=of_srun(rank, port)) for rank in range(2)]
    said = [process.communicate(timeout=120)[0] for process in testers]
    assert said[1] == ""
    alone = json.loads(lab.run(*test).stdout)["metrics"]
    assert json.loads(said[0])["metrics"] == pytest.approx(alone)
    succeed(lab, *RUN, launcher=torchrun(2))
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]


@pytest.mark.long
def test_an_interrupted_run_is_whole_when_its_first_process_ends(lab: Lab) -> None:
    folder = lab.home / "experiments" / "runs" / "folder.py"
    text = folder.read_text()
    writes = '        file = self.path / "run.json"\n        record = read_json(file) if'
    assert writes in text
    folder.write_text(text.replace(writes, f"        time.sleep(1)  # a slow disk\n{writes}"))
    run = (*RUN, "--experiment.epochs=150")
    port = free_port()
    processes = [lab.start(*run, env=of_srun(rank, port)) for rank in range(2)]
    wait_for(lab.folder().fold(0) / "metrics.jsonl", processes[0], '"epoch": 2')
    for process in processes:
        process.send_signal(signal.SIGTERM)
    while all(process.poll() is None for process in processes):
        time.sleep(0.001)
    for process in processes:
        process.kill()  # as srun does with --kill-on-bad-exit
    assert 130 in [ended(process)[0] for process in processes]
    assert (lab.record()["status"], lab.record()["exit_code"]) == ("interrupted", 130)
    succeed(lab, "resume", "--problem=Toy", "--exp_id=0", launcher=torchrun(2))
    succeed(lab, *run, launcher=torchrun(2))
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]


@pytest.mark.long
def test_a_mistake_that_one_host_alone_sees_is_told_there(lab: Lab) -> None:
    overlay = lab.home / "only_here.yaml"
    overlay.write_text("experiment: {epochs: none}")
    port = free_port()
    processes = [lab.start(*RUN, *extra, f"--experiment.timeout={SECONDS}", env=of_srun(rank, port))
                 for rank, extra in enumerate([(), (f"--config={overlay}",)])]  # fmt: skip
    (code, err), (other_code, other_err) = (ended(process) for process in processes)
    assert other_code == 2
    assert len(other_err.splitlines()) == 1
    assert other_err.startswith(f"main.py: {os.uname().nodename}: experiment.epochs: ")
    assert code == 1
    assert lines_of_ours(err)[0].startswith(
        f"main.py: the processes of this run did not all meet (experiment.timeout: {SECONDS} s): "
    )
    assert lab.everything_in_logs() == []


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
@pytest.mark.parametrize("launcher", ["torch", pytest.param("horovod", marks=needs_horovod)])
def test_a_process_on_a_gpu_does_not_wait_for_ever(lab: Lab, launcher: str) -> None:
    run = (*RUN, "--experiment.epochs=100000", f"--experiment.timeout={SECONDS}")
    process = lab.start(*run, launcher=torchrun(2) if launcher == "torch" else horovodrun(2))
    wait_for(lab.folder().fold(0) / "metrics.jsonl", process, "valid/top1")
    stopped = rank_1_of(process)
    stopped.suspend()
    try:
        code, _ = ended(process)
    finally:
        stopped.kill()
    assert code != 0
    assert lab.record()["status"] in ("failed", "killed")


@pytest.mark.long
def test_two_nodes_of_the_loopback_and_one_that_stops(lab: Lab) -> None:
    run = (*RUN, "--experiment.epochs=40", f"--experiment.timeout={SECONDS}",
           "--checkpoint.every_steps=1")  # fmt: skip
    launchers = [lab.start(*run, launcher=node) for node in nodes("127.0.0.2", port=free_port())]
    for process in launchers:
        code, err = ended(process)
        assert code == 0, err
    launchers = [lab.start(*run, launcher=node) for node in nodes("127.0.0.2", port=free_port())]
    wait_for(lab.folder(1).fold(0) / "metrics.jsonl", launchers[0], '"epoch": 2')
    stopped = worker_of(launchers[1])
    os.kill(stopped, signal.SIGSTOP)
    try:
        code, err = ended(launchers[0])
    finally:
        os.kill(stopped, signal.SIGKILL)
    assert ended(launchers[1])[0] == 1
    assert code == 1
    assert len(lines_of_ours(err)) == 1
    succeed(lab, "resume", "--problem=Toy", "--exp_id=1", launcher=torchrun(2))
    assert lab.record(1)["weights_sha256"] == lab.record(0)["weights_sha256"]
    assert lab.rows(1) == lab.rows(0)
