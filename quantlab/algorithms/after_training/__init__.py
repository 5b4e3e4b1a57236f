"""What is done with a trained network, without training: calibrate, round, correct biases."""

from quantlab.algorithms.after_training.adaround import RoundedLayer, adaround
from quantlab.algorithms.after_training.bias_correction import CorrectedLayer, correct_biases
from quantlab.algorithms.after_training.calibrate import Calibration, Grid, calibrate
from quantlab.algorithms.after_training.learned_rounding import AdaRoundSettings
from quantlab.algorithms.after_training.modes import float_copy

__all__ = [
    "AdaRoundSettings",
    "Calibration",
    "CorrectedLayer",
    "Grid",
    "RoundedLayer",
    "adaround",
    "calibrate",
    "correct_biases",
    "float_copy",
]
