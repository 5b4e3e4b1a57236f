"""Commands that restore a network compare the code of its problem with that of the run."""

import json
import shutil
from pathlib import Path

import pytest

import main
from experiments.runs import files
from experiments.runs.folder import Lock
from tests.fixtures import forget_problems
from tests.lab import TOY_RUN, Lab

RUN = (*TOY_RUN, "--experiment.max_steps=2")
RESUME = ("resume", "--problem=Toy", "--exp_id=0")
NETWORK = "problems/Toy/Tiny/network.py"
RESTORING = {
    "test": (),
    "report": ("--samples=2",),
    "verify": ("--samples=2",),
    "export": ("--to=program",),
    "predict": ("image.png",),
    "compress": ("--budget.ram=4000", "--board=host"),
}
Captured = pytest.CaptureFixture[str]


def interrupted(lab: Lab) -> None:
    """Leave a run that can be resumed."""
    assert main.main([*RUN]) == 0
    lab.folder().update(status="interrupted", folds=[])


def edit(lab: Lab, file: str, old: str, new: str) -> None:
    """Change a file of the copy, as the next process will find it."""
    path = lab.home / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    forget_problems(lab.problems)


def line_of(lab: Lab, words: str) -> int:
    text = (lab.home / NETWORK).read_text()
    return next(i for i, line in enumerate(text.split("\n"), 1) if words in line)


def refused(lab: Lab, capsys: Captured, *arguments: str) -> str:
    """Run a command that must be refused and write nothing; return its only line."""
    before = {p: p.stat().st_mtime_ns for p in lab.logs.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main.main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert {p: p.stat().st_mtime_ns for p in lab.logs.rglob("*") if p.is_file()} == before
    return said.err


def test_a_run_keeps_the_files_that_it_is_made_of(lab: Lab) -> None:
    assert main.main([*RUN]) == 0
    kept = lab.record()["sources"]
    assert kept["sha256"].keys() == {
        "problems/__init__.py",
        "problems/Toy/__init__.py",
        "problems/Toy/data.py",
        "problems/Toy/meter.py",
        NETWORK,
        "problems/Toy/Tiny/preprocess.py",
        "problems/Toy/Tiny/postprocess.py",
        "problems/images/__init__.py",
        "problems/images/meter.py",
        "problems/images/normalize.py",
    }
    for path in kept["sha256"]:
        copy = lab.folder().path / kept["folder"] / path
        assert copy.read_bytes() == (lab.home / path).read_bytes()


@pytest.mark.parametrize("command", ["resume", *RESTORING])
def test_changed_code_is_refused_with_its_line(lab: Lab, capsys: Captured, command: str) -> None:
    interrupted(lab)
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Tanh()\n        self.dropout")
    more = RESTORING.get(command, ())
    line = refused(lab, capsys, command, "--problem=Toy", "--exp_id=0", *more)
    where = f"{NETWORK}:{line_of(lab, 'Tanh')}"
    assert f"main.py: {where}: changed since Toy/exp000 was trained" in line
    assert "--changed-code=accept" in line


def test_code_that_cannot_be_imported_is_changed_code(lab: Lab, capsys: Captured) -> None:
    interrupted(lab)
    edit(lab, NETWORK, "self.relu = nn.ReLU()", "self.relu = nn.ReLU(")
    assert f"{NETWORK}: changed since" in refused(lab, capsys, *RESUME)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import torch\n", "# a comment\nimport torch\n\n"),
        ('"""Scores that are no numbers."""', '"""Nothing but NaN."""'),
        ("nn.Conv2d(1, width, shape)", "nn.Conv2d(\n            1, width, shape,\n        )"),
        ("\n", "\r\n"),
    ],
)
def test_comments_and_layout_are_no_change(lab: Lab, old: str, new: str) -> None:
    interrupted(lab)
    edit(lab, NETWORK, old, new)
    assert main.main([*RESUME]) == 0
    assert "changed_code" not in lab.record()


