"""ClickHouse 18.16.1 of Debian, on ports of the loopback interface, configured for tests.

The program is the installed one or, where none is, that of Debian's packages, unpacked once into a
folder of the user's cache. Nothing is installed, and no other server is touched.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HOST = "127.0.0.1"
_PROGRAM = "clickhouse-server"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "quantlab/clickhouse"
_START_S = 30.0
_CONFIG = """<yandex>
    <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
    <listen_host>{host}</listen_host>
    <interserver_http_host>{host}</interserver_http_host>
    <tcp_port>{tcp}</tcp_port>
    <http_port>{http}</http_port>
    <interserver_http_port>{interserver}</interserver_http_port>
    <path>{folder}/data/</path>
    <tmp_path>{folder}/tmp/</tmp_path>
    <user_files_path>{folder}/files/</user_files_path>
    <format_schema_path>{folder}/schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>5368709</mark_cache_size>
    <timezone>UTC</timezone>
</yandex>
"""
_USERS = """<yandex>
    <profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
    <quotas><default></default></quotas>
</yandex>
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers at HOST and a port of the native protocol. pid: its process."""

    port: int
    pid: int


@cache
def what_servers_lack() -> str:
    """Return the part that a server cannot be started without, or nothing."""
    if _installed():
        return ""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            return f"no {_PROGRAM} (sudo apt-get install {_PROGRAM}) and no {tool} to unpack it"
    try:
        _unpacked()
    except (subprocess.SubprocessError, OSError) as error:
        return f"no {_PROGRAM} (sudo apt-get install {_PROGRAM}): {error}"
    return ""


def need_server() -> None:
    """Skip the test, with the missing part, where a server cannot be started."""
    lack = what_servers_lack()
    if lack:
        pytest.skip(lack)


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Run a server on a folder of its own until the end of the block; raise RuntimeError, with
    what it said, if it does not answer."""
    for attempt in range(3):  # another process may take a port between its choice and its use
        try:
            process, port = _started(folder / f"server{attempt}")
            break
        except RuntimeError:
            if attempt == 2:
                raise
    try:
        yield Server(port=port, pid=process.pid)
    finally:
        process.kill()  # it would wait for its clients
        process.wait()


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    folder.mkdir(parents=True)
    tcp, http, interserver = _free_ports(3)
    config = _CONFIG.format(folder=folder, host=HOST, tcp=tcp, http=http, interserver=interserver)
    (folder / "config.xml").write_text(config)
    (folder / "users.xml").write_text(_USERS)
    program, libraries = _installed(), ""
    if not program:
        root = _unpacked()
        program = str(root / "usr/sbin" / _PROGRAM)
        folders = [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]
        libraries = ":".join(map(str, folders))
    process = subprocess.Popen(
        [program, f"--config-file={folder / 'config.xml'}"],
        cwd=folder,
        env={**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex((HOST, tcp)) == 0:
                return process, tcp
        time.sleep(0.05)
    process.kill()
    process.wait()
    errors = folder / "errors"
    said = errors.read_text()[-500:] if errors.exists() else "nothing"
    raise RuntimeError(f"{_PROGRAM} does not answer; it said: {said}")


def _installed() -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # the last two: not on users' PATH
    return shutil.which(_PROGRAM, path=path) or ""


def _unpacked() -> Path:
    """Return the folder of the unpacked packages, which are fetched where they are not there."""
    root = _CACHE / "root"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            with TemporaryDirectory(dir=_CACHE) as folder:
                made = Path(folder) / "root"
                made.mkdir()
                _fetch(Path(folder), made)
                made.rename(root)
    return root


def _fetch(folder: Path, root: Path) -> None:
    """Unpack the server's package, and those that it needs and that are not installed."""
    planned = ["apt-get", "install", "-s", "--no-install-recommends", _PROGRAM]
    names = [line.split()[1] for line in _output(planned, folder) if line.startswith("Inst ")]
    _output(["apt-get", "download", "-q", *names], folder)
    for package in sorted(folder.glob("*.deb")):
        _output(["dpkg-deb", "-x", str(package), str(root)], folder)


def _output(command: list[str], folder: Path) -> list[str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.splitlines()


def _free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind((HOST, 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports
