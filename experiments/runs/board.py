"""The TensorBoard files of a fold: scalars, pictures, hyper-parameters with the final metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# What is written once, when a run ends.
FINAL_TAGS = ("test/", "best/", "_hparams_/")


class Board:
    """Event files in `folder`; TensorBoard itself is imported with the first entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self._open().add_scalar(tag, value, step)

    def picture(self, tag: str, step: int, pixels_HWC: NDArray[Any]) -> None:
        """Show uint8 RGB pixels."""
        self._open().add_image(tag, pixels_HWC, step, dataformats="HWC")

    def hyperparameters(self, values: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Enter the run into the HPARAMS tab: nested `values` by dotted names, and `metrics`, which
        are tags of scalars written here.

        The summaries go into the run's own file: `SummaryWriter.add_hparams` would open a second
        run beside it."""
        from torch.utils.tensorboard.summary import hparams

        plain = {
            k: v if isinstance(v, bool | int | float) else str(v) for k, v in _flat(values).items()
        }
        writer = self._open()._get_file_writer()
        for summary in hparams(plain, dict(metrics)):
            writer.add_summary(summary)

    def cut(self, step: int) -> None:
        """Drop the events after `step`, and those of a run's end, from the files that are there."""
        for path in self.folder.glob("events.out.tfevents.*"):
            _cut_events(path, step)

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


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _cut_events(path: Path, step: int) -> None:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = list(RawEventFileLoader(str(path)).Load())
    events = [(record, Event.FromString(record)) for record in records]
    kept = [
        record
        for record, event in events
        if event.step <= step and not any(v.tag.startswith(FINAL_TAGS) for v in event.summary.value)
    ]
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        writer = RecordWriter(file)
        for record in kept:
            writer.write(record)
        writer.flush()
    temporary.replace(path)
