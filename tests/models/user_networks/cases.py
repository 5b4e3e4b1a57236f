"""The table: what becomes of each network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from tests.models.user_networks import (
    activations,
    branches,
    constants,
    convolutions,
    normalizations,
    poolings,
    sequences,
    shapes,
    styles,
    tables,
    tutorials,
)
from tests.models.user_networks.journey import Raw, Rules

DIGIT = Raw(shape=(1, 28, 28))
PHOTO = Raw(shape=(3, 32, 32))
IMAGE = Raw(shape=(3, 16, 16))
PIXELS = Raw(shape=(3, 16, 16), scale=1.0, zero_point=0)
ROW = Raw(shape=(20,))
SIGNAL = Raw(shape=(1, 1, 64))
CODES = Raw(shape=(20,), scale=1.0, zero_point=0)


def rules(
    kind: str, bits: int, input_bits: int, *, left_out: str = "", **of_inputs: object
) -> Rules:
    """All weights, and all inputs but the image."""
    others = f" & !{left_out}" if left_out else ""
    inputs = {"kind": kind, "num_bits": input_bits, **of_inputs}
    return [
        {"select": f"*{others}", "on": "weight", "algorithm": {"kind": kind, "num_bits": bits}},
        {"select": f"!first{others}", "on": "input", "algorithm": inputs},
    ]


STE8 = rules("ste", 8, 8)
LSQ4 = rules("lsq", 4, 4)
LSQ8 = rules("lsq", 8, 8)
LSQ48 = rules("lsq", 4, 8)
LSQ_OFFSETS = rules("lsq", 8, 8, symmetric=False)
PACT = rules("pact", 8, 4)
TQT = rules("tqt", 8, 8)
STE_ALL = [
    {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 4}},
    {"select": "*", "on": "input", "algorithm": {"kind": "ste", "num_bits": 8}},
]
WEIGHTS = STE_ALL[:1]
ENDS8 = [
    {"select": "!first & !last", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}},
    {"select": "first | last", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 8}},
    {"select": "!first & !last", "on": "input", "algorithm": {"kind": "lsq", "num_bits": 4}},
    {"select": "last", "on": "input", "algorithm": {"kind": "lsq", "num_bits": 8}},
]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and what becomes of it.

    refused: where it is, `quantize`, `train` or `export`, and a pattern of the line; None: it is
    exact in all engines. ending: the last layer, which programs leave out with a warning.
    """

    make: Callable[[], nn.Module]
    rules: Rules
    raw: Raw = IMAGE
    refused: tuple[str, str] | None = None
    ending: nn.Module | None = None


def case(make: Callable[[], nn.Module], given: Rules, raw: Raw = IMAGE, **more: object) -> Case:
    return Case(make=make, rules=given, raw=raw, **more)


