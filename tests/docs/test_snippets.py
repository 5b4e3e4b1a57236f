"""What the documents tell to write and to run does what they say."""

import re
import shlex
import subprocess

import pytest
from pydantic import TypeAdapter

import main
from experiments.configuration.documents import parse_document
from quantlab.monitor import Entry
from tests.docs.markdown import CHECKOUT, Block, read_page, spans
from tests.lab import Lab

TUTORIAL = read_page(CHECKOUT / "docs" / "getting-started.md")
README = read_page(CHECKOUT / "README.md")
QUANTIZATION = read_page(CHECKOUT / "docs" / "quantization.md")
AFTER_TRAINING = read_page(CHECKOUT / "docs" / "after-training.md")
MONITOR = read_page(CHECKOUT / "docs" / "monitor.md")


def file_of(block: Block) -> str | None:
    """Return the file that a block is the content of: the first that its paragraph names."""
    if block.language not in ("python", "yaml"):
        return None
    return next((s for s in spans(block.before) if re.fullmatch(r"[\w/.]+\.(py|yaml)", s)), None)


def test_the_tutorial_trains_its_own_problem(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab.home)
    trained = 0
    for block in TUTORIAL.blocks:
        file = file_of(block)
        if file is not None:
            (lab.home / file).parent.mkdir(parents=True, exist_ok=True)
            (lab.home / file).write_text(block.text)
            continue
        for line in block.text.splitlines():
            words = shlex.split(line)
            if "Stripes" not in line or line.startswith(("$", "main.py:")):
                continue
            if words[:2] == ["python", "main.py"]:
                is_training = words[2].startswith("--problem")
                # More threads than the machine has free are slow.
                few = ["--experiment.threads=1"] if is_training else []
                assert main.main([*words[2:], *few]) == 0, capsys.readouterr().err
                trained += is_training
            else:
                subprocess.run(words, cwd=lab.home, check=True, capture_output=True)
    assert trained == 2
    assert capsys.readouterr().out.count("test accuracy") == 2
    logs = lab.problems / "Stripes" / "logs"
    claims = [
        float(number)
        for block in TUTORIAL.blocks
        for number in re.findall(r"Measured: above (\d+) %", block.text)
    ]
    for exp_id, claim in enumerate(claims):
        record = (logs / f"exp{exp_id:03d}" / "run.json").read_text()
        found = re.search(r'"test/top1": ([\d.]+)', record)
        assert found is not None
        assert float(found[1]) > claim


def test_the_tutorials_complaint(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    block = next(b for b in TUTORIAL.blocks if b.text.startswith("$ "))
    for file in TUTORIAL.blocks:
        name = file_of(file)
        if name is not None:
            (lab.home / name).parent.mkdir(parents=True, exist_ok=True)
            (lab.home / name).write_text(file.text)
    (lab.problems / "Stripes" / "__init__.py").touch()
    command, said = block.text.splitlines()
    assert main.main(shlex.split(command)[3:]) == 2
    assert capsys.readouterr().err.strip() == said


EXAMPLES = {
    f"{name}-{number}": block.text
    for name, page in (
        ("README.md", README),
        ("quantization.md", QUANTIZATION),
        ("monitor.md", MONITOR),
        ("after-training.md", AFTER_TRAINING),
    )
    for number, block in enumerate(page.blocks)
    if block.language == "python"
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_examples_run(name: str) -> None:
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": "__example__"})


def test_monitor_entries_are_valid() -> None:
    (block,) = [block for block in MONITOR.blocks if block.language == "yaml"]
    document = parse_document(block.text, name="monitor.md")
    entries = TypeAdapter(list[Entry]).validate_python(document.values["monitor"])
    assert [entry.stat for entry in entries] == ["sqnr", "clipping_share", "update_ratio"]
