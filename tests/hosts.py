"""Two hosts on this machine: network namespaces with a cable between them, and names of their own.

Each host has its interfaces, its host name, its processes and its view of the file system, in which
a test may hide a folder. SIGKILL of its first process ends all of them at once.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SSH_PORT = 2222
_NAMES = ("alpha", "beta")
_TOOLS = ("ip", "unshare", "nsenter")
_SYSTEM = "/usr/sbin:/sbin"  # where Debian keeps `ip` and `sshd`, which users do not have on PATH


def what_hosts_lack() -> str:
    """Return the part that hosts cannot be made without, or nothing."""
    missing = [tool for tool in _TOOLS if _which(tool) is None]
    if missing:
        return f"no {missing[0]}"
    if os.geteuid() != 0:
        return "no root"
    tried = subprocess.run([*_NEW_HOST, "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no network namespaces"


def what_ssh_lacks() -> str:
    """Return the part that horovodrun cannot reach a second host without, or nothing."""
    return next((f"no {tool}" for tool in ("sshd", "ssh", "ssh-keygen") if not _which(tool)), "")


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host, by its first process."""

    name: str
    address: str
    pid: int

    def inside(self, folder: Path = Path("/")) -> tuple[str, ...]:
        """Return what runs the command that follows on the host, in a folder as it sees it."""
        return ("nsenter", "-t", str(self.pid), "-n", "-u", "-m", "-p", f"--wdns={folder}")

    def call(self, *command: str) -> None:
        subprocess.run([*self.inside(), *command], check=True, capture_output=True)

    def pull_the_cable(self) -> None:
        """From now on nothing reaches the host, and nothing leaves it: no end of a connection."""
        self.call("ip", "link", "set", "eth0", "down")

    def plug_in(self) -> None:
        """Undo that."""
        self.call("ip", "link", "set", "eth0", "up")

    def die(self) -> None:
        """End all its processes in silence."""
        self.pull_the_cable()
        os.kill(self.pid, signal.SIGKILL)

    def hide(self, folder: Path, behind: Path) -> None:
        """Let the host see another folder in its place."""
        self.call("mount", "--bind", str(behind), str(folder))


_NEW_HOST = ("unshare", "-n", "-u", "-m", "-p", "-f", "--kill-child", "--mount-proc")


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Make two hosts; they see the same files. folder: of a file that they need."""
    names = folder / "hosts"
    lines = [f"10.0.0.{i + 1} {name}" for i, name in enumerate(_NAMES)]
    names.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(_host(name, f"10.0.0.{i + 1}", names))
            for i, name in enumerate(_NAMES)
        )
        ends = ("eth0", "netns", str(first.pid), "type", "veth", "peer", "name", "eth0")
        subprocess.run(
            ["ip", "link", "add", *ends, "netns", str(second.pid)], check=True, capture_output=True
        )
        for host in (first, second):
            host.call("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            host.call("ip", "link", "set", "eth0", "up")
        yield first, second


@contextmanager
def _host(name: str, address: str, names: Path) -> Iterator[Host]:
    script = (
        f"hostname {name} && mount --bind {names} /etc/hosts && ip link set lo up "
        "&& echo $$ && exec sleep 3600"
    )
    parent = subprocess.Popen(
        [*_NEW_HOST, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "1"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        yield Host(name=name, address=address, pid=int(children[0]))
    finally:
        parent.kill()  # its child ends with it, and all processes of the host with that
        parent.communicate()


@contextmanager
def ssh_to(host: Host, folder: Path) -> Iterator[Mapping[str, str]]:
    """Let the other host reach this one by ssh, with keys of their own that `folder` holds. Yields
    the variables of a program that calls ssh."""
    keys = folder / "ssh"
    keys.mkdir()
    for name in ("server", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(command, check=True, capture_output=True)
    (keys / "sshd_config").write_text(
        f"HostKey {keys / 'server'}\nAuthorizedKeysFile {keys / 'client.pub'}\nPidFile none\n"
        "StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nUsePAM no\n"
    )
    # horovodrun calls ssh by its name, with options of its own.
    (keys / "config").write_text(
        f"IdentityFile {keys / 'client'}\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
    )
    (keys / "ssh").write_text(f'#!/bin/sh\nexec {_which("ssh")} -F {keys / "config"} "$@"\n')
    (keys / "ssh").chmod(0o755)
    host.call("mount", "-t", "tmpfs", "tmpfs", "/run")
    host.call("mkdir", "/run/sshd")  # sshd does not start without
    server = subprocess.Popen(
        [
            *host.inside(),
            str(_which("sshd")),
            "-D",
            "-p",
            str(SSH_PORT),
            "-f",
            keys / "sshd_config",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield {"PATH": f"{keys}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    finally:
        server.kill()
        server.wait()


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{_SYSTEM}")
