"""How the steps of a training are run: one operation after another, or captured."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from experiments.data.loader import Loader
from experiments.data.piece import Piece
from experiments.processes.communicator import Communicator
from experiments.processes.gradients import GradientSum
from experiments.training.assembly import Assembly
from experiments.training.capture.account import Account
from experiments.training.capture.captured_steps import CapturedSteps
from experiments.training.capture.graphs import Graphs
from experiments.training.capture.tensor_rates import TensorRates, why_not_recorded
from experiments.training.config import TrainingConfig
from experiments.training.precision import Precision
from experiments.training.step import Outcome, Step
from experiments.training.weights import trained_parameters
from quantlab.quantizer import Quantizer


class Stepper:
    """Runs steps: begin, the batches, finish.

    graphs: what records steps on the device, None where nothing can. has_step_hooks: something acts
    on the network between the steps of an epoch. settle: waits for what runs beside the training
    and uses the device. account: how many steps were captured.
    """

    def __init__(
        self,
        *,
        assembly: Assembly,
        training: TrainingConfig,
        precision: Precision,
        postprocess: Callable[[Tensor], Tensor],
        loader: Loader,
        communicator: Communicator,
        device: torch.device,
        graphs: Graphs | None,
        has_step_hooks: bool,
        settle: Callable[[], None],
    ) -> None:
        self._assembly, self._loader = assembly, loader
        self._quantizers = [m for m in assembly.network.modules() if isinstance(m, Quantizer)]
        parameters = trained_parameters(assembly.network, assembly.loss)
        self._gradients: GradientSum | None = None
        if communicator.size > 1:
            self._gradients = GradientSum(parameters, communicator)
        why_no_update = why_not_recorded(assembly.optimizer)
        # Captured or not, so that both give the same bytes.
        has_rates = graphs is not None and why_no_update is None
        self._step = Step(
            assembly=assembly,
            parameters=parameters,
            precision=precision,
            postprocess=postprocess,
            clip_norm=training.clip_norm,
            rates=TensorRates(assembly.optimizer, device) if has_rates else None,
        )
        if precision.scaler is not None:
            why_no_update = "float16 leaves out steps whose gradients are not finite"
        self.account = Account(why_no_update)
        self._why_never = "on a CPU" if graphs is None else "as capture is never"
        self._captured: CapturedSteps | None = None
        self._is_captured = self._is_measured = False
        if graphs is not None and training.capture != "never":
            self._captured = CapturedSteps(
                graphs=graphs,
                step=self._step,
                network=assembly.network if assembly.twin is None else assembly.twin,
                loader=loader,
                why_no_update=why_no_update,
                is_required=training.capture == "always",
                has_step_hooks=has_step_hooks,
                account=self.account,
                settle=settle,
            )

    def take_state(self) -> None:
        """To be called when the optimizer's state was read from a checkpoint."""
        if self._step.rates is not None:
            self._step.rates.bring_state()

    def begin_epoch(self) -> None:
        """To be called after controllers have begun it."""
        if self._captured is not None:
            self._captured.begin_epoch()

    def begin(self, step: int, *, is_measured: bool) -> None:
        """Begin a step, after controllers have. step: of the epoch. is_measured: its forward pass
        must call the network's hooks."""
        self._is_measured = is_measured
        if self._captured is None:
            self.account.add(self._why_never)
        else:
            self._is_captured = self._captured.begin_step(self._obstacle(step))

    def backward(self, piece: Piece) -> Outcome | None:
        """Add the gradients of a batch; return what it gave, None if it has no samples."""
        if self._is_captured and self._captured is not None:
            outcome = self._captured.backward(piece)
            if outcome is not None:
                return outcome
            self._is_captured = False
        if piece.slice.is_last and self._gradients is not None:
            self._gradients.arm()
        if not piece.slice.weight:
            return None
        with nullcontext() if self._captured is None else self._captured.running_as_usual():
            batch = self._loader.prepare(piece)
            network = self._network_for(len(batch.targets))
            return self._step.backward(network, batch.inputs, batch.targets, batch.weight)

    def finish(self) -> None:
        """Sum the gradients over the processes, and update the weights."""
        if self._gradients is not None:
            self._gradients.finish()
        if self._step.rates is not None:
            self._step.rates.set()
        if self._captured is None:
            self._step.update()
        elif self._is_captured:
            self._captured.update()
        else:
            with self._captured.running_as_usual(is_update=True):
                self._step.update()

    def _network_for(self, num_samples: int) -> nn.Module:
        """Return the twin for full batches, but not while quantizers observe before they start:
        either would compile anew. And a twin calls no hooks."""
        twin = self._assembly.twin
        is_full = num_samples == self._loader.plan.batch_size
        if twin is None or not is_full or self._is_measured or self._is_starting():
            return self._assembly.network
        return twin

    def _obstacle(self, step: int) -> str | None:
        """Return why a step is unlike others, None if it is not."""
        if self._is_measured:
            return "that the monitor measured"
        if not self._loader.plan.is_full(step):
            return "with partial batches"
        if self._is_starting():
            return "before quantizers started"
        return None

    def _is_starting(self) -> bool:
        return any(q.is_observing and not q.is_enabled for q in self._quantizers)
