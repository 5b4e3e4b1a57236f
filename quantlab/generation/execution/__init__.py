"""Networks of generated weights, compiled for inference."""

from quantlab.generation.execution.inference import InferenceNetwork, compile_for_inference
from quantlab.generation.execution.report import InferenceReport

__all__ = ["InferenceNetwork", "InferenceReport", "compile_for_inference"]
