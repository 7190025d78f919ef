"""Captions fit for print: what is drawn and how to read it, of which samples, network and data, by which rules.

Sentences come from the docstrings of the figures, less those about the screen; a reader of the paper has no cursor.
"""

import math
import re

from interdash.figures.catalogue import Panels
from interdash.figures.chart import Drawing
from interdash.figures.choice import Choice
from interdash.masking.kinds import MASKED
from interdash.queries.asking import Ask
from interdash.runs.run import Run

SCREEN = re.compile(  # words of sentences that are true on the screen only
    r"\b(click\w*|pinned|cursor|mouse|hover\w*|slider|play button|browser|(this|the) page|the lists below"
    r"|on a log axis|NaN|noise floor is measured|with an interaction chosen|in brackets the)\b",
    re.IGNORECASE,
)
NETWORKS = {"lenet": "LeNet-5", "vgg": "a small VGG", "resnet8": "ResNet-8", "mlp": "a perceptron of one hidden layer",
            "mlp-5x100": "a five-layer perceptron", "word-convolution": "a convolution over words",
            "gpt": "a causal language model of one layer"}  # fmt: skip
DATA = {"mnist": "MNIST", "fashion": "Fashion-MNIST", "census": "Census Income", "movies": "movie reviews",
        "scipy": "questions about SciPy's documentation",
        "digits": "8 × 8 digits"}  # fmt: skip
_BANDS = re.compile(r"95 ?%|\b(ribbons?|bands?|dashed|dotted|plain|diamonds?|large dot|rings?)\b", re.IGNORECASE)
_LEGEND = re.compile(
    r"95 ?%|\b(ribbons?|bands?|dashed|dotted|plain|framed|thin|thick|diamonds?|circles?|squares?|triangle|cross\w*"
    r"|rings?|dots?|arrow\w*|filled|open|bars?|tick|markers?|points?|axis|above|below|left|right|row|bright|cell|numbered|pale)\b",
    re.IGNORECASE,
)
_GREYS = {"blue": "dark", "vermillion": "light", "green": "grey", "orange": "grey"}


EVERY_TERM = "salient, generalizable, H"
WITHOUT_G = "No baseline network was trained: nothing is drawn in parts that generalize and parts that do not."


def caption(
    ask: Ask,
    drawing: Drawing | Panels,
    choice: Choice,
    *,
    grey: bool = False,
    terms: str | None = "",
    is_short: bool = False,
) -> str:
    """Returns the caption of a figure in a paper: its words, in short those of each panel, and the setting once.

    Args:
        ask: about the run.
        drawing: what is drawn.
        choice: what it is about.
        grey: whether it is printed without colour.
        terms: those that are defined beside the ones it names; None = an earlier caption has setting and terms.
        is_short: whether it says what is drawn and not how to judge it: for a column; those of panels say even less.
    """
    if isinstance(drawing, Panels):
        parts = [part for _, part in drawing.each]
        text = " ".join(f"({letter}) {words(part, _BANDS)}" for letter, part in drawing.each)
    else:
        parts, text = [drawing], words(drawing, _LEGEND if is_short else None)
    text = (
        re.sub(r"(?<=\d) %", "%", text).replace("hatched", "framed").replace("*", "")
    )  # see `ink.pale_bars`; emphasis of the screen
    if grey:
        text = re.sub(rf"\b({'|'.join(_GREYS)})\b", lambda colour: _GREYS[colour[1]], text)
    unknown = any(not part.with_g and part.chart.words() != part.chart.words(with_g=False) for part in parts)
    note = f" {WITHOUT_G}" if unknown else ""
    whose = next(filter(None, (part.chart.whose(ask, choice) for part in parts)), "")
    rule = any(part.chart.says_rule for part in parts)
    if terms is None:
        return f"{text}{note} Explained: {whose}." if whose else f"{text}{note}"
    terms = terms and (terms if parts[0].with_g else "salient")
    text = f"{text}{note} {setting(ask, whose)} {_definitions(ask.run, text + terms)}"
    return " ".join(f"{text} {_rule(ask.run) if rule else ''}".split())


def setting(ask: Ask, whose: str) -> str:
    """Returns network, data and, unless it is "", how many samples are explained, and how."""
    config = ask.run.config
    if config.data.dataset == "user":
        what = f"Network and data: {config.purpose.rstrip('.')}"
    else:
        network = NETWORKS.get(config.network.architecture, config.network.architecture)
        what = f"Network and data: {network}, trained on {config.data.n_train} samples of "
        what += DATA.get(config.data.dataset, config.data.dataset)
        what += f", {config.data.label_noise:.0%} of their labels random" if config.data.label_noise else ""
    explained = f"; explained: {whose}," if whose else "; explained"
    masked = MASKED[config.masking.baseline]
    return f"{what}{explained} by {config.masking.n_variables} variables each, masked to {masked}."


def inches(text: str, width: float) -> float:
    """Returns how high a caption is, of 10 points in lines of so many inches, roughly and rather too high."""
    return math.ceil(4.7 * len(text) / (72 * width)) * 12 / 72 + 0.4


def words(drawing: Drawing, kept: re.Pattern[str] | None = None) -> str:
    """Returns caption, choice and "how to read" of a chart, less the sentences about the screen.

    `kept`: of "how to read" only the sentences in which this is found: `_LEGEND` says what is drawn, `_BANDS` less.
    """
    how = drawing.how_to_read
    how = re.sub("^[a-z](?=[a-z ])", lambda letter: letter[0].upper(), how)
    sentences = re.split(r"(?<=[.?!]) +(?=[A-ZΣρστ|\d])", how)
    in_print = [each for each in sentences if each and not SCREEN.search(each)]
    return " ".join([drawing.caption, *(each for each in in_print if kept is None or kept.search(each))])


def _definitions(run: Run, words: str) -> str:
    """Returns what salient, generalizable and H mean in the run, of those that the words name."""
    rules = run.config.generalization
    if rules.tau_rule == "mean_output":
        tau = f"τ = {rules.tau_factor:g} times the mean over samples of |v(x) − v(x_∅)|"
    else:
        tau = f"τ = {rules.tau_factor:g} times the strongest interaction of the sample"
    several = rules.baselines > 1
    where = "in a baseline network" if several else "in the baseline network"
    means = f"; strengths and H are means over {rules.baselines} of them" if several else ""
    sign = "and of the same sign " if rules.sign_test else ""
    return " ".join(
        text
        for pattern, text in (
            (r"salient|generaliz|τ|\bH\b", f"Salient: strength |I| of at least {tau}, at each epoch."),
            (
                r"generaliz|\bH\b",
                f"Generalizable: salient {sign}{where} too, trained on the testing split alone{means}.",
            ),
            (r"\bH\b", "H: share of the salient strength that is generalizable."),
        )
        if re.search(pattern, words)
    )


def _rule(run: Run) -> str:
    split = run.config.split
    ties = "low" if split.tie_break > 0 else "high"
    preferred = f", ties broken in favour of {ties} orders (ε = {split.tie_break:g})" if split.tie_break else ""
    return f"AND–OR split: sparsest, κ = {split.kappa:g}{preferred}."
