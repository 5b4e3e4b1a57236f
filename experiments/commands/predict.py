"""`main.py predict`: images in, labels and scores out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from experiments.command_line import Invocation
from experiments.commands.restored import Restored, restore
from experiments.progress import console
from experiments.protocols import InMemory
from experiments.runs.files import as_json
from experiments.runs.pictures import is_image_batch
from experiments.training.precision import Precision
from quantlab.errors import DataError, UsageError

_NUM_GUESSES = 3


def run(invocation: Invocation) -> int:
    """Classify every image given."""
    if not invocation.operands:
        raise UsageError("predict needs at least one image file")
    restored = restore(invocation)
    data = restored.data()
    sample = data.test.inputs[:1] if isinstance(data.test, InMemory) else None
    if sample is not None and not is_image_batch(sample):
        shape = "x".join(map(str, sample.shape[1:]))
        raise UsageError(f"predict reads images; a sample of {restored.problem.name} is {shape}")
    count = invocation.number("top") if invocation.has("top") else _NUM_GUESSES
    classes = data.test.classes
    found = {}
    for file in invocation.operands:
        scores = _scores(restored, _read(Path(file), restored, sample), len(classes))
        found[file] = _ranked(scores, classes, count)
    if invocation.has("json"):
        rows = [
            {"file": file, "predictions": [{"class": c, "score": s} for c, s in guesses]}
            for file, guesses in found.items()
        ]
        console.print_json(as_json(rows))
        return 0
    title = f"{restored.folder.name} {restored.checkpoint}.ckpt"
    table = Table("file", "class", "score", title=title)
    for file, guesses in found.items():
        for i, (name, score) in enumerate(guesses):
            table.add_row(escape(file) if i == 0 else "", escape(name), f"{score:.4f}")
    console.print(table)
    return 0


def _read(path: Path, restored: Restored, sample_NCHW: Tensor | None) -> Tensor:
    """Return an image as the network's raw batch of one: read as the library reads files, or
    resized to the shape of the data in memory."""
    try:
        image: Image.Image = Image.open(path)
        image.load()
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no image that can be read") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if sample_NCHW is None:
        reading: Any = restored.library.preprocess
        pixels: Tensor = reading.read_evaluate(image.convert("RGB"))
        return pixels.unsqueeze(0)
    channels, height, width = sample_NCHW.shape[1:]
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).reshape(1, height, width, channels).permute(0, 3, 1, 2)


@torch.no_grad()
def _scores(restored: Restored, raw: Tensor, num_classes: int) -> Tensor:
    """Return the probabilities `[num_classes]`. Raises UsageError if the outputs are no scores."""
    precision = Precision(restored.config.training.precision, torch.device("cpu"))
    inputs = restored.library.preprocess.evaluate(raw).to(precision.dtype)
    with precision.autocast():
        outputs = restored.network(inputs)
    scores = restored.library.postprocess(outputs)
    if scores.shape != (1, num_classes):
        shape = "x".join(map(str, scores.shape[1:]))
        raise UsageError(
            f"predict tells one of {num_classes} classes; an output of {restored.library.name} is "
            f"{shape or 'a number'}"
        )
    return scores.float().softmax(1)[0]


def _ranked(scores_C: Tensor, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
    top = scores_C.topk(min(count, len(classes)))
    return [(classes[i], s) for s, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)]
