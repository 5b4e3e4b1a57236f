"""`compress_NN_models`: the documented call of SparseComp, on `compress`."""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import which

import torch
from torch import Tensor, nn

from quantlab.algorithms.after_training.batches import Progress, silent
from quantlab.compression.budget import Budget
from quantlab.compression.compress import compress
from quantlab.compression.compressed_size import CompressedSize
from quantlab.compression.first_output import keep_first_output
from quantlab.compression.in_place import put_in_place
from quantlab.compression.recipe import Recipe
from quantlab.compression.samples import (
    Batches,
    Data,
    batches_on,
    checked_batches,
    data_of,
    drawn_from,
)
from quantlab.compression.target import HOST
from quantlab.compression.training import Criterion
from quantlab.compression.transformed import Transform, Transformed
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.errors import UsageError, check_kind
from quantlab.graphs.inputs import device_of
from quantlab.integer.lower.finite import check_finite

_KB = 1000
_STAGES = 3  # epochs of each: the original trains num_epochs in each of its steps
_STEP = 0.1
_BOARD = "c-m3"


def compress_NN_models(
    model: nn.Module,
    target_size: float,
    train_loader: Batches,
    test_loader: Batches | None,
    val_loader: Batches | None = None,
    num_epochs: int = 10,
    learning_rate: float = 1e-3,
    criterion: Criterion | None = None,
    regularizerParam: float = 0.0,
    compressionStep: float = _STEP,
    initialCompressionStep: float = _STEP,
    fastCompression: bool = False,
    modelName: str | None = None,
    device: str | torch.device | None = None,
    accuracyAware: bool = True,
    layersFactorization: bool = True,
    calculateInputs: Transform | None = None,
    *,
    board: str | None = None,
    progress: Progress = silent,
) -> CompressedSize:
    """Compress a trained network, in place, until the objects of its C fit; return their bytes.

    The network has quantizers and smaller tensors then, and is a graph: `save_compressed_model`
    writes it as C. The result is an integer, and has the report in `result`. If anything fails, the
    network stays as it was.

    model: it may return a tuple, whose first element are the scores; the others are left out.
    target_size: KB of flash, 1,000 bytes each, of all objects: code, constants, structures.
    train_loader: batches of inputs and classes to train with. val_loader: to decide with; without
        it a tenth of the training samples is held out. test_loader: for the last line of the report
        alone; it decides nothing.
    num_epochs: a third of all epochs. learning_rate: of Adam, at the begin; it falls to zero.
    criterion: the loss of outputs and classes, cross-entropy by default.
    regularizerParam: the factor of the squares of all weights in the loss.
    fastCompression: whether the weights go within the first epoch.
    modelName: the C, the report and the state go to the folder `<modelName>_<target_size>`; a call
        that was killed goes on there. None writes nothing.
    device: where to train, and where the network is then; None stays where it is.
    layersFactorization: whether layers take low-rank forms first, where that lowers the bytes.
    calculateInputs: a function of each batch of inputs, before the network gets it.
    compressionStep, initialCompressionStep, accuracyAware: hints to the original's rule, without
        effect here: what goes is what costs the loss least, in small steps.
    board: whose compiler makes the objects; by default `c-m3`, or this machine where its compiler
        is missing.

    Raises what `compress` raises, and UsageError for arguments of other kinds.
    """
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    _check_positive("target_size", target_size)
    check_kind("num_epochs", num_epochs, int, "a number of epochs")
    _check_positive("num_epochs", num_epochs)
    _check_positive("learning_rate", learning_rate)
    _check_number("regularizerParam", regularizerParam)
    if regularizerParam < 0:
        raise UsageError(f"regularizerParam: {regularizerParam} given, at least 0 allowed")
    for name, function in (("criterion", criterion), ("calculateInputs", calculateInputs)):
        if function is not None:
            check_kind(name, function, Callable, "a function")
    for name, flag in (
        ("fastCompression", fastCompression),
        ("accuracyAware", accuracyAware),
        ("layersFactorization", layersFactorization),
    ):
        check_kind(name, flag, bool, "True or False")
    for name, step in (
        ("compressionStep", compressionStep),
        ("initialCompressionStep", initialCompressionStep),
    ):
        _check_positive(name, step)
    if modelName is not None:
        check_kind("modelName", modelName, str, "a name")
    check_kind("progress", progress, Callable, "a function")
    network = _on(device, copy.deepcopy(model))
    epochs = _STAGES * num_epochs
    recipe = Recipe(
        epochs=epochs,
        learning_rate=float(learning_rate),
        weight_decay=2.0 * regularizerParam,
        ramp=1 / epochs if fastCompression else Recipe().ramp,
        low_rank=layersFactorization,
    )
    _warn_of_hints(compressionStep, initialCompressionStep, accuracyAware)
    data = _data(train_loader, test_loader, val_loader, calculateInputs, recipe.seed)
    keep_first_output(network, _samples(network, data, recipe.seed))
    result = compress(
        network,
        data,
        budget=Budget(flash=round(target_size * _KB)),
        recipe=recipe,
        folder=None if modelName is None else Path(f"{modelName}_{target_size:g}"),
        board=_board() if board is None else board,
        criterion=criterion,
        progress=progress,
    )
    put_in_place(model, result.network.to(device_of(network)))
    return CompressedSize(replace(result, network=model))