Table = Mapping[str, Case]
a, b, c, n, p = activations, branches, convolutions, normalizations, poolings
TUTORIALS: Table = {
    "blitz": case(tutorials.Blitz, LSQ4, DIGIT),
    "cifar": case(tutorials.Cifar, STE8, PHOTO),
    "mnist": case(tutorials.Mnist, ENDS8, DIGIT, ending=nn.LogSoftmax(1)),
    "old mnist": case(tutorials.OldMnist, PACT, DIGIT, ending=nn.LogSoftmax(1)),
    "quickstart": case(tutorials.Quickstart, TQT, DIGIT),
    "keras": case(tutorials.from_keras, STE8, DIGIT, ending=nn.Softmax(1)),
    "lecun": case(tutorials.LeCun, LSQ8, DIGIT),
    "alexnet": case(tutorials.SmallAlexNet, ENDS8, PHOTO),
    "vgg": case(tutorials.VGG, LSQ4, PHOTO),
    "network in network": case(tutorials.network_in_network, STE8, DIGIT),
    "squeezenet": case(tutorials.SqueezeNet, TQT, PHOTO),
    "add_module": case(tutorials.by_add_module, STE_ALL, DIGIT),
    "all convolutional": case(tutorials.AllConvolutional, PACT),
}
BRANCHES: Table = {
    "resnet": case(b.ResNet, LSQ4),
    "option a": case(b.OptionA, STE8),
    "pre-activation": case(b.PreActivation, LSQ4),
    "inception": case(b.Inception, PACT),
    "densenet": case(b.DenseNet, LSQ8),
    "squeeze and excitation": case(b.SENet, STE8),
    "unet": case(b.UNet, LSQ48),
    "bilinear unet": case(b.bilinear_unet, STE8, refused=("export", "layer 'upsample': mode")),
    "transposed unet": case(b.transposed_unet, STE8),
    "two heads": case(b.TwoHeads, ENDS8),
    "pyramid": case(b.Pyramid, STE8),
    "siamese": case(b.Siamese, LSQ4),
    "highway": case(b.Highway, LSQ8),
    "stochastic depth": case(b.StochasticDepth, TQT),
    "rezero": case(b.ReZero, LSQ_OFFSETS),
    "cbam": case(b.ChannelAndPlaces, STE8),
}
CONVOLUTIONS: Table = {
    "xception": case(c.Xception, LSQ8),
    "mobilenet": case(c.MobileNet, STE8),
    "shufflenet": case(c.ShuffleNet, LSQ8),
    "dilated": case(c.Dilated, LSQ4),
    "asymmetric": case(c.asymmetric, LSQ_OFFSETS),
    "padded": case(c.Padded, STE_ALL),
    "reflected": case(c.reflected, STE8, refused=("export", "layer '0': padding_mode 'reflect'")),
    "ghost": case(c.Ghost, LSQ4),
    "weight norm": case(
        c.WithWeightNorm, STE8, refused=("quantize", "'features.0': .*remove_parametrizations")
    ),
    "spectral norm": case(
        c.with_spectral_norm, STE8, refused=("quantize", "'features.0': .*remove_param")
    ),
    "pruned": case(c.pruned, STE8, refused=("quantize", "'2': .*prune.remove")),
    "pruned for good": case(c.pruned_for_good, STE8),
    "standardized": case(c.standardized, STE8, refused=("quantize", "0: a StandardizedConv2d")),
}
NORMALIZATIONS: Table = {
    "batch norm first": case(n.batch_norm_first, STE8),
    "batch norm behind relu": case(n.batch_norm_behind_relu, LSQ4),
    "batch norm behind pooling": case(n.batch_norm_behind_pooling, LSQ8),
    "two batch norms": case(n.two_batch_norms, PACT),
    "batch norm last": case(n.batch_norm_last, TQT),
    "batch norm of the batch": case(
        n.batch_norm_of_the_batch, STE8, refused=("export", "layer '1': batch norm without running")
    ),
    "convnext": case(n.ConvNeXt, STE8, refused=("export", "layer 'norm': LayerNorm has no")),
    "convnext with batch norm": case(n.ConvNeXtWithBatchNorm, STE8),
    "group norm": case(n.group_norm, STE8, refused=("export", "layer '1': GroupNorm has no")),
    "instance norm": case(n.instance_norm, STE8, refused=("export", "'1': InstanceNorm2d has no")),
    "local response norm": case(
        n.local_response_norm, STE8, refused=("export", "'2': LocalResponseNorm has no")
    ),
    "length of 1": case(n.Embedder, STE8, refused=("export", "normalize")),
    "normalized by hand": case(n.ByHand, STE8, refused=("export", "std")),
}
ACTIVATIONS: Table = {
    **{
        name: case(partial(a.Around, module), STE8 if number % 2 else LSQ8)
        for number, (name, module) in enumerate(a.MODULES.items())
    },
    "softmax of channels": case(
        partial(a.Around, a.MODULES["softmax of channels"]),
        STE8,
        refused=("export", "layer 'act1': Softmax has no"),
    ),
    "crelu": case(a.Concatenated, LSQ4),
    "maxout": case(a.Maxout, STE8, refused=("export", r"max has no .*; a \+ F.relu")),
    "gated": case(a.Gated, LSQ8),
    "glu": case(a.glu, STE8, refused=("export", "layer '1': GLU has no .*; a \\* torch.sigmoid")),
    "functions": case(a.Functions, STE8),
    "periodic": case(a.Periodic, STE8, refused=("export", "sin")),
    "squared": case(a.Squared, STE8, refused=("export", "sqrt")),
    "attentive": case(a.Attentive, STE8, refused=("export", "Softmax has no")),
}
POOLINGS: Table = {
    "ceil mode": case(p.ceil_mode, LSQ4),
    "ceil mode average": case(p.ceil_mode_average, STE8),
    "overlapping": case(p.overlapping, PACT),
    "apart": case(p.apart, TQT),
    "dilated pool": case(p.dilated, LSQ8),
    "average with borders": case(p.average_with_borders, STE8),
    "average by a divisor": case(p.average_by_a_divisor, LSQ8),
    "norm pool": case(p.norm_pool, STE8, refused=("export", "layer 'pool': LPPool2d has no")),
    "global": case(p.Global, LSQ4),
    "global max": case(p.GlobalMax, STE8),
    "spatial pyramid": case(p.SpatialPyramid, LSQ4),
    "unpooled": case(p.Unpooled, STE8, refused=("export", "pool")),
}
SHAPES: Table = {
    "space to depth": case(shapes.SpaceToDepth, STE_ALL),
    "mixer": case(shapes.Mixer, LSQ8),
    "patches by convolution": case(shapes.ByConvolution, STE8),
    "cropped": case(shapes.Cropped, LSQ4),
    "unflattened": case(shapes.Unflattened, STE8),
    "super resolution": case(shapes.SuperResolution, STE8),
    "rows": case(shapes.Rows, STE8),
    "mirrored": case(shapes.Mirrored, STE8, refused=("export", "flip has no")),
    "mixing": case(shapes.Mixing, STE8, refused=("export", "batch")),
}
CONSTANTS: Table = {
    "scaled": case(constants.Scaled, STE8, PIXELS),
    "scaled and padded": case(constants.ScaledAndPadded, STE8, PIXELS),
    "normalized": case(constants.Normalized, LSQ4, PIXELS),
    "inverted": case(constants.Inverted, STE8, PIXELS),
    "learned": case(constants.Learned, LSQ8, PIXELS),
    "coordinates": case(constants.Coordinates, STE8, PIXELS),
    "in place": case(constants.InPlace, STE8, PIXELS),
    "noise": case(constants.Noise, LSQ4, PIXELS),
}
STYLES: Table = {
    "lists": case(styles.Lists, LSQ4),
    "numbered": case(styles.Numbered, ENDS8),
    "children": case(styles.Children, STE8),
    "deeper": case(styles.Deeper, PACT),
    "clones": case(styles.Clones, LSQ4),
    "recurrent": case(styles.Recurrent, LSQ8),
    "tied": case(styles.Tied, STE8),
    "transposed": case(
        styles.Transposed, STE8, refused=("export", "linear has no .*; nn.Linear, with")
    ),
    "functional": case(styles.Functional, STE_ALL, refused=("export", "weight")),
    "unused": case(
        styles.Unused, STE8, refused=("train", "old_head.input_quantizer: 0 .*'!old_head'")
    ),
    "unused left out": case(styles.Unused, rules("ste", 8, 8, left_out="old_head")),
    "checked": case(styles.Checked, STE8),
    "checkpointed": case(styles.Checkpointed, STE8),
    "lazy": case(styles.lazy, LSQ4),
    "data parallel": case(
        styles.data_parallel, STE8, refused=("export", "DataParallel given.*; net.module has")
    ),
    "auxiliary": case(styles.Auxiliary, STE8),
    "tuple": case(styles.TwoOutputs, STE8, refused=("export", "several outputs")),
    "named tuple": case(
        partial(styles.TwoOutputs, "named"), STE8, refused=("export", "several outputs")
    ),
    "list": case(partial(styles.TwoOutputs, "list"), STE8, refused=("export", "several outputs")),
    "dict": case(partial(styles.TwoOutputs, "dict"), STE8, refused=("export", "several outputs")),
    "dict of one": case(
        styles.OneOfADict, STE8, refused=("export", "that returns a dict given, a tensor")
    ),
    "conditional": case(
        styles.Conditional, STE8, refused=("export", "styles.py.*flow\\), nor on an example$")
    ),
    "random depth": case(
        styles.RandomDepth, STE8, refused=("export", "RandomDepth: .*draws random numbers")
    ),
    "second input": case(styles.TwoImages, STE8),
}
TABLES: Table = {
    "mlp": case(tables.Mlp, LSQ4, ROW),
    "binary classifier": case(tables.BinaryClassifier, STE8, ROW),
    "regression": case(tables.Regression, STE8, ROW),
    "wide and deep": case(tables.WideAndDeep, LSQ8, ROW),
    "columns": case(tables.Columns, STE8, ROW),
    "cross network": case(tables.CrossNetwork, STE8, ROW),
    "residual mlp": case(tables.ResidualMlp, LSQ_OFFSETS, ROW),
    "self-normalizing": case(tables.self_normalizing, STE8, ROW),
    "embeddings": case(
        tables.WithEmbeddings,
        STE_ALL,
        CODES,
        refused=("export", "long has no .*; features of zeros"),
    ),
    "feature gates": case(tables.FeatureGates, STE8, ROW, refused=("export", "Softmax has no")),
}
SEQUENCES: Table = {
    "ecg": case(sequences.Ecg, STE8, ROW),
    "ecg as image": case(sequences.EcgAsImage, LSQ4, SIGNAL),
    "text": case(
        sequences.TextCnn, STE8, CODES, refused=("export", "long has no .*; features of zeros")
    ),
    "lstm": case(sequences.Lstm, STE_ALL, ROW, refused=("export", "layer 'lstm': LSTM has no")),
    "gru cells": case(
        sequences.GruCells, STE_ALL, ROW, refused=("export", "layer 'cell': GRUCell has no")
    ),
    "elman by hand": case(sequences.ElmanByHand, STE8, ROW),
    "attention": case(
        sequences.Attention, WEIGHTS, ROW, refused=("export", "layer 'attention': Multihead")
    ),
    "transformer": case(sequences.Transformer, WEIGHTS, ROW, refused=("export", "encoder")),
    "self-attention": case(sequences.SelfAttention, STE8, ROW, refused=("export", "matmul")),
}
CASES: Table = {
    **TUTORIALS,
    **BRANCHES,
    **CONVOLUTIONS,
    **NORMALIZATIONS,
    **ACTIVATIONS,
    **POOLINGS,
    **SHAPES,
    **CONSTANTS,
    **STYLES,
    **TABLES,
    **SEQUENCES,
}
# Those that run each time.
QUICK = frozenset(
    ("keras", "resnet", "squeeze and excitation", "normalized", "mlp", "convnext", "weight norm")
)