def test_files_of_the_shared_package_and_of_the_checkout_count(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.home / "blocks.py").write_text("WIDTH = 4\n")
    monkeypatch.syspath_prepend(lab.home)
    edit(lab, NETWORK, "import torch\n", "import torch\nimport blocks\n")
    interrupted(lab)
    edit(lab, "problems/images/normalize.py", "frozen=True", "frozen=not False")
    assert "problems/images/normalize.py:" in refused(lab, capsys, *RESUME)
    edit(lab, "problems/images/normalize.py", "frozen=not False", "frozen=True")
    edit(lab, "blocks.py", "4", "5")
    assert "blocks.py:1: changed" in refused(lab, capsys, *RESUME)


def test_files_that_come_and_go(lab: Lab, capsys: Captured) -> None:
    edit(lab, NETWORK, "import torch\n", "import torch\nfrom . import layers\n")
    layers = lab.problems / "Toy" / "Tiny" / "layers.py"
    layers.write_text("A = 1\n")
    interrupted(lab)
    layers.rename(layers.with_name("parts.py"))
    edit(lab, NETWORK, "from . import layers\n", "from . import parts\n")
    line = refused(lab, capsys, *RESUME)
    assert "problems/Toy/Tiny/layers.py: removed since" in line
    assert "and 2 other files" in line
    assert main.main([*RESUME, "--changed-code=accept"]) == 0
    (noted,) = lab.record()["changed_code"]
    assert noted["files"] == [
        "problems/Toy/Tiny/layers.py: removed",
        f"{NETWORK}:{line_of(lab, 'parts')}: changed",
        "problems/Toy/Tiny/parts.py: added",
    ]


def test_accepted_code_is_the_runs_code_from_then_on(lab: Lab, capsys: Captured) -> None:
    interrupted(lab)
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Tanh()\n        self.dropout")
    before = lab.record()["sources"]
    assert main.main([*RESUME, "--changed-code=accept"]) == 0
    record = lab.record()
    (noted,) = record["changed_code"]
    assert noted["files"] == [f"{NETWORK}:{line_of(lab, 'Tanh')}: changed"]
    assert noted["command"] == record["resumed"][0]["command"]
    now = record["sources"]
    assert now["folder"] != before["folder"]
    assert "Tanh" in (lab.folder().path / now["folder"] / NETWORK).read_text()
    assert "Tanh" not in (lab.folder().path / before["folder"] / NETWORK).read_text()
    assert main.main(["test", "--problem=Toy", "--exp_id=0"]) == 0
    edit(lab, NETWORK, "nn.Tanh()", "nn.ReLU()")
    assert NETWORK in refused(lab, capsys, "test", "--problem=Toy", "--exp_id=0")


@pytest.mark.parametrize(
    ("old", "new", "misfit"),
    [
        (
            "(width)\n        self.relu",
            "(width)\n        self.more = nn.PReLU()\n        self.relu",
            "more.weight",
        ),
        ("(1, width, shape)", "(1, width, shape).requires_grad_(False)", "parameter group"),
    ],
)
def test_accepted_code_that_does_not_fit_leaves_a_finished_run_as_it_is(
    lab: Lab, capsys: Captured, old: str, new: str, misfit: str
) -> None:
    assert main.main([*RUN]) == 0
    edit(lab, NETWORK, old, new)
    line = refused(lab, capsys, *RESUME, "--experiment.max_steps=3", "--changed-code=accept")
    assert "last.ckpt: " in line
    assert misfit in line
    assert lab.record()["status"] == "done"


@pytest.mark.parametrize("command", ["test", "report"])
def test_what_other_commands_accept_is_recorded(lab: Lab, capsys: Captured, command: str) -> None:
    interrupted(lab)
    kept = lab.record()["sources"]
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Hardtanh()\n        self.dropout")
    accept = (command, "--problem=Toy", "--exp_id=0", "--changed-code=accept", "--json")
    main.main([*accept])
    assert lab.record()["sources"] == kept, "the code that trained it"
    (noted,) = lab.record()["changed_code"]
    assert noted["files"] == [f"{NETWORK}:{line_of(lab, 'Hardtanh')}: changed"]
    lock = Lock(lab.folder().path)
    assert "in use by process" in refused(lab, capsys, *accept)
    lock.release()


