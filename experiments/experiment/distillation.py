"""Whether a run learns from a teacher, and whether the two fit together."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.data.loader import Batch
from experiments.experiment.config import Config
from experiments.processes.communicator import Communicator
from experiments.training.distillation.config import CriterionConfig
from experiments.training.distillation.teacher import Teacher
from quantlab.errors import UsageError
from quantlab.generation.spec import FLOAT_BITS

KEY = "teacher"  # the section, and in run.json
_NEARLY = 1e-3  # of prepared inputs, which are about 1
_NUM_DIGITS = 12  # of a hash, for people


def is_distilled(config: Config) -> bool:
    """Return whether the network learns from the teacher's scores: it does if there is one, but in
    runs with generated layers `mlg.kd` says so."""
    if config.mlg is not None and not config.mlg.kd:
        return False
    return config.teacher is not None


def check_criterion(config: Config, document: Document) -> None:
    """Raise UsageError if there is no teacher to learn from, and for settings of `teacher`,
    `criterion` and `network.pretrained` that have no effect."""
    mlg = config.mlg
    if mlg is not None and mlg.kd and config.teacher is None:
        message = (
            "true given without a teacher; set teacher.exp_id, or a file as teacher.checkpoint"
        )
        raise complain(document, ("mlg", "kd"), message)
    if mlg is not None and not mlg.kd and mlg.projection_alg is None and config.teacher is not None:
        message = "given, without effect as mlg.kd is false and mlg.projection_alg is null"
        raise complain(document, (KEY,), message)
    is_projected = mlg is not None and mlg.projection_alg is not None
    if is_projected and config.network.pretrained is not None:
        message = "given, without effect as mlg.projection_alg takes all weights of the teacher"
        raise complain(document, ("network", "pretrained"), message)
    reasons: dict[str, str] = {}
    if not is_distilled(config):
        reasons |= dict.fromkeys(("temperature", "alpha"), "nothing is learned from a teacher")
    if mlg is None:
        reasons["ortho_loss_weight"] = "no layer is generated"
    if not _has_codes(config):
        reasons["rate_weight"] = "no weight or factor is quantized"
    default = CriterionConfig()
    for name, reason in reasons.items():
        value = getattr(config.criterion, name)
        if value != getattr(default, name):
            message = f"{value} given, without effect as {reason}"
            raise complain(document, ("criterion", name), message)


def _has_codes(config: Config) -> bool:
    """Return whether weights or factors are quantized."""
    mlg = config.mlg
    specs = () if mlg is None else (mlg.spec_for(), *map(mlg.spec_for, mlg.rules))
    is_generated = any(bits < FLOAT_BITS for spec in specs for bits in spec.bits.values())
    return is_generated or any(rule.on == "weight" for rule in config.quantize.rules)


def check_teacher(teacher: Teacher, batch: Batch, outputs: object, document: Document) -> None:
    """Raise UsageError if the student's inputs are not prepared as the teacher's, or its outputs
    are not scores as the teacher's."""
    inputs = teacher.preprocess.evaluate(batch.raw).to(batch.inputs.dtype)
    if inputs.shape != batch.inputs.shape or not torch.allclose(
        inputs, batch.inputs, rtol=_NEARLY, atol=_NEARLY
    ):
        message = f"{teacher.origin}: its topology's preprocess.evaluate returns other inputs than"
        raise complain(document, (KEY,), f"{message} the student's; the same allowed")
    theirs, ours = _shown(teacher.scores(batch.inputs)), _shown(outputs)
    if theirs != ours:
        message = f"{teacher.origin} returns {theirs}, the student {ours}; the same allowed"
        raise complain(document, (KEY,), message)
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or outputs.shape[1] < 2:
        message = f"{teacher.origin} returns {theirs}; scores of at least 2 classes allowed"
        raise complain(document, (KEY,), message)


def check_shared(teacher: Teacher | None, communicator: Communicator) -> None:
    """Raise UsageError, on every rank, if the processes read teachers of different weights."""
    if teacher is None or communicator.size == 1:
        return
    told = communicator.gather((os.uname().nodename, teacher.weights_sha256))
    host, digest = told[0]
    for other_host, other in told:
        if other != digest:
            error = UsageError(
                f"{KEY}: {other_host}: {teacher.origin} has the weights {other[:_NUM_DIGITS]}, but "
                f"{digest[:_NUM_DIGITS]} on {host}; all hosts of a run need the same"
            )
            error.is_told = not communicator.is_root
            raise error


def entry_of(teacher: Teacher | None) -> dict[str, str] | None:
    """Return what run.json says of a teacher."""
    if teacher is None:
        return None
    return {"weights": teacher.origin, "weights_sha256": teacher.weights_sha256}


def check_same(teacher: Teacher | None, record: Mapping[str, Any], run: str) -> None:
    """Raise UsageError unless a run that goes on has the teacher that it began with."""
    before, now = record.get(KEY), entry_of(teacher)
    if before is None or now is None or before["weights_sha256"] == now["weights_sha256"]:
        return
    old, new = (entry["weights_sha256"][:_NUM_DIGITS] for entry in (before, now))
    raise UsageError(
        f"{KEY}: {run} learned from the weights {old} of {before['weights']}; {new} of "
        f"{now['weights']} given; the same allowed"
    )


def _shown(outputs: object) -> str:
    if isinstance(outputs, Tensor):
        kind = "scores" if outputs.is_floating_point() else str(outputs.dtype)
        return f"{kind} {list(outputs.shape[1:])}"
    return f"a {type(outputs).__name__}"
