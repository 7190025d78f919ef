"""The built-in runs, as plain configuration: `PRESETS[name].config`.

Seen with these seeds (target alone; losses in nats):

| preset | best test loss, at epoch | gap test − training loss at the end |
|---|---|---|
| mnist | 0.30, 20 | +0.62 |
| fashion | 0.53, 28 | +0.66 |
| fashion-vgg | 0.53, 20 | +0.97 |
| fashion-resnet | 0.54, 28 | +0.61 |
| census | 0.35, 10 | +1.57 |
| movies | 0.48, 3 | +1.07 |
| digits | 0.35, 25 | +0.45 |
| sft | 0.92, step 128 | +1.23 |
"""

from dataclasses import dataclass, replace

from interdash.config import DataConfig, MaskingConfig, NetworkConfig, RunConfig, TrainingConfig

_IMAGES = MaskingConfig(kind="image", n_variables=10, layout="central", patch=4, baseline="mean")
_ADAM = TrainingConfig(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=60)

MNIST = RunConfig(
    name="mnist",
    purpose="The demo: LeNet-5 on 1,000 handwritten digits, one label in ten drawn at random; it overfits.",
    data=DataConfig("mnist", n_train=1000, n_test=1000, label_noise=0.1),
    network=NetworkConfig("lenet"),
    masking=replace(_IMAGES, samples_per_split=100),
    training=TrainingConfig(optimizer="sgd", learning_rate=0.01, momentum=0.9, batch_size=32, epochs=64),
)

FASHION = RunConfig(
    name="fashion",
    purpose="LeNet-5 on 1,000 images of clothes with clean labels; it overfits late.",
    data=DataConfig("fashion", n_train=1000, n_test=1000),
    network=NetworkConfig("lenet"),
    masking=_IMAGES,
    training=_ADAM,
)

FASHION_VGG = replace(
    FASHION,
    name="fashion-vgg",
    purpose="As fashion, with a small VGG: another architecture on the same data.",
    network=NetworkConfig("vgg"),
)

FASHION_RESNET = replace(
    FASHION,
    name="fashion-resnet",
    purpose="As fashion, with ResNet-8: residual connections on the same data.",
    network=NetworkConfig("resnet8"),
)

CENSUS = RunConfig(
    name="census",
    purpose="A five-layer perceptron on 1,000 census rows with 12 columns, each one a variable; it overfits early.",
    data=DataConfig("census", n_train=1000, n_test=4000),
    network=NetworkConfig("mlp-5x100"),
    masking=MaskingConfig(kind="table", n_variables=12, baseline="mean"),
    training=replace(_ADAM, batch_size=128),
)

MOVIES = RunConfig(
    name="movies",
    purpose="A convolution over words on 5,000 sentences of movie reviews; the variables are ten words.",
    data=DataConfig("movies", n_train=5000, n_test=5000),
    network=NetworkConfig("word-convolution"),
    masking=MaskingConfig(kind="text", n_variables=10, baseline="token"),
    training=replace(_ADAM, epochs=16),
)

SFT = RunConfig(
    name="sft",
    purpose="A small language model (transformers), fine-tuned by step to name the part of SciPy a sentence is of.",
    data=DataConfig("scipy", n_train=500, n_test=500, label_noise=0.1),
    network=NetworkConfig("gpt"),
    masking=MaskingConfig(kind="text", n_variables=8, baseline="token"),
    training=replace(
        _ADAM, unit="step", epochs=400, checkpoints=(0, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 200, 256, 320, 400)
    ),
)

DIGITS = RunConfig(
    name="digits",
    purpose="The tests' run: a perceptron on 300 tiny digits with one random label in ten, trained within a second.",
    data=DataConfig("digits", n_train=300, n_test=300, label_noise=0.1),
    network=NetworkConfig("mlp"),
    masking=MaskingConfig(kind="image", n_variables=8, layout="whole", baseline="mean", samples_per_split=20),
    training=TrainingConfig(optimizer="sgd", learning_rate=0.05, momentum=0.9, batch_size=32, epochs=40),
)


@dataclass(frozen=True)
class Preset:
    """A built-in run."""

    config: RunConfig
    seconds: int  # processor time to train the target once, on one busy core


_SECONDS = (
    *((MNIST, 12), (FASHION, 11), (FASHION_VGG, 50), (FASHION_RESNET, 85)),
    *((CENSUS, 2), (MOVIES, 20), (SFT, 40), (DIGITS, 1)),
)
PRESETS = {config.name: Preset(config, seconds) for config, seconds in _SECONDS}
