"""The rows of `benchmarks.generation_accuracy`: what each trains, as settings of an experiment.

All learn from the same dense network with the same batches, epochs and distillation. Each kind has
the optimizer that suits it. SGD moves the scales of LSQ, which Adam loses; with Adam, weights have
STE's, which follow them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generation.forms import FORMS, Form, form, resnet18, size_within
from benchmarks.generation.network import Rival
from benchmarks.generation.rivals.stored import float_bytes
from quantlab.errors import UsageError, did_you_mean

# Of all runs, the dense network's that they learn from too.
COMMON = {
    "experiment.threads": "1",
    "data.batch_size": "512",
    "data.drop_last": "true",
    "data.valid_fraction": "0",
    "checkpoint.seconds_between": "60",
    "training.precision": "bfloat16",
    "training.channels_last": "true",
}
OPTIMIZERS: dict[str, dict[str, str]] = {
    "sgd": {
        "training.optimizer.class": "SGD",
        "training.optimizer.params": (
            "{lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5.0e-4}"
        ),
        "training.lr_scheduler.class": "Cosine",
        "training.lr_scheduler.params": "{warmup_epochs: 1}",
    },
    "adamw": {
        "training.optimizer.class": "AdamW",
        "training.optimizer.params": "{lr: 3.0e-3, weight_decay: 0.0}",
        "training.lr_scheduler.class": "Cosine",
        "training.lr_scheduler.params": "{warmup_epochs: 0}",
    },
}
GENERATED = OPTIMIZERS["adamw"] | {"mlg.projection_alg": "qals"}
# Of generated weights: the published bits, the notes' better ones, and those that `allocate` finds.
_PUBLISHED = {"base_in": 2, "base_out": 44, "basis_bit": 3, "coeff_in_bit": 6, "coeff_out_bit": 3}
_EIGHT = _PUBLISHED | {"basis_bit": 8, "coeff_in_bit": 8, "coeff_out_bit": 8}
_FEW = _PUBLISHED | {"base_out": 64, "basis_bit": 4, "coeff_in_bit": 2}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A row. config: of the topology ResNet. num_seeds: of a whole measurement.

    settings: what differs from the config. rival: the name of its family. long: whether it is
    trained for 200 epochs too. allocated: the quantizer of factors whose bases and bits are
    allocated within `room` times the budget.
    """

    config: str
    num_seeds: int
    settings: Mapping[str, str]
    rival: str | None = None
    long: bool = False
    allocated: str | None = None
    room: float = 1.0

    @property
    def has_budget(self) -> bool:
        """Whether it depends on the bytes that its file may have."""
        return self.rival is not None or self.allocated is not None


def _generated(
    values: Mapping[str, object],
    num_seeds: int = 2,
    *,
    loss: str | None = None,
    long: bool = False,
) -> Plan:
    settings = GENERATED | {f"mlg.{name}": str(value) for name, value in values.items()}
    if loss is not None:
        settings |= {"training.loss.class": loss, "training.loss.params": "{}"}
    return Plan(
        config="mlg_train",
        num_seeds=num_seeds,
        settings=settings,
        long=long,
    )


def _allocated(quantizer: str, room: float = 1.0) -> Plan:
    return Plan(
        config="mlg_train",
        num_seeds=2,
        settings=GENERATED,
        allocated=quantizer,
        room=room,
        long=room == 1.0,
    )


# What is learned through a rate term is allocated with this many times the bytes.
_RATED_ROOM = 1.25
ONE_SEED = ("dsconv", "penni", "circnn", "mobilenetv2", "mobilenetv3")
PUBLISHED = "mlg-2-44-3-6-3"
# In the order in which they are trained.
PLANS: dict[str, Plan] = {
    "dense": Plan(config="mlg_pretrain", num_seeds=2, settings=OPTIMIZERS["sgd"], long=True),
    PUBLISHED: _generated(_PUBLISHED, long=True),
    "mlg-2-64-4-2-3": _generated(_FEW),
    "mlg-released": _generated(_PUBLISHED, loss="FrozenCoefficients"),
    "mlg-allocated": _allocated("dorefa_sym"),
    "mlg-allocated-rate": _allocated("midtread", _RATED_ROOM),
    **{
        name: Plan(
            config="mlg_pretrain",
            num_seeds=1 if name in ONE_SEED else 2,
            settings=OPTIMIZERS[family.optimizer],
            rival=name,
        )
        for name, family in FORMS.items()
    },
    "mlg-2-44-8-8-8": _generated(_EIGHT),
}

