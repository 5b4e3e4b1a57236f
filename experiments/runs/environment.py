"""What a run was made with: the commit, the packages, the machine."""

import platform
import shlex
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from experiments.library import HOME

_PACKAGES = ("quantlab", "torch", "torchvision", "numpy", "horovod", "pydantic", "tensorboard")


def now() -> str:
    """Return the time of day in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def command() -> str:
    """Return the command line of this process, as a shell takes it."""
    return shlex.join([sys.executable.rsplit("/", 1)[-1], *sys.argv])


def git_state() -> dict[str, Any]:
    """Return the commit, the uncommitted difference as a patch (bytes that are not UTF-8 are
    replaced), and the files that git does not know; all None outside a git checkout."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "diff": None, "untracked": None}
    untracked = _git("ls-files", "-z", "--others", "--exclude-standard")
    return {
        "commit": commit.strip(),
        "diff": _git("diff", "--no-color", "--no-ext-diff", "HEAD"),
        "untracked": None if untracked is None else untracked.split("\0")[:-1],
    }


def packages() -> dict[str, str]:
    """Return the versions of what computes."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host() -> dict[str, Any]:
    """Return the machine's name, processor and accelerators."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"name": socket.gethostname(), "machine": platform.machine(), "gpus": gpus}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=HOME, capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
