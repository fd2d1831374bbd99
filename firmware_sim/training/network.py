"""The network of cairn-tiny: a small anchor-free detector that answers in the raw YOLOX layout.

In: [1, 3, H, W] float32, BGR 0..255. Out: [1, N, 5 + classes], N over the strides 8 and 16, rows before columns;
each row is centre offsets in strides, log sides in strides, objectness and class scores (both after sigmoid).
Plain convolutions with ReLU: on one CPU core they run faster than the depthwise ones of larger designs.
"""

# mypy: allow-subclassing-any, allow-untyped-calls, disable-error-code="import-not-found, no-any-return"

import torch
from torch import Tensor, nn

STRIDES = (8, 16)
_WIDTHS = (12, 24, 32, 40, 56)  # channels at strides 2, 4, 8, 16, 32
_HEAD = 32


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, width: int, kernel: int = 3, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width, kernel, groups=groups), _conv(width, width, 1))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class TinyDetector(nn.Module):
    """Backbone to stride 32, top-down sums, one head shared by both strides."""

    def __init__(self, classes: int) -> None:
        """Build with random weights; ``classes`` is the number of classes."""
        super().__init__()
        first, second, third, fourth, fifth = _WIDTHS
        self.to_8 = nn.Sequential(
            _conv(3, first, stride=2), _conv(first, second, stride=2), _conv(second, third, stride=2), _Residual(third)
        )
        self.to_16 = nn.Sequential(_conv(third, fourth, stride=2), _Residual(fourth, groups=fourth))
        self.to_32 = nn.Sequential(
            _conv(fourth, fourth, stride=2, groups=fourth),
            _conv(fourth, fifth, 1),
            _Residual(fifth, 7, groups=fifth),  # sees a car from end to end
        )
        self.from_8, self.from_16, self.from_32 = (nn.Conv2d(width, _HEAD, 1) for width in (third, fourth, fifth))
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Sequential(_conv(_HEAD, _HEAD), _conv(_HEAD, _HEAD, 3))
        self.boxes = nn.Conv2d(_HEAD, 4, 1)
        self.scores = nn.Conv2d(_HEAD, 1 + classes, 1)
        nn.init.constant_(self.scores.bias, -4.0)  # at first nothing is anywhere: keeps the first steps calm

    def forward(self, pixels: Tensor) -> Tensor:
        """Return [batch, N, 5 + classes]; scores are logits while training, probabilities in eval mode."""
        at_8 = self.to_8(pixels * (1 / 128) - 1)
        at_16 = self.to_16(at_8)
        top_16 = self.from_16(at_16) + self.grow(self.from_32(self.to_32(at_16)))
        top_8 = self.from_8(at_8) + self.grow(top_16)
        rows = []
        for features in (top_8, top_16):
            head = self.head(features)
            scores = self.scores(head)
            if not self.training:
                scores = torch.sigmoid(scores)
            rows.append(torch.cat([self.boxes(head), scores], 1).flatten(2))
        return torch.cat(rows, 2).transpose(1, 2)
