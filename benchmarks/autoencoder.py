"""The autoencoder of MLPerf Tiny, which tells the sound of a damaged machine by how far the output
is from the input (C. Banbury et al., "MLPerf Tiny benchmark", 2021).

The layers are those of Y. Koizumi et al., "Description and discussion on DCASE2020 challenge task
2", 2020. Here are no such sounds: it is for costs alone.

Shapes: N samples, F features: 5 frames of 128 mel bands.
"""

from itertools import pairwise

from torch import Tensor, nn

NUM_FEATURES = 640
_WIDTHS = (NUM_FEATURES, 128, 128, 128, 128, 8, 128, 128, 128, 128)


class Autoencoder(nn.Module):
    """Nine linear layers with batch norm and ReLU, one of 8 outputs in their middle, and a last."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
                for inputs, outputs in pairwise(_WIDTHS)
            )
        )
        self.last = nn.Linear(_WIDTHS[-1], NUM_FEATURES)

    def forward(self, x_NF: Tensor) -> Tensor:
        """Return the features `[N, F]` again."""
        features: Tensor = self.last(self.layers(x_NF))
        return features
