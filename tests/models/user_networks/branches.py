"""Networks whose data flows on several ways. Shapes: N images of 3 x 16 x 16."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv3x3(in_planes, out_planes, stride=1):
    return nn.Conv2d(in_planes, out_planes, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """One ReLU, in place, for both places; `out += identity`."""

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block=BasicBlock, layers=(1, 1), num_classes=4):
        super().__init__()
        self.inplanes = 8
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 8, layers[0])
        self.layer2 = self._make_layer(block, 12, layers[1], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(12 * block.expansion, num_classes)

    def _make_layer(self, block, planes, blocks, stride=1):
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(planes),
            )
        layers = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes * block.expansion
        layers += [block(self.inplanes, planes) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.fc(x)


class LambdaLayer(nn.Module):
    def __init__(self, lambd):
        super().__init__()
        self.lambd = lambd

    def forward(self, x):
        return self.lambd(x)


class OptionA(nn.Module):
    """A shortcut without parameters: every other pixel, channels of zeros."""

    def __init__(self, planes=12):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv1 = nn.Conv2d(8, planes, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = LambdaLayer(
            lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)
        )
        self.linear = nn.Linear(planes, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        out = F.relu(out)
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


class PreActivation(nn.Module):
    """Batch norm and ReLU before each convolution."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1, self.bn2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.conv1 = conv3x3(8, 8)
        self.conv2 = conv3x3(8, 8)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv0(x)
        out = F.relu(self.bn1(x))
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out = F.relu(self.bn(out + x))
        return self.fc(F.adaptive_avg_pool2d(out, 1).flatten(1))


class BasicConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four ways, of kernels 1, 1 x 5 and 5 x 1, two 3 and a pool."""

    def __init__(self):
        super().__init__()
        self.stem = BasicConv2d(3, 8, kernel_size=3, stride=2)
        self.branch1x1 = BasicConv2d(8, 4, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(8, 4, kernel_size=(1, 5), padding=(0, 2))
        self.branch5x5_2 = BasicConv2d(4, 4, kernel_size=(5, 1), padding=(2, 0))
        self.branch3x3_1 = BasicConv2d(8, 4, kernel_size=3, padding=1)
        self.branch3x3_2 = BasicConv2d(4, 4, kernel_size=3, padding=1)
        self.branch_pool = BasicConv2d(8, 4, kernel_size=1)
        self.fc = nn.Linear(16, 4)

    def _forward(self, x):
        branch1x1 = self.branch1x1(x)
        branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
        branch3x3 = self.branch3x3_2(self.branch3x3_1(x))
        branch_pool = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        branch_pool = self.branch_pool(branch_pool)
        return [branch1x1, branch5x5, branch3x3, branch_pool]

    def forward(self, x):
        outputs = torch.cat(self._forward(self.stem(x)), 1)
        return self.fc(outputs.mean([2, 3]))


class DenseLayer(nn.Sequential):
    """A Sequential that keeps what it was given."""

    def __init__(self, num_input_features, growth_rate):
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(num_input_features))
        self.add_module("relu1", nn.ReLU(inplace=True))
        self.add_module("conv1", nn.Conv2d(num_input_features, growth_rate, 3, padding=1))

    def forward(self, x):
        new_features = super().forward(x)
        return torch.cat([x, new_features], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = nn.Sequential(DenseLayer(8, 4), DenseLayer(12, 4))
        self.norm = nn.BatchNorm2d(16)
        self.trans = nn.Conv2d(16, 8, 1)
        self.classifier = nn.Linear(8 * 4 * 4, 4)

    def forward(self, x):
        features = self.block(F.relu(self.conv0(x)))
        out = F.avg_pool2d(self.trans(F.relu(self.norm(features), inplace=True)), 2)
        return self.classifier(torch.flatten(out, 1))


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.se = SELayer(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.se(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


def double_conv(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """A class for each pixel; the way up by nearest neighbors."""

    def __init__(self, n_class=4, upsample=None):
        super().__init__()
        self.dconv_down1 = double_conv(3, 8)
        self.dconv_down2 = double_conv(8, 12)
        self.maxpool = nn.MaxPool2d(2)
        self.upsample = upsample or nn.Upsample(scale_factor=2)
        self.dconv_up1 = double_conv(8 + 12, 8)
        self.conv_last = nn.Conv2d(8, n_class, 1)

    def forward(self, x):
        conv1 = self.dconv_down1(x)
        x = self.maxpool(conv1)
        x = self.dconv_down2(x)
        x = self.upsample(x)
        x = torch.cat([x, conv1], dim=1)
        x = self.dconv_up1(x)
        return self.conv_last(x)


def bilinear_unet():
    return UNet(upsample=nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))


def transposed_unet():
    return UNet(upsample=nn.ConvTranspose2d(12, 12, 2, stride=2))


class TwoHeads(nn.Module):
    """Merged again before the scores."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2)
        self.color = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1))
        self.shape = nn.Sequential(nn.Conv2d(8, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.out = nn.Linear(4 + 6, 4)

    def forward(self, x):
        x = F.relu(self.body(x))
        heads = [head(x).view(x.size(0), -1) for head in (self.color, self.shape)]
        return self.out(torch.cat(heads, dim=-1))


class Pyramid(nn.Module):
    """Sums of sizes; one convolution at both."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 8, 3, padding=1, stride=2)
        self.lateral = nn.Conv2d(8, 6, 1)
        self.smooth = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def _upsample_add(self, x, y):
        return F.interpolate(x, scale_factor=2, mode="nearest") + y

    def forward(self, x):
        c1 = F.relu(self.c1(x))
        c2 = F.relu(self.c2(c1))
        p2 = self.lateral(c2)
        p1 = self._upsample_add(p2, self.lateral(c1))
        p1, p2 = self.smooth(p1).relu(), self.smooth(p2).relu()
        return self.head(p1.mean((2, 3)) + p2.mean((2, 3)))


class Siamese(nn.Module):
    """The same layers on the image and on a smaller one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(16, 4)

    def forward_once(self, x):
        return F.relu(self.conv(x)).mean(dim=[2, 3])

    def forward(self, x):
        whole = self.forward_once(x)
        part = self.forward_once(F.max_pool2d(x, 2))
        return self.head(torch.cat((whole, part), 1))


class Highway(nn.Module):
    """`t * h + (1 - t) * x`."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.h = nn.Conv2d(8, 8, 3, padding=1)
        self.t = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        h = F.relu(self.h(x))
        t = torch.sigmoid(self.t(x))
        x = t * h + (1 - t) * x
        return self.fc(x.mean(-1).mean(-1))


class StochasticDepth(nn.Module):
    """A residual is left out at random in training, scaled in evaluation."""

    def __init__(self, survival=0.8):
        super().__init__()
        self.survival = survival
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.residual = nn.Sequential(conv3x3(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv3x3(8, 8))
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        if self.training:
            if random.random() < self.survival:
                x = x + self.residual(x)
        else:
            x = x + self.survival * self.residual(x)
        return self.fc(torch.relu(x).mean(dim=(-2, -1)))


class DropPath(nn.Module):
    """Samples leave out a residual, each by itself."""

    def __init__(self, drop_prob=0.1):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        random_tensor = x.new_empty(shape).bernoulli_(keep_prob)
        return x.div(keep_prob) * random_tensor


class ReZero(nn.Module):
    """A learned number before each residual."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.convs = nn.ModuleList([conv3x3(8, 8) for _ in range(2)])
        self.alphas = nn.ParameterList([nn.Parameter(torch.full((1,), 0.1)) for _ in range(2)])
        self.drop_path = DropPath()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        for conv, alpha in zip(self.convs, self.alphas, strict=True):
            x = x + self.drop_path(alpha * F.relu(conv(x)))
        return self.fc(x.mean([-2, -1]))


class ChannelAndPlaces(nn.Module):
    """CBAM: the places' gate is made of the largest channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.gate = nn.Conv2d(2, 1, 7, padding=3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        pooled = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
        x = x * torch.sigmoid(self.gate(pooled))
        return self.fc(x.mean((2, 3)))
