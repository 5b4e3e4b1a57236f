"""A copy of a checkout, where the real scripts run as processes."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CFG = Path(__file__).resolve().parents[2] / "cfg"
Listing = dict[str, tuple[object, ...]]


def listing(folder: Path, *, times: bool = True) -> Listing:
    """Everything under `folder`, links not followed: inode, kind, contents, time of change.

    Without `times`, folders where something was made and undone compare as equal, and so does a
    link that was made again.
    """
    entries: Listing = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        node, changed = status.st_ino, status.st_mtime_ns if times else 0
        if path.is_symlink():
            node, contents = node if times else 0, str(path.readlink())
        else:
            contents = path.read_text() if path.is_file() else "/"
        entries[str(path.relative_to(folder))] = (node, status.st_mode, contents, changed)
    return entries


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of what the scripts need. `disk` is a folder outside, as a mounted storage."""

    home: Path
    disk: Path

    def configure(self, data: object, logs: object) -> None:
        self.write_config(json.dumps({"data": str(data), "logs": str(logs)}))

    def write_config(self, text: str) -> None:
        (self.home / "cfg" / "hard_folders.json").write_text(text)

    def run(
        self,
        script: str,
        *arguments: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        before: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run `bash cfg/<script>`, after the shell command `before` in the same process."""
        command = f'{before}; exec bash "$@"' if before else 'exec bash "$@"'
        return subprocess.run(
            ["bash", "-c", command, "-", self.home / "cfg" / script, *arguments],
            cwd=cwd or self.home.parent,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, script: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run a script that must end well; return what it says."""
        result = self.run(script, *arguments, cwd=cwd)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def refuse(self, script: str, *arguments: str) -> str:
        """Run a script that must stop before it touches anything; return its one line."""
        before = listing(self.home.parent)
        result = self.run(script, *arguments)
        assert listing(self.home.parent) == before
        return the_line(result)

    def clone(self, name: str) -> "Checkout":
        """Another checkout beside this one, without problems, with the same configuration."""
        home = self.home.parent / name
        shutil.copytree(self.home / "cfg", home / "cfg")
        (home / "problems").mkdir()
        return Checkout(home=home, disk=self.disk)


def the_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of a run that ended with exit code 2."""
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.endswith("\n")
    return result.stderr