# The bases of the document's scan, (base_out, base_in), with floats for factors.
_SCAN = ((8, 8), (17, 3), (30, 1), (28, 4), (44, 2), (47, 7), (42, 8))
_FLOATS = {"basis_bit": 32, "coeff_in_bit": 32, "coeff_out_bit": 32}
SWEEP: dict[str, Plan] = {
    f"bases-{base_in}-{base_out}": _generated(
        {"base_in": base_in, "base_out": base_out, **_FLOATS}, num_seeds=1
    )
    for base_out, base_in in _SCAN
}
ROWS = PLANS | SWEEP


def plan(name: str) -> Plan:
    """Return a row. Raises UsageError with the nearest name."""
    if name not in ROWS:
        hint = did_you_mean(name, list(ROWS))
        raise UsageError(f"--only: {name!r} given, {', '.join(ROWS)} allowed{hint}")
    return ROWS[name]


def settings_of(
    name: str,
    *,
    dense: Path,
    identity: str,
    budget: int,
    epochs: int,
    seed: int,
    allocated: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the settings of a row's experiment.

    dense: the teacher's checkpoint, which some networks begin with. identity: of the teacher, in
    the name. budget: bytes of the file of a rival, or of what is allocated. allocated: what
    `allocated_settings` found for a row that has it.
    """
    row = plan(name)
    settings = {
        **COMMON,
        "experiment.name": f"generation-{name}-{identity}",
        "experiment.epochs": str(epochs),
        "experiment.seed": str(seed),
        "teacher.checkpoint": str(dense),
        "teacher.config": "mlg_pretrain",
        **row.settings,
        **(allocated or {}),
    }
    if name == "dense":
        settings["network.pretrained.file"] = str(dense)
    if row.room > 1.0:
        settings |= _rated(budget - float_bytes(resnet18()))
    return settings if row.rival is None else settings | _of_rival(row.rival, dense, budget)


def _of_rival(name: str, dense: Path, budget: int) -> dict[str, str]:
    family = form(name)
    size = size_within(name, budget) if family.sizes else 0.0
    settings = {
        "network.class": "Rival",
        "network.params": f"{{name: {name}, size: {size}, dense: {dense}}}",
        "quantize.rules": _rules(family),
    }
    if family.is_rated:
        settings |= _rated(budget - float_bytes(Rival(name)))
    return settings


def _rated(target_bytes: int) -> dict[str, str]:
    return {
        "training.loss.class": "RatedCrossEntropy",
        "training.loss.params": f"{{target_bytes: {target_bytes}}}",
    }


def _rules(family: Form) -> str:
    """Return the rules of quantization; see `benchmarks.generation.rivals.stored` for where scales
    lie."""
    kind = "kind: lsq, narrow: true" if family.optimizer == "sgd" else "kind: ste"
    inner = family.inner
    others = "!last" if inner is None else f"!last & !{inner}"
    rules = [_rule(others, kind, family.bits, "per_axis:0"), _rule("last", kind, 8, "per_tensor")]
    if inner is not None:
        rules.append(_rule(inner, kind, family.bits, "per_tensor"))
    return f"[{', '.join(rules)}]"


def _rule(select: str, kind: str, num_bits: int, granularity: str) -> str:
    grid = f"num_bits: {num_bits}, start_epoch: 0, granularity: '{granularity}'"
    return f"{{select: '{select}', on: weight, algorithm: {{{kind}, {grid}}}}}"
