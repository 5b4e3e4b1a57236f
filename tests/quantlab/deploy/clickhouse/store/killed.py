"""Loads models into a store again and again, until it is killed.

python -m tests.quantlab.deploy.clickhouse.store.killed FOLDER SEED

Says each version that is loaded, and which is active then.
"""

import sys
from pathlib import Path

from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.deploy.clickhouse.store import Store
from tests.quantlab.deploy.clickhouse.store.toys import scored


def main(folder: Path, seed: int) -> None:
    with open_chdb(folder) as connection:
        store = Store(connection)
        _say("open")
        for step in range(1000):
            model = store.load("net", scored(seed + step))
            _say(f"loaded {seed + step} as {model.version}")
            if step % 3 == 2:
                _say(f"rolled back to {store.rollback('net').version}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
