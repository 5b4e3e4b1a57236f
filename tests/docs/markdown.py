"""The parts of a Markdown file that tests look at: code blocks, code spans, tables, links."""

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").glob("*.md")]
)

_FENCE = re.compile(r"```(\w*)")
_LISTED = re.compile(r" *([-*]|\d+\.) ")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced or indented block: its language (`""` if none is given) and its text; `before` is
    the paragraph that leads to it."""

    language: str
    text: str
    before: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """A file, taken apart."""

    blocks: list[Block]
    prose: list[str]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of all table rows but headings and rules."""
        lines = [line.strip() for line in self.prose]
        found = []
        for number, line in enumerate(lines):
            is_heading = number + 1 < len(lines) and lines[number + 1].startswith("| ---")
            if line.startswith("| ") and not line.startswith("| ---") and not is_heading:
                found.append(cells(line))
        return found

    @property
    def headings(self) -> list[str]:
        return [line.lstrip("#").strip() for line in self.prose if line.startswith("#")]

    def section(self, heading: str) -> "Page":
        """Return what stands below one heading of the second level."""
        start = self.prose.index(f"## {heading}") + 1
        rest = self.prose[start:]
        stop = next((i for i, line in enumerate(rest) if line.startswith("## ")), len(rest))
        return Page(blocks=[], prose=rest[:stop])


def read_page(path: Path) -> Page:
    """Take a file apart."""
    blocks: list[Block] = []
    prose: list[str] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at].strip())
        is_indented = lines[at].startswith("    ") and _may_begin_code(prose)
        if fence:
            stop = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```")
            body, language, after = lines[at + 1 : stop], fence[1], stop + 1
        elif is_indented:
            after = at
            while after < len(lines) and (lines[after].startswith("    ") or not lines[after]):
                after += 1
            body, language = [line[4:] for line in lines[at:after]], ""
        else:
            prose.append(lines[at])
            at += 1
            continue
        text = "\n".join(body).rstrip() + "\n"
        blocks.append(Block(language=language, text=text, before=_paragraph(prose)))
        at = after
    return Page(blocks=blocks, prose=prose)


def cells(line: str) -> list[str]:
    """Return the cells of a table row; a `\\|` is text."""
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [part.strip().replace("\\|", "|") for part in parts]


def spans(text: str) -> list[str]:
    """Return the code spans of a text."""
    return re.findall(r"`([^`]+)`", text)


def _may_begin_code(prose: list[str]) -> bool:
    """An indented line is code after an empty line, unless it goes on with an item of a list."""
    return (not prose or not prose[-1]) and not _LISTED.match(_paragraph(prose))


def _paragraph(prose: list[str]) -> str:
    """Return the last paragraph so far."""
    lines = list(prose)
    while lines and not lines[-1]:
        lines.pop()
    start = len(lines)
    while start and lines[start - 1]:
        start -= 1
    return "\n".join(lines[start:])
