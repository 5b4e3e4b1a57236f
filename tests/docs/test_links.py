"""Every link, path and command in the documents is one that exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfg.folders import command
from experiments.command_line import parse
from experiments.commands.table import COMMANDS
from experiments.library import config_names, problem_names, topology_names
from tests.docs.keys import is_key
from tests.docs.markdown import CHECKOUT, PAGES, Page, read_page, spans

SYNTAXES = {name: command.syntax for name, command in COMMANDS.items()}
PATH = re.compile(r"[\w.<>*-]+(/[\w.<>*-]+)*/?")
SUFFIXES = {".py", ".md", ".json", ".yaml", ".yml", ".toml", ".txt", ".sh", ".cpp", ".h", ".pyi"}
# Names that users choose, or that stand for such a name.
PLACEHOLDERS = re.compile(
    r"<\w+>|(?<![A-Za-z])(XYZ|ABC|P|T|NAME|KERNEL|xyz|Stripes|Sales|Photos|Small)(?![A-Za-z])"
)
# What is made by scripts, by runs, or by users where they need it.
MADE = {
    *(
        "run.json",
        "metrics.jsonl",
        "layers.jsonl",
        "layers",
        "manifest.json",
        "log.rank0.txt",
        "confusion.json",
        "certificate.json",
        "report.txt",
        "report.json",
        "curve.json",
        "model.c",
        "model.h",
        "model_ee.c",
        "model_ee.h",
        "model.json",
        "headers",
        "my_model",
    ),
    *("checkout.json", "storage", "data", "logs", "configs", "build"),
    "loss.py",
}
ROOTS = {path.name for path in CHECKOUT.iterdir()}
# A file may be called by its name alone where the text says in which folder it is.
FILE_NAMES = {
    file.name
    for folder in ("backend_cpp", "cfg", "docs", "experiments", "problems", "quantlab")
    for file in (CHECKOUT / folder).rglob("*.*")
}

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pages
def test_links(path: Path) -> None:
    prose = "\n".join(read_page(path).prose)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"https?://", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name} links to {target}"
        if fragment:
            assert fragment in {anchor(heading) for heading in read_page(file).headings}


def paths(page: Page, *, is_migration: bool) -> Iterator[str]:
    """Yield the code spans that look like files of the checkout."""
    for line in page.prose:
        # The first column of migration.md is about another project.
        text = "|".join(line.split("|")[2:]) if is_migration and line.startswith("|") else line
        for span in spans(text):
            is_file = Path(span).suffix in SUFFIXES
            is_below = "/" in span and span.split("/")[0] in ROOTS
            if PATH.fullmatch(span) and (is_file or is_below):
                yield span


@pages
def test_paths(path: Path) -> None:
    for span in paths(read_page(path), is_migration=path.name == "migration.md"):
        pattern = PLACEHOLDERS.sub("*", span).rstrip("/")
        if MADE & set(pattern.split("/")) or pattern.startswith("*"):
            continue
        is_there = (path.parent / span).exists() or next(CHECKOUT.glob(pattern), None)
        assert is_there or pattern in FILE_NAMES, f"{path.name}: `{span}` is not there"


def lines(page: Page) -> Iterator[str]:
    """Yield the commands of a page: lines of its blocks, and whole code spans."""
    for block in page.blocks:
        if block.language in ("", "sh", "bash"):
            yield from (line.strip().removeprefix("$ ") for line in block.text.splitlines())
    for line in page.prose:
        yield from spans(line)


def words_after(line: str, program: str) -> list[str] | None:
    """Return what follows `program` in a command, without its comment."""
    words = shlex.split(line, comments=True)
    if program not in words:
        return None
    return words[words.index(program) + 1 :]


COMMAND_LINES = [
    (path.name, line)
    for path in PAGES
    for line in lines(read_page(path))
    if re.match(r"((\.venv/bin/)?python|horovodrun .* python|torchrun .*) main\.py ", line)
    or re.match(r"bash cfg/", line)
]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_commands(page: str, line: str) -> None:
    if line.startswith("bash "):
        script, *arguments = shlex.split(line, comments=True)[1:]
        assert (CHECKOUT / script).is_file()
        options = {word for word in arguments if word.startswith("-")}
        known = {command.OPTIONS.get(Path(script).name), "--help", "--force"}
        assert options <= known
        return
    arguments = words_after(line, "main.py") or []
    if "[command]" in arguments or "--help" in arguments or "..." in line:
        return
    invocation = parse(arguments, SYNTAXES)
    for override in invocation.overrides:
        assert is_key(list(override.path)), override.name
    check_names(dict(invocation.options))


@pages
def test_modules_and_make_targets(path: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    for line in lines(read_page(path)):
        for name in re.findall(r"python -m (benchmarks\S*)", line):
            module = CHECKOUT / name.replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), name
        for target in re.findall(r"^make ([\w-]+)", line):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def check_names(options: dict[str, str]) -> None:
    """Assert that problem, topology and config exist, unless they stand for the reader's own."""
    problem, topology = options.get("problem", "MNIST"), options.get("topology")
    if PLACEHOLDERS.fullmatch(problem):
        return
    assert problem in problem_names()
    if topology is None or PLACEHOLDERS.fullmatch(topology):
        return
    assert topology in topology_names(problem)
    config = options.get("config")
    if config is not None and "/" not in config and config != "NAME":
        assert config in config_names(problem, topology)


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("experiment.early_stop.patience", True),
        ("training.optimizer.params.lr", True),
        ("quantize.rules.1.algorithm.num_bits", True),
        ("quantize.rules.x", False),
        ("experiment.epoch", False),
        ("network.pretrained.exp", False),
    ],
)
def test_is_key(name: str, is_there: bool) -> None:
    assert is_key(name.split(".")) is is_there
