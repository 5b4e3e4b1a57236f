"""Experiments of the toy problem in this process, without the command line or a lab."""

from pathlib import Path
from typing import cast

import tests.toy.Toy.data as data
import tests.toy.Toy.Tiny.network as network
import tests.toy.Toy.Tiny.preprocess as preprocess
from experiments.configuration.documents import read_document
from experiments.configuration.overrides import apply_overrides, parse_override
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from experiments.experiment.experiment import Experiment
from experiments.library import Library, Problem
from experiments.processes.session import local_session
from experiments.protocols import DataModule, Preprocess
from tests.lab import TOY
from tests.toy.Toy.meter import Meter
from tests.toy.Toy.Tiny.postprocess import postprocess


def toy_experiment(folder: Path, *overrides: str) -> Experiment:
    """Return what `main.py --problem=Toy --topology=Tiny OVERRIDES` makes of the data made up, with
    the problem in `folder`; an override is `data.limit=3`."""
    parsed = [parse_override(*override.split("=", 1)) for override in overrides]
    document = apply_overrides(read_document(TOY / "Tiny" / "config.yaml"), parsed)
    return Experiment(
        problem=Problem(name="Toy", folder=folder, data=cast(DataModule, data), meter=Meter),
        library=Library(
            name="Tiny",
            folder=TOY / "Tiny",
            network=network,
            loss=None,
            preprocess=cast(Preprocess, preprocess),
            postprocess=postprocess,
            sources={},
        ),
        config=validate(Config, document),
        document=document,
        data=data.load(folder, "synthetic"),
        session=local_session(),
    )
