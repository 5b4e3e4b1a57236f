"""The stages of building a network, in their order: a new one is a line."""

from collections.abc import Sequence

from experiments.training.stages.generate import GENERATE
from experiments.training.stages.prune import PRUNE
from experiments.training.stages.quantize import QUANTIZE
from experiments.training.stages.stage import Stage

STAGES: Sequence[Stage] = (GENERATE, PRUNE, QUANTIZE)
