"""A quick look: a few batches of everything, to see a configuration run to its end."""

import math
from dataclasses import replace
from typing import Any

from experiments.configuration.documents import Document, KeyPath, merge
from experiments.configuration.overrides import ORIGIN
from experiments.experiment.early import EarlyConfig

QUICK = "--quick"
_EPOCHS, _TRAIN_BATCHES, _EVAL_BATCHES = 2, 8, 2


def quick(document: Document, config: EarlyConfig) -> Document:
    """Return a configuration with 2 epochs of 8 steps, and 2 batches to validate and to test; of
    values that are smaller already the smaller ones, and what the command line gives as it is.

    config: what the document holds. Steps are those of one process.
    """
    data, training = config.data, config.training
    num_train = _TRAIN_BATCHES * data.batch_size * training.accumulate
    num_eval = _EVAL_BATCHES * data.eval_batch_size
    folds = config.experiment.folds
    valid_share = 1.0 / folds if folds > 1 else data.valid_fraction
    # Less a rounding error: 16 / (1 - 0.2) is 20.
    limits = {"limit": math.ceil(num_train / (1.0 - valid_share) - 1e-6), "limit_test": num_eval}
    if valid_share > 0.0:
        limits["limit_valid"] = num_eval
    values: dict[str, dict[str, Any]] = {
        "experiment": {"epochs": min(config.experiment.epochs, _EPOCHS)},
        "data": {name: min(getattr(data, name) or most, most) for name, most in limits.items()},
    }
    asked = {
        section: {key: v for key, v in keys.items() if not _is_given(document, section, key)}
        for section, keys in values.items()
    }
    origins: dict[KeyPath, str] = {
        (section, key): QUICK for section, keys in asked.items() for key in keys
    }
    laid = merge(document, Document(values=asked, origins=origins))
    return replace(laid, texts=document.texts)


def _is_given(document: Document, section: str, key: str) -> bool:
    """Return whether the command line says it."""
    has_value = key in document.values.get(section, {})
    return has_value and document.origin((section, key)) == ORIGIN