def _data(
    train: object,
    test: object,
    valid: object,
    transform: Transform | None,
    seed: int,
) -> Data:
    """Return the batches, checked by the names of the call's arguments."""
    given = Data(
        train=checked_batches(train, "train_loader"),
        valid=None if valid is None else checked_batches(valid, "val_loader"),
        test=None if test is None else checked_batches(test, "test_loader"),
    )
    if transform is None:
        return given
    split, decided = data_of(given, seed)
    changed = {
        name: Transformed(batches=batches, transform=transform, name=f"{name}_loader")
        for name, batches in (("train", split.train), ("val", decided), ("test", split.test))
        if batches is not None
    }
    return Data(train=changed["train"], valid=changed["val"], test=changed.get("test"))


def _samples(network: nn.Module, data: Data, seed: int) -> Tensor:
    with drawn_from(seed, data.train):
        inputs, _ = next(batches_on(network, data.train, "train_loader"))
    check_finite(inputs, "train_loader")
    return inputs[:2]


def _on(device: object, network: nn.Module) -> nn.Module:
    if device is None:
        return network
    check_kind("device", device, str | torch.device, "a name such as 'cuda'")
    assert isinstance(device, str | torch.device)
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device: '{device}' given: {reason}") from error


def _board() -> str:
    compiler = BOARDS[_BOARD].compiler
    if which(compiler) is not None:
        return _BOARD
    warnings.warn(
        f"board: {compiler} is missing, so the bytes are those of objects of this machine",
        stacklevel=3,
    )
    return HOST


def _check_number(name: str, given: object) -> None:
    if isinstance(given, bool):
        raise UsageError(f"{name}: a bool given, a number allowed")
    check_kind(name, given, int | float, "a number")
    assert isinstance(given, int | float)
    if not math.isfinite(given):
        raise UsageError(f"{name}: {given} given, a finite number allowed")


def _check_positive(name: str, given: object) -> None:
    _check_number(name, given)
    assert isinstance(given, int | float)
    if given <= 0:
        raise UsageError(f"{name}: {given} given, a number above 0 allowed")


def _warn_of_hints(step: float, initial: float, is_aware: bool) -> None:
    given = {
        "compressionStep": step != _STEP,
        "initialCompressionStep": initial != _STEP,
        "accuracyAware": not is_aware,
    }
    hints = " and ".join(name for name, is_given in given.items() if is_given)
    if hints:
        warnings.warn(f"{hints}: a hint to the original, without effect here", stacklevel=3)
