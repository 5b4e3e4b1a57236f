"""The configuration of a run: the topology's config.yaml, a named overlay or file, overrides."""

from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.configuration.documents import Document, merge, read_document
from experiments.configuration.overrides import Override, apply_overrides
from experiments.configuration.spellings import spelled
from experiments.library import HOME, PROBLEMS, config_names
from quantlab.errors import UsageError, did_you_mean


def resolve(
    problem: str,
    topology: str,
    overlay: str | None,
    overrides: Sequence[Override],
    say: Callable[[str], None] = lambda line: None,
) -> Document:
    """Return the document to validate; `say` warnings. Raises UsageError with file and line."""
    document = _read(PROBLEMS / problem / topology / "config.yaml", say)
    if overlay is not None:
        path = find_overlay(problem, topology, overlay)
        document = merge(document, _read_overlay(problem, topology, path, (), say))
    return spelled(apply_overrides(document, overrides), say)


def find_overlay(problem: str, topology: str, overlay: str, given_by: str = "--config=") -> Path:
    """Return the file of `--config`: a path, or a name in the topology's `configs`."""
    named = PROBLEMS / problem / topology / "configs" / f"{overlay}.yaml"
    if named.is_file():
        return named
    path = Path(overlay)
    if path.exists():
        return path
    names = config_names(problem, topology)
    hint = did_you_mean(overlay, names) or f"; there are: {', '.join(names) or 'none'}"
    raise UsageError(f"{given_by}{overlay}: neither a file nor a config of {topology}{hint}")


def _read_overlay(
    problem: str, topology: str, path: Path, below: tuple[Path, ...], say: Callable[[str], None]
) -> Document:
    """Read an overlay, laid over the one that it `extends`, if any."""
    document = _read(path, say)
    base = document.values.pop("extends", None)
    if base is None:
        return document
    where = f"{document.origin(('extends',))}: extends: "
    if not isinstance(base, str):
        raise UsageError(f"{where}{base!r} given, the name of a config allowed")
    under = find_overlay(problem, topology, base, where)
    if under in (path, *below):
        raise UsageError(f"{where}{base} extends this file itself")
    return merge(_read_overlay(problem, topology, under, (path, *below), say), document)


def _read(path: Path, say: Callable[[str], None]) -> Document:
    return spelled(_named(read_document(path)), say)


def _named(document: Document) -> Document:
    """Shorten the origins that lie in the checkout."""
    home = f"{HOME}/"
    return Document(
        values=document.values,
        origins={path: where.removeprefix(home) for path, where in document.origins.items()},
    )
