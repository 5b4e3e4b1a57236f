"""The statistics that a configuration asks for: found to fit the network, measured, written."""

from collections.abc import Sequence

from torch import nn
from torch.amp import GradScaler

from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.runs.logbook import Logbook
from quantlab.controller import Context, Controller
from quantlab.errors import UsageError
from quantlab.monitor import Entry, Monitor


def create_monitor(
    network: nn.Module, entries: Sequence[Entry], document: Document
) -> Monitor | None:
    """Return what measures the network, None if nothing does. Raises UsageError for the first
    entry without effect."""
    if not entries:
        return None
    monitor = Monitor(network)
    for index, entry in enumerate(entries):
        try:
            monitor.add(entry)
        except UsageError as error:
            raise complain(document, ("monitor", index), str(error)) from None
    return monitor


def check_times(entries: Sequence[Entry], document: Document, num_steps: int) -> None:
    """Raise UsageError for an entry that would only begin after the run's last step."""
    for index, entry in enumerate(entries):
        if entry.start >= num_steps:
            message = f"{entry.start} given, but the run has {num_steps} steps; less allowed"
            raise complain(document, ("monitor", index, "start"), message)


class Monitoring(Controller):
    """Measures in the steps that are due, and writes on the rank that has the logbook.

    is_measuring: the current step is one of them; its forward pass must call the network's hooks.
    """

    def __init__(
        self, monitor: Monitor, scaler: GradScaler | None, logbook: Logbook | None
    ) -> None:
        self.is_measuring = False
        self._monitor = monitor
        self._scaler = scaler
        self._logbook = logbook

    def on_step_start(self, context: Context) -> None:
        """To be called after all other controllers: on quantizers as the network finds them."""
        self.is_measuring = self._monitor.is_due(context.step)
        if self.is_measuring:
            scale = 1.0 if self._scaler is None else self._scaler.get_scale()
            self._monitor.start_step(context.step, scale)

    def on_step_end(self, context: Context) -> None:
        """To be called before all other controllers: on weights as the optimizer left them."""
        if not self.is_measuring:
            return
        self.is_measuring = False
        readings = self._monitor.end_step(context.communicator)
        if self._logbook is not None and readings:
            self._logbook.write_layers(context.step, context.epoch, readings)

    def describe(self, epoch: int) -> str:
        return f"monitor: {', '.join(self._monitor.stats)}"
