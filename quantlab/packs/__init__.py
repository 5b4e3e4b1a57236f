"""Packs: a network in one small file, weights as they are generated from codes of few bits.

The names below are imported when they are used: reading and running a pack need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantlab.packs.file import from_bytes, load, save, to_bytes
    from quantlab.packs.lower import make_pack
    from quantlab.packs.pack import Pack
    from quantlab.packs.sizes import pack_sizes

__all__ = ["Pack", "from_bytes", "load", "make_pack", "pack_sizes", "save", "to_bytes"]

_MODULES = {
    "Pack": "pack",
    "from_bytes": "file",
    "load": "file",
    "make_pack": "lower",
    "pack_sizes": "sizes",
    "save": "file",
    "to_bytes": "file",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'quantlab.packs' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
