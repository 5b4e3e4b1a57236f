"""Networks as tutorials have them. Shapes: N images, of 1 x 28 x 28 or 3 x 32 x 32."""

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F


class Blitz(nn.Module):
    """A function counts the features."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.fc1 = nn.Linear(16 * 5 * 5, 32)
        self.fc2 = nn.Linear(32, 24)
        self.fc3 = nn.Linear(24, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


class Cifar(nn.Module):
    """One pooling layer for all, `torch.flatten(x, 1)`."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 24)
        self.fc2 = nn.Linear(24, 16)
        self.fc3 = nn.Linear(16, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)  # all dimensions but the batch
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class Mnist(nn.Module):
    """Dropout as modules, log_softmax at the end."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(1152, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


class OldMnist(nn.Module):
    """Pooling before ReLU, Dropout2d, F.dropout, `view(-1, 320)`."""

    def __init__(self):
        super(OldMnist, self).__init__()  # noqa: UP008
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 20)
        self.fc2 = nn.Linear(20, 4)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        x = self.fc2(x)
        return F.log_softmax(x, -1)


class Quickstart(nn.Module):
    """nn.Flatten and a stack."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
        )

    def forward(self, x):
        x = self.flatten(x)
        return self.linear_relu_stack(x)


def from_keras():
    """As converters write it: names of layers, 'same' padding, channels last before the dense."""

    class ChannelsLast(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1).contiguous()

    return nn.Sequential(
        OrderedDict(
            [
                ("conv2d", nn.Conv2d(1, 8, (3, 3), padding="same")),
                ("re_lu", nn.ReLU()),
                ("max_pooling2d", nn.MaxPool2d((2, 2))),
                ("conv2d_1", nn.Conv2d(8, 8, (3, 3), padding="valid")),
                ("re_lu_1", nn.ReLU()),
                ("max_pooling2d_1", nn.MaxPool2d((2, 2))),
                ("to_channels_last", ChannelsLast()),
                ("flatten", nn.Flatten()),
                ("dropout", nn.Dropout(0.5)),
                ("dense", nn.Linear(288, 4)),
                ("softmax", nn.Softmax(dim=-1)),
            ]
        )
    )


class LeCun(nn.Module):
    """Tanh, average pooling and sigmoid, of 1998."""

    def __init__(self):
        super().__init__()
        self.feature_extractor = nn.Sequential(
            nn.Conv2d(in_channels=1, out_channels=6, kernel_size=5, stride=1, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(kernel_size=2),
            nn.Conv2d(in_channels=6, out_channels=16, kernel_size=5, stride=1),
            nn.Tanh(),
            nn.AvgPool2d(kernel_size=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(in_features=400, out_features=32), nn.Sigmoid(), nn.Linear(32, 4)
        )

    def forward(self, x):
        x = self.feature_extractor(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


class SmallAlexNet(nn.Module):
    def __init__(self, num_classes: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(8, 16, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(16 * 2 * 2, 16),
            nn.ReLU(inplace=True),
            nn.Linear(16, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


cfg = {"tiny": [8, "M", 8, 8, "M"]}


class VGG(nn.Module):
    """A list of numbers makes the layers."""

    def __init__(self, vgg_name="tiny"):
        super().__init__()
        self.features = self._make_layers(cfg[vgg_name])
        self.classifier = nn.Linear(8 * 8 * 8, 4)

    def forward(self, x):
        out = self.features(x)
        out = out.view(out.size(0), -1)
        return self.classifier(out)

    def _make_layers(self, cfg):
        layers = []
        in_channels = 3
        for x in cfg:
            if x == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [
                    nn.Conv2d(in_channels, x, kernel_size=3, padding=1),
                    nn.BatchNorm2d(x),
                    nn.ReLU(inplace=True),
                ]
                in_channels = x
        layers += [nn.AvgPool2d(kernel_size=1, stride=1)]
        return nn.Sequential(*layers)


def nin_block(in_channels, out_channels, kernel_size, strides, padding):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, strides, padding),
        nn.ReLU(), nn.Conv2d(out_channels, out_channels, kernel_size=1),
        nn.ReLU(), nn.Conv2d(out_channels, out_channels, kernel_size=1), nn.ReLU(),
    )  # fmt: skip


def network_in_network():
    return nn.Sequential(
        nin_block(1, 8, kernel_size=5, strides=2, padding=0),
        nn.MaxPool2d(3, stride=2),
        nn.Dropout(0.5),
        nin_block(8, 4, kernel_size=3, strides=1, padding=1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


class Fire(nn.Module):
    def __init__(self, inplanes, squeeze_planes, expand1x1_planes, expand3x3_planes):
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [
                self.expand1x1_activation(self.expand1x1(x)),
                self.expand3x3_activation(self.expand3x3(x)),
            ],
            1,
        )


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(8, 4, 6, 6),
            Fire(12, 4, 6, 6),
        )
        final_conv = nn.Conv2d(12, 4, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=0.5), final_conv, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x):
        x = self.features(x)
        x = self.classifier(x)
        return torch.flatten(x, 1)


def by_add_module():
    """Homework: numbers in names, a ReLU for all."""
    model = nn.Sequential()
    relu = nn.ReLU()
    for i, (ins, outs) in enumerate([(1, 4), (4, 8)], start=1):
        model.add_module(f"conv{i}", nn.Conv2d(ins, outs, 3, stride=2))
        model.add_module(f"bn{i}", nn.BatchNorm2d(outs))
        model.add_module(f"relu{i}", relu)
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(288, 4))
    return model


class AllConvolutional(nn.Module):
    """No pooling; the mean over places by `mean([2, 3])`."""

    def __init__(self, input_size=3, n_classes=4, **kwargs):
        super(AllConvolutional, self).__init__()  # noqa: UP008
        self.conv1 = nn.Conv2d(input_size, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, stride=2)
        self.conv3 = nn.Conv2d(8, 12, 3, padding=1, stride=2)
        self.class_conv = nn.Conv2d(12, n_classes, 1)

    def forward(self, x):
        x_drop = F.dropout(x, 0.2, self.training)
        conv1_out = F.relu(self.conv1(x_drop))
        conv2_out = F.relu(self.conv2(conv1_out))
        conv2_out_drop = F.dropout(conv2_out, 0.5, self.training)
        conv3_out = F.relu(self.conv3(conv2_out_drop))
        class_out = F.relu(self.class_conv(conv3_out))
        return class_out.mean([2, 3])
