"""From a network of PyTorch's to a folder of C in one call, as SparseComp's `conversion.py`."""

from quantlab.conversion.save import SavedModel, save_compressed_model

__all__ = ["SavedModel", "save_compressed_model"]
