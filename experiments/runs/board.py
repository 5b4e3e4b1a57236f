"""TensorBoard files: scalars, histograms, pictures, hyper-parameters with the final metrics."""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from quantlab.monitor import Histogram, Value

EVENT_FILES = "events.out.tfevents.*"

_UNFIT_FOR_FOLDERS = re.compile(r"[^\w.+=-]+")
_LONGEST_NAME = 60  # letters, of up to four bytes; a file's name may have 255


def board_folder(kind: Path, name: str) -> Path:
    """Return where a run's event files go: TensorBoard calls a run by its folders.

    kind: the folder that all runs have. name: of the run. A run that began in `kind` itself, in an
    earlier version or without a name, goes on there.
    """
    plain = _UNFIT_FOR_FOLDERS.sub("-", name).strip("-.")[:_LONGEST_NAME]
    return kind if any(kind.glob(EVENT_FILES)) else kind / plain


class Board:
    """Event files in `folder`; TensorBoard itself is imported with the first entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self._open().add_scalar(tag, value, step)

    def values(self, step: int, values: Mapping[str, "Value"]) -> None:
        """Add numbers, if finite, and histograms as one event, at a fraction of the cost of one for
        each."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        entries = []
        for tag, value in values.items():
            if not isinstance(value, float):
                entries.append(Summary.Value(tag=tag, histo=_bins(value)))
            elif math.isfinite(value):
                entries.append(Summary.Value(tag=tag, simple_value=value))
        if entries:
            self._open()._get_file_writer().add_summary(Summary(value=entries), step)

    def picture(self, tag: str, step: int, pixels_HWC: NDArray[Any]) -> None:
        """Show uint8 RGB pixels."""
        self._open().add_image(tag, pixels_HWC, step, dataformats="HWC")

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        """Enter the run into the HPARAMS tab: nested `values` by dotted names. TensorBoard puts
        the last value of every scalar beside them.

        The summaries go into the run's own file: `SummaryWriter.add_hparams` would open a second
        run beside it. Its description of an experiment is left out, since TensorBoard would show
        the parameters of the one that it finds first; without it, it shows those of all runs, the
        ones that differ first."""
        from torch.utils.tensorboard.summary import hparams

        plain = {
            k: v if isinstance(v, bool | int | float) else str(v) for k, v in _flat(values).items()
        }
        writer = self._open()._get_file_writer()
        _, start, end = hparams(plain, {})
        writer.add_summary(start)
        writer.add_summary(end)

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> "SummaryWriter":
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder))
        return self._writer


def _bins(histogram: "Histogram") -> Any:
    """Return a histogram as TensorBoard stores it; the moments, which it does not show, are those
    of the bins' middles."""
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    edges, counts = histogram.edges, histogram.counts
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    return HistogramProto(
        min=edges[0],
        max=edges[-1],
        num=sum(counts),
        sum=sum(n * x for n, x in zip(counts, middles, strict=True)),
        sum_squares=sum(n * x * x for n, x in zip(counts, middles, strict=True)),
        bucket_limit=edges[1:],
        bucket=counts,
    )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested mappings, and lists of them, as one mapping with dotted names."""
    if isinstance(value, Mapping):
        items: list[tuple[object, Any]] = list(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        items = list(enumerate(value))
    else:
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat
