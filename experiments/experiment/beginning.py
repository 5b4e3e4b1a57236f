"""What is done to a network when a run begins, and not when it goes on: its projection."""

from collections.abc import Callable, Iterator
from itertools import islice

from torch import Tensor

from experiments.configuration.section import complain
from experiments.data.draws import derive_seed
from experiments.data.loader import place
from experiments.experiment.distillation import check_shared
from experiments.experiment.experiment import Experiment
from experiments.training.batch_norm import average_running_statistics
from experiments.training.distillation.teacher import Teacher
from experiments.training.random_state import seed_everything
from experiments.training.trainer import Trainer
from experiments.training.weights import share_state
from quantlab.errors import UsageError
from quantlab.generation.inherit import check_inherits, dense_weights, inherit

_NUM_BATCHES = 50  # over which batch norms are estimated anew


def shared_original(experiment: Experiment) -> Teacher | None:
    """Return the teacher that layers are to be projected from, None without a projection. Raises
    UsageError, on every rank, if there is none or the processes read others."""
    communicator = experiment.session.communicator
    original = communicator.on_all(lambda: experiment.original)
    check_shared(original, communicator)
    return original


def check_projection(experiment: Experiment) -> None:
    """Raise UsageError if the factors are to be projected from a teacher that does not fit."""
    original = experiment.original
    if original is None:
        return
    network = experiment.assemble(0).network
    try:
        check_inherits(network, dense_weights(original.network))
    except UsageError as error:
        message = f"{original.origin}: {error}"
        raise complain(experiment.document, ("mlg", "projection_alg"), message) from error


def begin(experiment: Experiment, trainer: Trainer, fold: int, tell: Callable[[str], None]) -> None:
    """Give a network that is to be trained the teacher's weights: generated layers their
    projection, batch norms statistics of the training samples. Without a projection nothing."""
    original, mlg = experiment.original, experiment.config.mlg
    if original is None or mlg is None or mlg.projection_alg is None:
        return
    assembly, communicator = trainer.assembly, experiment.session.communicator
    errors = inherit(
        assembly.network,
        dense_weights(original.network),
        method=mlg.projection_alg,
        seed=derive_seed(experiment.seed(fold), "projection"),
    )
    _estimate_batch_norms(experiment, trainer, fold)
    average_running_statistics(assembly.network, communicator)
    share_state(assembly.network, communicator)  # other processors project to other bits
    if assembly.ema is not None:
        assembly.ema.restart()
    seed_everything(derive_seed(experiment.seed(fold), "rank", communicator.rank))
    mean = sum(errors.values()) / len(errors)
    plural = "layer" if len(errors) == 1 else "layers"
    tell(
        f"projected {len(errors)} {plural} of {original.origin} by {mlg.projection_alg}: mean "
        f"relative error {mean:.3f}"
    )


def _estimate_batch_norms(experiment: Experiment, trainer: Trainer, fold: int) -> None:
    from quantlab.compression.training import reestimate_batch_norms

    samples = place(experiment.data.train, experiment.session.device)
    loader = experiment.loader(samples, experiment.split(fold).train, fold, is_training=True)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for batch in islice(loader.epoch(0), _NUM_BATCHES):
            if len(batch.inputs):
                yield batch.inputs, batch.targets

    try:
        reestimate_batch_norms(trainer.assembly.network, batches())
    finally:
        loader.close()
