"""Names that an original documents and misspells: they are taken for the right ones, and told."""

from collections.abc import Callable, Mapping

from experiments.configuration.documents import Document, KeyPath, dotted
from experiments.configuration.section import complain

MISSPELLED: Mapping[tuple[str, str], str] = {
    ("criterion", "ortho_weight_loss"): "ortho_loss_weight",  # of MLG, in its README
}
"""The right name by section and misspelled name."""


def spelled(document: Document, say: Callable[[str], None]) -> Document:
    """Return a document with the right names, and `say` a line for each that was not.

    A misspelled name of the command line takes the place of the right one of a file. Raises
    UsageError if a file, or the command line, gives both.
    """
    for (section, wrong), right in MISSPELLED.items():
        given = document.values.get(section)
        if not isinstance(given, dict) or wrong not in given:
            continue
        path = (section, wrong)
        if right in given and _source(document, (section, right)) == _source(document, path):
            raise complain(document, path, f"given beside {right}, the same; one of them allowed")
        say(f"warning: {dotted(path)}: the name is {right}, taken for it ({document.origin(path)})")
        values = {name: value for name, value in given.items() if name not in (wrong, right)}
        document = Document(
            values={**document.values, section: {**values, right: given[wrong]}},
            origins=_moved(document.origins, path, (section, right)),
            texts=_moved(document.texts, path, (section, right)),
        )
    return document


def _source(document: Document, path: KeyPath) -> str:
    """Return the file that gives a value, or the command line."""
    return document.origin(path).rpartition(":")[0]


def _moved(entries: Mapping[KeyPath, str], old: KeyPath, new: KeyPath) -> dict[KeyPath, str]:
    """Return entries by path with that of `old` at `new`, and not the one that stood there."""
    kept = {path: entry for path, entry in entries.items() if path not in (old, new)}
    return kept | ({new: entries[old]} if old in entries else {})
