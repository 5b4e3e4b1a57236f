"""A process that is killed while it loads models: nothing is lost, and the next load completes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.deploy.clickhouse.store import Store
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import run
from tests.quantlab.deploy.clickhouse.store.toys import scored

KILLS = 12


def killed(folder: Path, seed: int, delay: float) -> list[str]:
    """Run the loading process, kill it after a while; return what it had said."""
    module = "tests.quantlab.deploy.clickhouse.store.killed"
    command = [sys.executable, "-m", module, str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines()
    assert lines[0] == "open"
    return lines


@pytest.mark.long
def test_nothing_is_lost(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    chance = random.Random(0)
    images = np.random.default_rng(5).integers(0, 256, (4, 2, 4), np.uint8)
    loaded: dict[int, int] = {}
    for kill in range(KILLS):
        said = killed(tmp_path, 100 * kill, chance.uniform(0.05, 1.5))
        for line in said:
            found = re.fullmatch(r"loaded (\d+) as (\d+)", line)
            if found:
                loaded[int(found[2])] = int(found[1])
        with open_chdb(tmp_path) as connection:
            store = Store(connection)
            models = {model.version: model for model in store.models()}
            assert set(loaded) <= set(models)
            for version, seed in loaded.items():
                assert to_bytes(store.program("net", version)) == to_bytes(scored(seed))
            if not models:
                continue
            (active,) = (model for model in models.values() if model.is_active)
            program = store.program("net")
            expected = run(program, {"x": images})["y"].tolist()
            rows = [image.tobytes() for image in images]
            scores = connection.execute(
                "SELECT net_scores(image) AS y "
                "FROM (SELECT arrayJoin({rows:Array(String)}) AS image)",
                {"rows": rows},
            )["y"]
            assert sorted(row.tolist() for row in scores) == sorted(expected)
            assert active.version >= 1
    with open_chdb(tmp_path) as connection:
        store = Store(connection)
        last = 100 * (KILLS - 1)
        model = store.load("net", scored(last))
        assert to_bytes(store.program("net", model.version)) == to_bytes(scored(last))
        store.remove("net")
        left = connection.execute("SELECT count() AS n FROM quantlab.planes")["n"].tolist()
        assert left == [0]
