"""A copy of the checkout with a toy problem, where experiments run without touching the user's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runs.folder import RunFolder

CHECKOUT = Path(__file__).resolve().parents[1]
TOY = CHECKOUT / "tests" / "toy" / "Toy"
BIN = Path(sys.executable).parent
_LAUNCHER_VARIABLES = ("HOROVOD_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK")


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The copy: its folder, which holds experiments, problems, cfg and main.py."""

    home: Path

    @property
    def problems(self) -> Path:
        return self.home / "problems"

    @property
    def logs(self) -> Path:
        return self.problems / "Toy" / "logs"

    def folder(self, exp_id: int = 0) -> RunFolder:
        return RunFolder(problem="Toy", exp_id=exp_id, path=self.logs / f"exp{exp_id:03d}")

    def record(self, exp_id: int = 0) -> dict[str, Any]:
        return self.folder(exp_id).record()

    def rows(self, exp_id: int = 0, fold: int = 0) -> list[dict[str, float]]:
        """The rows of metrics.jsonl but for the time they took."""
        text = (self.folder(exp_id).fold(fold) / "metrics.jsonl").read_text()
        rows = [json.loads(line) for line in text.splitlines()]
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    def everything_in_logs(self) -> list[str]:
        return sorted(str(p.relative_to(self.home)) for p in self.problems.glob("*/logs/*"))

    def start(
        self, *arguments: str, launcher: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start `[launcher] python main.py ARGUMENTS` in the copy."""
        inherited = {k: v for k, v in os.environ.items() if k not in _LAUNCHER_VARIABLES}
        path = f"{BIN}{os.pathsep}{inherited['PATH']}"
        return subprocess.Popen(
            [*launcher, sys.executable, "main.py", *arguments],
            cwd=self.home,
            env={**inherited, "PATH": path, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *arguments: str, launcher: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        process = self.start(*arguments, launcher=launcher, env=env)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def make_lab(home: Path) -> Lab:
    """Copy what main.py needs; data sets and runs stay behind."""
    ignored = shutil.ignore_patterns("__pycache__", "data", "logs")
    for name in ("problems", "cfg"):
        shutil.copytree(CHECKOUT / name, home / name, ignore=ignored)
    skip_cache = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "experiments", home / "experiments", ignore=skip_cache)
    shutil.copytree(TOY, home / "problems" / "Toy", ignore=skip_cache)
    shutil.copy(CHECKOUT / "main.py", home)
    (home / "cfg" / "hard_folders.json").write_text('{"data": "storage", "logs": "storage"}')
    for name in ("data", "logs"):  # as cfg/problem.sh would
        inside = Path("storage", "QuantLab", "problems", "Toy", name)
        (home / inside).mkdir(parents=True)
        (home / "problems" / "Toy" / name).symlink_to(Path("..", "..") / inside)
    return Lab(home=home)


TOY_RUN = ("--problem=Toy", "--topology=Tiny")