def test_accepting_nothing_changes_nothing(lab: Lab) -> None:
    interrupted(lab)
    assert main.main([*RESUME, "--changed-code=accept"]) == 0
    assert "changed_code" not in lab.record()
    assert lab.record()["sources"]["folder"] == "sources"


def test_a_run_that_is_done_is_done_whatever_its_code(lab: Lab, capsys: Captured) -> None:
    assert main.main([*RUN]) == 0
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Tanh()\n        self.dropout")
    capsys.readouterr()
    assert main.main([*RESUME]) == 0
    assert capsys.readouterr().out == "Toy/exp000 is done; nothing to resume\n"
    assert NETWORK in refused(lab, capsys, *RESUME, "--experiment.max_steps=3")


@pytest.mark.parametrize("value", ["yes", "accpt", ""])
def test_only_accept_can_be_said(lab: Lab, capsys: Captured, value: str) -> None:
    line = refused(lab, capsys, *RESUME, f"--changed-code={value}")
    assert f"--changed_code={value}: accept allowed" in line
    assert ("did you mean" in line) == (value == "accpt")


def test_a_run_without_sources_goes_on_with_a_note(lab: Lab, capsys: Captured) -> None:
    interrupted(lab)
    record = json.loads((lab.folder().path / "run.json").read_text())
    del record["sources"]
    (lab.folder().path / "run.json").write_text(json.dumps(record))
    shutil.rmtree(lab.folder().path / "sources")
    capsys.readouterr()
    assert main.main(["test", "--problem=Toy", "--exp_id=0", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["id"] == "Toy/exp000"
    note = "note: Toy/exp000 began without a copy of its code; whether it changed is not known\n"
    assert said.err == note
    assert main.main([*RESUME]) == 0
    assert capsys.readouterr().err == note
    assert NETWORK in lab.record()["sources"]["sha256"], "from now on it is known"


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_damaged_copy_costs_the_line_only(lab: Lab, capsys: Captured, damage: str) -> None:
    interrupted(lab)
    copy = lab.folder().path / "sources" / NETWORK
    copy.write_text("") if damage == "changed" else copy.unlink()
    assert main.main(["test", "--problem=Toy", "--exp_id=0"]) == 0, "the hash is enough"
    edit(lab, NETWORK, "nn.ReLU()", "nn.Tanh()")
    assert f"{NETWORK}: changed since" in refused(lab, capsys, *RESUME)


@pytest.mark.parametrize(
    "entry",
    [
        3,
        {"folder": 3, "sha256": {}},
        {"folder": "sources"},
        {"folder": "../sources", "sha256": {}},
        {"folder": "sourcesx", "sha256": {}},
    ],
)
def test_a_record_whose_sources_are_none(lab: Lab, capsys: Captured, entry: object) -> None:
    interrupted(lab)
    lab.folder().update(sources=entry)
    assert "run.json: sources: " in refused(lab, capsys, *RESUME)


def test_a_disk_that_is_full_when_a_run_begins_leaves_no_folder(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = files.files.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == "network.py":
            raise OSError(28, "No space left on device", str(path))
        written(path, content)

    monkeypatch.setattr(files.files, "write_atomically", full)
    line = refused(lab, capsys, *RUN)
    assert "network.py: cannot be written: No space left on device" in line
    assert lab.everything_in_logs() == []


def test_a_pretrained_run_has_code_of_its_own(lab: Lab) -> None:
    interrupted(lab)
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Tanh()\n        self.dropout")
    assert main.main([*RUN, "--network.pretrained.exp_id=0"]) == 0
    assert "Tanh" in (lab.folder(1).path / "sources" / NETWORK).read_text()


def test_one_of_several_ranks_speaks_and_writes(
    lab: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(lab)
    edit(lab, NETWORK, "nn.ReLU()\n        self.dropout", "nn.Tanh()\n        self.dropout")
    capsys.readouterr()
    monkeypatch.setenv("RANK", "1")  # as a launcher says it, before the processes are joined
    test = ("test", "--problem=Toy", "--exp_id=0")
    assert main.main([*test]) == 2
    assert main.main([*test, "--changed-code=accept"]) == 0
    assert capsys.readouterr().err == ""
    assert "changed_code" not in lab.record()
