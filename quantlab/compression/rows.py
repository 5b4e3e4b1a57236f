"""The rows of a report: what became of each layer."""

import json

from torch import nn

from quantlab.algorithms.layers import carries
from quantlab.compression.byte_curve import layer_operations
from quantlab.compression.exporting import Exported
from quantlab.compression.report import LayerRow
from quantlab.graphs.select import quantizable_layers


def layer_rows(dense: nn.Module, network: nn.Module, exported: Exported) -> list[LayerRow]:
    """Return a row for each layer. dense: the network before. network: with quantizers."""
    stored = json.loads(exported.model.files["model.json"])["weights"]
    layers = quantizable_layers(network)
    operations = layer_operations(exported.program, layers)
    rows = []
    for name, before in quantizable_layers(dense).items():
        operation = operations.get(name)
        found = None if operation is None else stored.get(operation.output)
        quantizer = carries(layers[name]).get("weight") if name in layers else None
        rows.append(
            LayerRow(
                name=name,
                weights=before.get_parameter("weight").numel(),
                kept=0 if operation is None else int((operation.weight != 0).sum()),
                bits=0 if quantizer is None else quantizer.spec.num_bits,
                encoding="" if found is None else found["encoding"],
                nbytes=0 if found is None else found["bytes"],
            )
        )
    return rows
