"""YAML as data: plain values, and for each the place where it was written.

PyYAML follows YAML 1.1, where `on` and `no` are truth values, `1e-3` is text, `1:30` is a number
and the last of two equal keys wins. Here scalars follow the core schema of YAML 1.2 (section
10.3.2), equal keys are an error, and so is every tag beside plain data.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from quantlab.errors import UsageError

KeyPath = tuple[Hashable, ...]

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL_FLOAT = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """Plain data with the origin of each value, as `config.yaml:14` or `command line`.

    texts: values of the command line as they were written, for fields of text.
    """

    values: dict[str, Any]
    origins: Mapping[KeyPath, str] = field(default_factory=dict)
    texts: Mapping[KeyPath, str] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> str:
        """Return where the value at `path`, or what encloses it, was given; `""` if nowhere."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "")


_UNTAGGED = "untagged"
_MAX_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """A composer that leaves scalars without tag or quotes to `_scalar`."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            is_plain = implicit[0]
            return _UNTAGGED if is_plain else "tag:yaml.org,2002:str"
        return f"tag:yaml.org,2002:{'seq' if kind is yaml.SequenceNode else 'map'}"


def read_document(path: Path) -> Document:
    """Read a YAML file that holds a mapping. Raises UsageError with file and line."""
    if path.is_dir():
        raise UsageError(f"{path}: a directory; expected a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return parse_document(text, name=str(path))


def parse_document(text: str, *, name: str) -> Document:
    """Parse YAML text that holds a mapping; `name` stands for the file in messages."""
    origins: dict[KeyPath, str] = {}
    values = _Reader(name, origins).read(text)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{name}: holds a {type(values).__name__}; expected a mapping of sections")
    return Document(values=values, origins=origins)


def parse_value(text: str, *, name: str) -> Any:
    """Parse one value as it stands on the command line; `name` stands for it in messages."""
    return _Reader(name, {}).read(text)


class _Reader:
    def __init__(self, name: str, origins: dict[KeyPath, str]) -> None:
        self._name = name
        self._origins = origins
        self._open: set[int] = set()
        self._num_values = 0

    def read(self, text: str) -> Any:
        try:
            node = yaml.compose(text, Loader=_Loader)
            return None if node is None else self._value(node, ())
        except RecursionError as error:
            raise UsageError(f"{self._name}: nested too deeply") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f":{mark.line + 1}" if mark else ""
            raise UsageError(f"{self._name}{line}: not valid YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise UsageError(
                f"{self._name}: not valid YAML: {str(error).splitlines()[0]}"
            ) from error

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        where = self._where(node)
        self._origins[path] = where
        self._num_values += 1
        if self._num_values > _MAX_VALUES:
            raise UsageError(f"{where}: more than {_MAX_VALUES} values; is an alias in an alias?")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar_value(node, where)
        if node.tag not in _PLAIN_TAGS:
            raise UsageError(f"{where}: tag {node.tag}; only plain data is allowed")
        if id(node) in self._open:
            raise UsageError(f"{where}: an alias that contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _scalar_value(self, node: yaml.ScalarNode, where: str) -> Any:
        if node.tag == "tag:yaml.org,2002:str":
            return node.value
        if node.tag != _UNTAGGED and node.tag not in _PLAIN_TAGS:
            raise UsageError(f"{where}: tag {node.tag}; only plain data is allowed")
        try:
            return _scalar(node.value)
        except ValueError as error:  # Python's limit to the digits of a whole number
            raise UsageError(f"{where}: a number of {len(node.value)} digits") from error

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        lines: dict[Any, str] = {}
        for key_node, value_node in node.value:
            key = self._value(key_node, (*path, "?"))
            if not isinstance(key, str | int | float):
                raise UsageError(f"{self._where(key_node)}: a key is text or a number, not {key!r}")
            if key in mapping:
                twice = f"{dotted((*path, key))}: given twice, first at {lines[key]}"
                raise UsageError(f"{self._where(key_node)}: {twice}")
            lines[key] = self._where(key_node)
            mapping[key] = self._value(value_node, (*path, key))
            self._origins[(*path, key)] = lines[key]
        self._origins.pop((*path, "?"), None)
        return mapping

    def _where(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"


def _scalar(text: str) -> Any:
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL_FLOAT.match(text):
        return float(text.replace(".", "", 1))
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what `_scalar` would not read as text."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        is_text = _scalar(text) == text
        style = None if is_text else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def dump(values: Mapping[str, Any]) -> str:
    """Return plain data as YAML that `parse_document` reads back equal."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def dotted(path: KeyPath) -> str:
    """Return a path as users write it: `quantize.rules.0.on`."""
    return ".".join(str(part) for part in path)


def merge(base: Document, overlay: Document) -> Document:
    """Lay `overlay` over `base`: mappings merge, everything else is replaced. A mapping that names
    another `class` than the base brings its own `params`; those of the base go."""
    origins = dict(base.origins)

    def replace(path: KeyPath) -> None:
        for known in [p for p in origins if p[: len(path)] == path]:
            del origins[known]
        for known, where in overlay.origins.items():
            if known[: len(path)] == path:
                origins[known] = where

    def lay(under: Any, over: Any, path: KeyPath) -> Any:
        if not (isinstance(under, dict) and isinstance(over, dict)):
            replace(path)
            return over
        merged = dict(under)
        if "class" in over and over["class"] != under.get("class"):
            merged.pop("params", None)
        for key, value in over.items():
            child = (*path, key)
            if key in merged:
                merged[key] = lay(merged[key], value, child)
            else:
                replace(child)
                merged[key] = value
        return merged

    return Document(values=lay(base.values, overlay.values, ()), origins=origins)
