"""The source files that modules are made of: their own, and those of what they import.

Imports are read, not followed by running them: a module that code imports by a name which it makes
up (`importlib.import_module(name)`) is not seen.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_files(home: Path, modules: Iterable[str], leave: Iterable[str]) -> dict[str, bytes]:
    """Return the files below `home` that `modules` and all their imports are made of, by their path
    from there.

    leave: packages of `home` that are not looked into. Modules that do not lie in `home` are left
    out.
    """
    files: dict[str, bytes] = {}
    left, seen = set(leave), set[str]()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if not name or name in seen or name.partition(".")[0] in left:
            continue
        seen.add(name)
        file = _file(home, name)
        if file is None:
            continue
        content = file.read_bytes()
        files[file.relative_to(home).as_posix()] = content
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [*_packages(name), *_imports(content, package)]
    return dict(sorted(files.items()))


def _file(home: Path, module: str) -> Path | None:
    """Return the file of a module, None if it has none here."""
    path = home.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def _packages(module: str) -> Iterator[str]:
    """Yield the packages around a module, which Python imports first."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _imports(content: bytes, package: str) -> Iterator[str]:
    """Yield what a module of `package` imports; of `from a import b`, b may be one or not."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # whoever imports it says so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
