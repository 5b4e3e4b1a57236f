"""run.json of a compression, from its first moment to its last."""

from typing import Any

from experiments.compression.config import CompressConfig
from experiments.experiment.experiment import Experiment
from experiments.experiment.record import circumstances
from experiments.runs.folder import COMPRESSION, SCHEMA_VERSION, RunFolder
from quantlab.compression import Compressed, UnreachableError
from quantlab.numerics.digest import weights_sha256


def new_record(
    folder: RunFolder, parent: RunFolder, experiment: Experiment, config: CompressConfig
) -> dict[str, Any]:
    """Return the record of a compression that begins. experiment: the parent's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": COMPRESSION,
        "id": folder.name,
        "exp_id": folder.exp_id,
        "problem": experiment.problem.name,
        "topology": experiment.library.name,
        "name": experiment.config.experiment.name,
        "config": config.model_dump(mode="json"),
        "quick": experiment.is_quick,
        "status": "running",
        "exit_code": None,
        "parent": parent.name,
        "metrics": {},
        "folds": [],
        "weights_sha256": None,
        "data": experiment.data.source,
        "seeds": {"recipe": config.recipe.seed, "split": experiment.config.data.split_seed},
        **circumstances(experiment.session),
        "resumed": [],
        "seconds": 0.0,
    }


def reached(compressed: Compressed) -> dict[str, Any]:
    """Return the entries of one that has come to its end: accuracies in percent, bytes."""
    report = compressed.report
    return {
        "metrics": {
            "dense/top1": report.dense_accuracy,
            "valid/top1": report.accuracy,
            "test/top1": report.test_accuracy,
            "flash": report.flash,
            "ram": report.ram,
        },
        "weights_sha256": weights_sha256(compressed.network.state_dict()),
    }


def unreached(error: UnreachableError) -> dict[str, Any]:
    """Return the entries of one whose budget cannot be met: the fewest bytes that were possible,
    null if none."""
    return {"metrics": {"smallest": error.smallest}}
