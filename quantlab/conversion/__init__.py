"""From a network of PyTorch's to a folder of C in one call, with an early exit too, as SparseComp's
`conversion.py`."""

from quantlab.conversion.early_exit import SavedEarlyExit, save_compressed_early_exit_model
from quantlab.conversion.save import SavedModel, save_compressed_model
from quantlab.conversion.save_exits import SavedExits, save_exits

__all__ = [
    "SavedEarlyExit",
    "SavedExits",
    "SavedModel",
    "save_compressed_early_exit_model",
    "save_compressed_model",
    "save_exits",
]
