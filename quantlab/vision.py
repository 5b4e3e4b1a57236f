"""The one place that imports torchvision first: `from quantlab.vision import torchvision`.

torchvision's wheel is compiled for CUDA. Beside a CPU build of torch its compiled library cannot be
loaded, and `import torchvision` then fails on the operator `torchvision::nms`, although its data
sets, transforms and models need no compiled operator. Here the two operators that it looks up while
it is imported are declared (not implemented) if, and only if, the library cannot be loaded.
"""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# What torchvision registers fake kernels for while it is imported.
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_library_loads(folder: Path) -> bool:
    """Return whether torchvision's `_C` library can be loaded into this torch."""
    load: Callable[[str], None] = torch.ops.load_library
    for library in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            load(str(library))
        except OSError:
            continue
        return True
    return False


def _declare_operators() -> object:
    """Declare the missing operators; they stay declared for as long as the result lives."""
    open_library: Callable[[str, str], Any] = torch.library.Library
    library = open_library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library


def _import_torchvision() -> tuple[ModuleType, object]:
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"], None
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is missing: install quantlab[lab]")
    declared = None if _compiled_library_loads(Path(spec.origin).parent) else _declare_operators()
    with warnings.catch_warnings():
        # Its own image decoder is compiled too, and not needed: Pillow decodes.
        warnings.filterwarnings("ignore", message="Failed to load image Python extension")
        return import_module("torchvision"), declared


torchvision, _declared = _import_torchvision()
