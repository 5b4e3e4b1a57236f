"""The real TensorBoard, on loopback, for the time of a `with`."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab import BIN

Fetch = Callable[..., Any]


@contextmanager
def tensorboard(arguments: Sequence[str], folder: Path) -> Iterator[Fetch]:
    """Start it in `folder`. Yields `fetch(path, body=None)`, which returns the JSON answered."""
    server = subprocess.Popen(
        [BIN / "tensorboard", *arguments, "--port=0", "--load_fast=false"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        address = next(m[1] for m in (re.search(r"(http://\S+)", x) for x in server.stderr) if m)

        def fetch(path: str, body: object = None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(
                f"{address}{path}", data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        yield fetch
    finally:
        server.terminate()
        server.communicate()


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted, for two minutes at most; return the last answer."""
    deadline = time.monotonic() + 120
    while not wanted(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer
