"""`main.py predict`: files in, classes with scores or the predicted numbers out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from experiments.command_line import Invocation
from experiments.commands.restored import Restored, lowered, restore
from experiments.deployment.raw_files import FileReader
from experiments.progress import console, show
from experiments.runs.files import as_json
from experiments.training.precision import Precision
from quantlab.errors import UsageError
from quantlab.integer.lower import Limits

_NUM_GUESSES = 3
_BATCH_SIZE = 256
_MOST_NUMBERS = 8  # of a sample, in the table


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Of one sample. row: its place in the file; None where a file is one sample. values: the
    probability of each class `[C]`, or whatever else is predicted."""

    file: str
    row: int | None
    values: Tensor


def run(invocation: Invocation) -> int:
    """Predict every sample of the files given."""
    files = list(dict.fromkeys(invocation.operands))
    if not files:
        raise UsageError("predict needs at least one image, table or .npz file")
    restored = restore(invocation)
    test = restored.data().test
    reader = FileReader(problem=restored.problem, library=restored.library, samples=test)
    classes: tuple[str, ...] = tuple(test.classes)
    compute = _computing(invocation, restored)
    outputs = {file: compute(reader.read(Path(file))) for file in files}
    if not all(_are_scores(one, classes, restored) for one in outputs.values()):
        if invocation.has("top"):
            raise UsageError(f"--top: {restored.library.name} does not predict one of classes")
        classes = ()
    found = [one for file in files for one in _predictions(file, outputs[file], reader, classes)]
    count = invocation.number("top") if invocation.has("top") else _NUM_GUESSES
    if invocation.has("json"):
        console.print_json(as_json([_plain(one, classes, count) for one in found]))
    else:
        show(_table(found, classes, count, restored))
    return 0


def _predictions(
    file: str, outputs: Tensor, reader: FileReader, classes: Sequence[str]
) -> Iterator[Prediction]:
    values = outputs.float().softmax(1) if classes else outputs
    is_sample = reader.is_sample(Path(file))
    for row, one in enumerate(values):
        yield Prediction(file=file, row=None if is_sample else row, values=one)


def _computing(invocation: Invocation, restored: Restored) -> Callable[[Tensor], Tensor]:
    """Return what predicts a raw batch: the network, or its integer program in a database."""
    if not invocation.has("backend"):
        return lambda raw: _all_outputs(restored, raw)
    from experiments.deployment.database import outputs_in_database
    from experiments.deployment.samples import check_raw

    program = lowered(restored, Limits()).program
    (name,) = program.inputs

    def computed(raw: Tensor) -> Tensor:
        check_raw(raw, restored.library)
        found = outputs_in_database(program, program.encode(name, raw.numpy()))
        return restored.library.postprocess(torch.from_numpy(found))

    return computed


def _all_outputs(restored: Restored, raw: Tensor) -> Tensor:
    return torch.cat([_outputs(restored, part) for part in raw.split(_BATCH_SIZE)])


@torch.no_grad()
def _outputs(restored: Restored, raw: Tensor) -> Tensor:
    """Return what the network predicts of a raw batch, postprocessed."""
    precision = Precision(restored.config.training.precision, torch.device("cpu"))
    inputs = restored.library.preprocess.evaluate(raw).to(precision.dtype)
    with precision.autocast():
        outputs = restored.network(inputs)
    return restored.library.postprocess(outputs)


def _are_scores(outputs: Tensor, classes: Sequence[str], restored: Restored) -> bool:
    """Return whether outputs are the scores of classes. Raises UsageError for scores of more or
    fewer classes."""
    if not classes or outputs.ndim != 2:
        return False
    if outputs.shape[1] != len(classes):
        raise UsageError(
            f"predict tells one of {len(classes)} classes; an output of {restored.library.name} is "
            f"{outputs.shape[1]} numbers"
        )
    return True


def _ranked(scores_C: Tensor, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
    top = scores_C.topk(min(count, len(classes)))
    return [(classes[i], s) for s, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)]


def _plain(one: Prediction, classes: Sequence[str], count: int) -> dict[str, Any]:
    where = {"file": one.file} | ({} if one.row is None else {"row": one.row})
    if not classes:
        return {**where, "prediction": one.values.tolist()}
    ranked = _ranked(one.values, classes, count)
    return {**where, "predictions": [{"class": name, "score": score} for name, score in ranked]}


def _table(
    found: Sequence[Prediction], classes: Sequence[str], count: int, restored: Restored
) -> Table:
    has_rows = any(one.row is not None for one in found)
    values = ("class", "score") if classes else ("prediction",)
    title = f"{restored.folder.name} {restored.checkpoint}.ckpt"
    table = Table("file", *(("row",) if has_rows else ()), *values, title=title)
    for one in found:
        where = [one.file, *([_row(one)] if has_rows else [])]
        for cells in _cells(one, classes, count):
            table.add_row(*map(escape, [*where, *cells]))
            where = [""] * len(where)
    return table


def _row(one: Prediction) -> str:
    return "" if one.row is None else str(one.row)


def _cells(one: Prediction, classes: Sequence[str], count: int) -> Iterator[list[str]]:
    if classes:
        for name, score in _ranked(one.values, classes, count):
            yield [name, f"{score:.4f}"]
        return
    numbers = one.values.flatten().tolist()
    rest = "" if len(numbers) <= _MOST_NUMBERS else f" and {len(numbers) - _MOST_NUMBERS} more"
    yield [" ".join(f"{number:.6g}" for number in numbers[:_MOST_NUMBERS]) + rest]
