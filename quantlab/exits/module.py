"""A network with early exits: a trunk in segments, and a head behind each but the last.

Source: S. Teerapittayanon, B. McDanel and H. T. Kung, "BranchyNet: Fast Inference via Early Exiting
from Deep Neural Networks", ICPR 2016; the confidence is here a margin of scores, which integers
have too.

Shapes: N samples, C classes, E exits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind

_NEVER = torch.finfo(torch.float32).max  # finite, as all tensors of a network have to be


class ExitScores(NamedTuple):
    """scores: `[N, C]`, of the exit at which each sample left. exits: its number, `[N]`, from 0."""

    scores: Tensor
    exits: Tensor


class EarlyExit(nn.Module):
    """Training: the scores `[N, C]` of all exits, in a tuple. Evaluation: `ExitScores`, each sample
    at the first exit at which its largest score is at least a margin above all others.

    segments: of the trunk, each of which takes what the one before it gives; the last one gives the
    last exit's scores. heads: one for each other segment, from what it gives to scores. margins: of
    each head, in the scores' own numbers; by default no sample leaves early. They are a buffer.

    Raises UsageError unless there is at least one head, and one segment more than heads.
    """

    margins: Tensor

    def __init__(
        self,
        segments: Sequence[nn.Module],
        heads: Sequence[nn.Module],
        *,
        margins: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        for name, modules in (("segments", segments), ("heads", heads)):
            check_kind(name, modules, Sequence | nn.ModuleList, "a list of torch.nn.Module")
            for number, module in enumerate(modules):
                check_kind(f"{name}[{number}]", module, nn.Module, "a torch.nn.Module")
        if not heads or len(segments) != len(heads) + 1:
            raise UsageError(
                f"heads: {len(heads)} given for {len(segments)} segments, one for each segment but "
                "the last allowed, at least 1"
            )
        self.segments = nn.ModuleList(segments)
        self.heads = nn.ModuleList(heads)
        self.register_buffer("margins", torch.full((len(heads),), _NEVER))
        if margins is not None:
            self.set_margins(margins)

    def set_margins(self, margins: Sequence[float]) -> None:
        """Set the margin of each head. Raises UsageError unless there is one for each, from 0."""
        check_kind("margins", margins, list | tuple, "a list of numbers")
        for number, margin in enumerate(margins):
            check_kind(f"margins[{number}]", margin, int | float, "a number")
            if not margin >= 0:
                raise UsageError(f"margins[{number}]: {margin} given, numbers from 0 allowed")
        if len(margins) != len(self.heads):
            raise UsageError(
                f"margins: {len(margins)} given, {len(self.heads)} allowed, one for each head"
            )
        self.margins.copy_(torch.tensor(margins).clamp(max=_NEVER))

    def forward(self, x: Tensor) -> tuple[Tensor, ...] | ExitScores:
        """See the class. x: a batch of what the first segment takes."""
        return self.all_exits(x) if self.training else self.first_confident(x)

    def all_exits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the scores `[N, C]` of each exit."""
        return all_scores(self.segments, self.heads, x)

    def first_confident(self, x: Tensor) -> ExitScores:
        """Return the scores at which each sample leaves. All are computed for all samples, so that
        the quantizers of all layers see the same ones. Raises UsageError for exits of other classes
        than one another."""
        found = self.all_exits(x)
        if len({one.shape for one in found}) > 1 or found[0].ndim != 2 or found[0].shape[1] < 2:
            shapes = ", ".join(str(list(one.shape)) for one in found)
            raise UsageError(
                f"exits: scores {shapes} given, [N, C] of the same two classes or more allowed"
            )
        scores = torch.stack(found)
        first, second = scores.topk(2, dim=2).values.unbind(2)
        is_last = torch.ones_like(first[:1], dtype=torch.bool)
        confident = torch.cat([first[:-1] - second[:-1] >= self.margins[:, None], is_last])
        exits = confident.int().argmax(0)
        return ExitScores(scores[exits, torch.arange(len(x), device=x.device)], exits)


def all_scores(segments: nn.ModuleList, heads: nn.ModuleList, x: Tensor) -> tuple[Tensor, ...]:
    """Return the scores of all exits. segments, heads: as of `EarlyExit`."""
    found = []
    for segment, head in zip(segments, heads, strict=False):
        x = segment(x)
        found.append(head(x))
    return (*found, segments[-1](x))
