"""Projection: the factors that generate a given weight best.

    train   gradient descent with the quantizers in the loop, as the published code does
    svd     singular vectors, rounded to the nearest levels
    als     alternating least squares, rounded to the nearest levels
    qals    alternating least squares on the grids, with error feedback

The functions know tensors alone: no layer, no network.
"""

from quantlab.generation.projection.project import METHODS, Method, project
from quantlab.generation.projection.projection import Projection

__all__ = ["METHODS", "Method", "Projection", "project"]
