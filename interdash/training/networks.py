"""The small networks of the built-in runs. Every one maps a batch of inputs to class logits `[B, C]`.

None has dropout or batch normalisation: the output for a sample depends on that sample alone, and is the same in
training and evaluation, so masked inputs cannot disturb each other and the recorded losses are those of one function.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from interdash.training.spec import Spec

PAD = 0  # the token id of padding
EMBEDDING_STD = 0.1  # with the default, 1, two networks read the words by their random embeddings and share little


def mlp(spec: Spec) -> nn.Module:
    """Returns a perceptron with two hidden layers of 64 units, for images."""
    inputs, classes = math.prod(spec.train_inputs.shape[1:]), len(spec.class_names)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, classes)
    )


def mlp_5x100(spec: Spec) -> nn.Module:
    """Returns a perceptron with five hidden layers of 100 units, for tables."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(spec.train_inputs.shape[1:])
    for _ in range(5):
        layers += [nn.Linear(width, 100), nn.ReLU()]
        width = 100
    return nn.Sequential(*layers, nn.Linear(width, len(spec.class_names)))


def _image_shape(spec: Spec, architecture: str, multiple_of: int, at_least: int) -> tuple[int, int, int]:
    """Returns channels, height and width of the images.

    Raises:
        ValueError: the inputs are no images, or their sides do not fit the architecture.
    """
    shape = tuple(spec.train_inputs.shape[1:])
    if len(shape) != 3 or any(side % multiple_of or side < at_least for side in shape[1:]):
        raise ValueError(
            f"{architecture} needs images [channels, height, width] with sides divisible by {multiple_of} and at least "
            f"{at_least} pixels; the inputs have shape {list(shape)}: choose another architecture"
        )
    return shape[0], shape[1], shape[2]


def lenet(spec: Spec) -> nn.Module:
    """Returns LeNet-5 with ReLU and max pooling."""
    channels, height, width = _image_shape(spec, "lenet", multiple_of=4, at_least=12)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4 - 2) * (width // 4 - 2), 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, len(spec.class_names)),
    )


def vgg(spec: Spec) -> nn.Module:
    """Returns a small VGG: three blocks of 3×3 convolutions (16; 32; 64, 64 channels), then one hidden layer."""
    channels, height, width = _image_shape(spec, "vgg", multiple_of=4, at_least=8)
    layers: list[nn.Module] = []
    for out, pool in ((16, True), (32, True), (64, False), (64, True)):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        if pool:
            layers.append(nn.MaxPool2d(2))
        channels = out
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * (height // 8) * (width // 8), 128),
        nn.ReLU(),
        nn.Linear(128, len(spec.class_names)),
    )


class ResidualBlock(nn.Module):
    """Two normalised 3×3 convolutions beside a shortcut; halves the sides if the channels change."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        stride = 1 if channels == out else 2
        self.branch = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
            nn.GroupNorm(4, out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.GroupNorm(4, out),
        )
        self.shortcut = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1, stride, bias=False)
        self.relu = nn.ReLU()

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        return self.relu(self.branch(x) + self.shortcut(x))


def resnet8(spec: Spec) -> nn.Module:
    """Returns ResNet-8: one convolution, three residual blocks (16, 32, 64 channels), mean over the grid, one layer.

    Group normalisation (4 groups) in place of batch normalisation: it normalises within a sample, so it needs no
    running averages and a masked input is not normalised by its neighbours in the batch.
    """
    channels, _, _ = _image_shape(spec, "resnet8", multiple_of=4, at_least=8)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1, bias=False),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        ResidualBlock(16, 16),
        ResidualBlock(16, 32),
        ResidualBlock(32, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, len(spec.class_names)),
    )


class WordConvolution(nn.Module):
    """64 filters over three words each, the maximum of each over the sentence, one linear layer.

    A window counts if the word at its middle is one: the output does not depend on the padding.
    """

    def __init__(self, vocabulary: int, classes: int, width: int = 48, filters: int = 64) -> None:
        super().__init__()
        words = torch.randn(vocabulary, width) * EMBEDDING_STD
        words[PAD] = 0
        self.words = nn.Embedding(vocabulary, width, PAD, _weight=words)
        self.filters, self.head = nn.Conv1d(width, filters, 3, padding=1), nn.Linear(filters, classes)

    def forward(self, tokens: Int64[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        activations = self.filters(self.words(tokens).transpose(1, 2)).relu()  # [batch, filters, length]
        return self.head((activations * (tokens != PAD).unsqueeze(1)).amax(2))


def word_convolution(spec: Spec) -> nn.Module:
    """Returns a convolution over words, for texts: embeddings of width 48, 64 filters of three words."""
    vocabulary = int(spec.train_inputs.max()) + 1  # every word of it occurs in the training split
    return WordConvolution(vocabulary, len(spec.class_names))


ARCHITECTURES: dict[str, Callable[[Spec], nn.Module]] = {
    "mlp": mlp,
    "mlp-5x100": mlp_5x100,
    "lenet": lenet,
    "vgg": vgg,
    "resnet8": resnet8,
    "word-convolution": word_convolution,
}


def build(architecture: str, spec: Spec) -> nn.Module:
    """Returns an untrained network for the data of a spec.

    Raises:
        ValueError: the architecture is unknown or does not fit the data.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
    if (architecture == "word-convolution") == spec.train_inputs.is_floating_point():
        raise ValueError(
            f"{architecture} does not fit inputs of {spec.train_inputs.dtype}; choose another architecture"
        )
    return ARCHITECTURES[architecture](spec)
