"""Convolutions of all kinds. Shapes: N images of 3 x 16 x 16."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


class SeparableConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, padding=1):
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Xception(nn.Module):
    """Separable, nothing between the two halves."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2)
        self.bn1 = nn.BatchNorm2d(8)
        self.sep = SeparableConv2d(8, 12)
        self.bn2 = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.sep(x)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).view(x.size(0), -1))


def conv_bn(inp, oup, stride):
    return nn.Sequential(
        nn.Conv2d(inp, oup, 3, stride, 1, bias=False), nn.BatchNorm2d(oup), nn.ReLU6(inplace=True)
    )


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio):
        super().__init__()
        hidden_dim = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden_dim, 1, 1, 0, bias=False),
            nn.BatchNorm2d(hidden_dim),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden_dim, hidden_dim, 3, stride, 1, groups=hidden_dim, bias=False),
            nn.BatchNorm2d(hidden_dim),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden_dim, oup, 1, 1, 0, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x):
        if self.use_res_connect:
            return x + self.conv(x)
        return self.conv(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, 2), InvertedResidual(8, 8, 1, 2), InvertedResidual(8, 12, 2, 2)
        )
        self.classifier = nn.Linear(12, 4)

    def forward(self, x):
        x = self.features(x)
        x = x.mean(3).mean(2)
        return self.classifier(x)


def channel_shuffle(x, groups):
    batchsize, num_channels, height, width = x.data.size()
    channels_per_group = num_channels // groups
    x = x.view(batchsize, groups, channels_per_group, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batchsize, -1, height, width)


class ShuffleNet(nn.Module):
    """Half of the channels goes around; then they are mixed."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(True))
        self.branch2 = nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        x1, x2 = x.chunk(2, dim=1)
        out = torch.cat((x1, self.branch2(x2)), dim=1)
        out = channel_shuffle(out, 2)
        return self.fc(out.mean([2, 3]))


class Dilated(nn.Module):
    """Context at growing distances, added up."""

    def __init__(self, dilations=(1, 2, 4)):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.aspp = nn.ModuleList(
            [nn.Conv2d(8, 6, 3, padding=d, dilation=d, bias=False) for d in dilations]
        )
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = sum(conv(x) for conv in self.aspp)
        x = F.relu(self.bn(x))
        return self.fc(x.mean((2, 3)))


def asymmetric():
    """Kernels, strides and paddings of two numbers; groups."""
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=(5, 3), stride=(2, 1), padding=(2, 0)),
        nn.ReLU(),
        nn.Conv2d(8, 12, (1, 7), padding=(0, 3), groups=4),
        nn.ReLU(),
        nn.Conv2d(12, 8, (3, 1), (1, 2), dilation=(2, 1), groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 7, 4),
    )


class Padded(nn.Module):
    """As TensorFlow pads: more on one side."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 8, 3, stride=2)
        self.fc = nn.Linear(8 * 16, 4)

    def forward(self, x):
        x = F.relu(self.conv1(self.pad(x)))
        x = F.pad(x, [0, 1, 0, 1])
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


def reflected():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 256, 4),
    )  # fmt: skip


class Ghost(nn.Module):
    """Half of the features are made of the other half, by a depthwise convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.primary_conv = nn.Sequential(nn.Conv2d(8, 6, 1, bias=False), nn.ReLU(inplace=True))
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(6, 6, 3, 1, 1, groups=6, bias=False), nn.ReLU(inplace=True)
        )
        self.oup = 10
        self.fc = nn.Linear(10, 4)

    def forward(self, x):
        x = self.stem(x).relu_()
        x1 = self.primary_conv(x)
        x2 = self.cheap_operation(x1)
        out = torch.cat([x1, x2], dim=1)
        out = out[:, : self.oup, :, :]
        return self.fc(out.mean([2, 3], keepdim=True).flatten(1))


class WithWeightNorm(nn.Module):
    def __init__(self, norm=weight_norm):
        super().__init__()
        self.features = nn.Sequential(norm(nn.Conv2d(3, 8, 3)), nn.ReLU())
        self.fc = nn.Linear(8 * 14 * 14, 4)

    def forward(self, x):
        return self.fc(torch.flatten(self.features(x), 1))


def with_spectral_norm():
    return WithWeightNorm(norm=spectral_norm)


def pruned():
    net = asymmetric()
    prune.l1_unstructured(net[2], name="weight", amount=0.5)
    return net


def pruned_for_good():
    net = asymmetric()
    prune.l1_unstructured(net[2], name="weight", amount=0.5)
    prune.remove(net[2], "weight")
    return net


class StandardizedConv2d(nn.Conv2d):
    """A convolution with a forward pass of its own."""

    def forward(self, x):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def standardized():
    return nn.Sequential(
        StandardizedConv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 4)
    )
