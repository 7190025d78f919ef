"""The input variables of images, text and tables: which input elements are masked together, and to what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from interdash.formulas.subsets import check_n_variables
from interdash.masking.kinds import kind_of
from interdash.masking.several import Several, masked_input


@dataclass(frozen=True, eq=False)
class Variables:
    """The input variables of a run's samples and what replaces them when masked.

    Raises:
        ValueError: the kind is unknown, names and assignment disagree, n is above 20, or a variable owns no element.
    """

    kind: str  # a name of kinds.KINDS
    names: tuple[str, ...] | tuple[tuple[str, ...], ...]  # n names; text: n words for each sample
    assignment: Tensor  # int16 [*P] or [samples, *P]: variable of an input element; -1 = background, always visible
    baseline: Tensor  # broadcastable to one input: the values of masked elements, for text the mask token's id
    at: Literal["input", "first_activation"] = "input"  # first_activation: zero after the first ReLU-like module
    baseline_of_each: bool = False  # baseline is [samples, *input_shape]: every sample is masked to values of its own

    def __post_init__(self) -> None:
        n = check_n_variables(self.n_variables)
        rank = self.rank
        if self.assignment.ndim not in (rank, rank + 1):
            raise ValueError(
                f"assignment has shape {tuple(self.assignment.shape)}; "
                f"one sample's has {rank} axes for kind={self.kind!r}"
            )
        if self.at == "first_activation" and rank != 2:
            raise ValueError(f"at='first_activation' masks the feature maps of images; kind is {self.kind!r}")
        if self.baseline_of_each and not (self.per_sample and len(self.baseline) == len(self.assignment)):
            raise ValueError(
                f"the baseline of each sample has shape {tuple(self.baseline.shape)}, and the assignment "
                f"{tuple(self.assignment.shape)}; expected both to begin with the number of samples"
            )
        highest = int(self.assignment.max()) if self.assignment.numel() else -1
        if highest >= n:
            raise ValueError(f"n_variables is {n} (names), but assignment names variable {highest}; the two must agree")
        check_every_variable_owns(self.assignment.flatten(-rank), n, "input element")

    @property
    def rank(self) -> int:
        """Returns the number of axes of one sample's assignment."""
        return kind_of(self.kind).rank

    @property
    def n_variables(self) -> int:
        """Returns n."""
        return len(self.names[0]) if self.named_per_sample else len(self.names)

    @property
    def named_per_sample(self) -> bool:
        """Returns whether every sample has names of its own: the words of a text."""
        return bool(self.names) and isinstance(self.names[0], tuple)

    @property
    def per_sample(self) -> bool:
        """Returns whether every sample has an assignment of its own."""
        return self.assignment.ndim > self.rank

    def names_of(self, sample: int) -> tuple[str, ...]:
        """Returns the n names of one sample's variables."""
        return cast(tuple[str, ...], self.names[sample] if self.named_per_sample else self.names)

    def select(self, samples: Sequence[int]) -> "Variables":
        """Returns the variables of some samples only, in the order asked for."""
        return replace(
            self,
            names=tuple(self.names[i] for i in samples) if self.named_per_sample else self.names,
            assignment=self.assignment[list(samples)] if self.per_sample else self.assignment,
            baseline=self.baseline[list(samples)] if self.baseline_of_each else self.baseline,
        )


@dataclass(frozen=True, eq=False)
class Explained:
    """The samples that a run explains, the same for every epoch and network."""

    inputs: Tensor | Several  # [samples, *input_shape]
    labels: Tensor  # int64 [samples]: the label in v; for the training split the label trained on, noise included
    split: tuple[str, ...]  # "train" or "test"
    index: Tensor  # int64 [samples]: row in its split
    variables: Variables
    display: list[Any] = field(default_factory=list)  # for the dashboard; text: the words, table: {column: value}
    stratum: tuple[int, ...] = ()  # of its split, by the final loss, 0 the lowest; () = samples drawn at random
    true_label: tuple[int, ...] = ()  # without the noise of the training labels; () = not known

    def __len__(self) -> int:
        return len(self.inputs)


def check_every_variable_owns(assignment: Tensor, n: int, what: str) -> None:
    """Raises ValueError unless each of n variables owns an element of `[..., elements]`."""
    for i in range(n):
        owned = (assignment == i).any(-1)
        if not owned.all():
            where = f" in sample {int(owned.int().argmin())}" if assignment.ndim > 1 else ""
            raise ValueError(f"variable {i} owns no {what}{where}: give it one, or use fewer variables")


def baseline_values(rule: str, inputs: Tensor) -> Tensor:
    """Returns the baseline of one input: zeros, or the mean of the training split's `inputs` in each element.

    Raises:
        ValueError: the rule is unknown.
    """
    if rule == "zero":
        return torch.zeros_like(masked_input(inputs[0]))
    if rule == "mean":
        inputs = masked_input(inputs)
        mean = inputs.double().mean(0) if isinstance(inputs, Tensor) else inputs.mean()  # rows of a dataset
        return mean.to(inputs.dtype)
    raise ValueError(f"baseline rule {rule!r} is unknown; use 'zero' or 'mean', or give the values yourself")


def image_variables(
    height: int,
    width: int,
    *,
    n_variables: int = 10,
    patch: int = 4,
    layout: Literal["central", "whole"] = "central",
    seed: int = 0,
    baseline_image: Tensor | None = None,
    at: Literal["input", "first_activation"] = "input",
) -> Variables:
    """Returns image patches as variables, in reading order.

    `central`: n patches of a patch × patch grid without its outer ring, drawn once; the rest stays visible.
    `whole`: the whole image cut into n regions of about the same size. `baseline_image` None = zeros.
    Source: symbolic-dynamics (arXiv 2407.19198), experimental settings (central); the whole cut is ours.

    Raises:
        ValueError: the layout is unknown or has too few patches.
    """
    check_n_variables(n_variables)
    assignment = torch.full((height, width), -1, dtype=torch.int16)
    names = []
    if layout == "central":
        rows, columns = height // patch, width // patch
        top, left = (height - rows * patch) // 2, (width - columns * patch) // 2
        cells = [(r, c) for r in range(1, rows - 1) for c in range(1, columns - 1)]
        if len(cells) < n_variables:
            raise ValueError(
                f"the central part of a {height}×{width} image has {len(cells)} patches of {patch}×{patch}; "
                f"n_variables is {n_variables}: use a smaller patch, fewer variables or layout='whole'"
            )
        order = torch.randperm(len(cells), generator=torch.Generator().manual_seed(seed))[:n_variables]
        for i, (r, c) in enumerate(cells[k] for k in sorted(order.tolist())):
            y, x = top + r * patch, left + c * patch
            assignment[y : y + patch, x : x + patch] = i
            names.append(f"r{r}c{c}")
    elif layout == "whole":
        rows = min(max(1, round(math.sqrt(n_variables * height / width))), max(1, n_variables))
        for r in range(rows if n_variables else 0):
            columns = n_variables // rows + (r < n_variables % rows)
            for c in range(columns):
                ys = slice(height * r // rows, height * (r + 1) // rows)
                xs = slice(width * c // columns, width * (c + 1) // columns)
                assignment[ys, xs] = len(names)
                names.append(f"r{r}c{c}")
    else:
        raise ValueError(f"layout {layout!r} is unknown; use 'central' or 'whole'")
    baseline = torch.zeros(()) if baseline_image is None else baseline_image
    return Variables("image", tuple(names), assignment, baseline, at)


def text_variables(
    token_ids: Int64[Tensor, "samples length"],
    words: Sequence[Sequence[str]],
    *,
    n_variables: int = 10,
    mask_id: int | None,
    special_ids: Sequence[int] = (),
    stop_words: Sequence[str] = (),
    word_of_token: Int64[Tensor, "samples length"] | None = None,
    seed: int = 0,
) -> Variables:
    """Returns n words of each sample as variables, in reading order; everything else stays visible.

    The words are drawn once, among those that are neither stop words nor bare punctuation.

    Args:
        token_ids: the samples as the network reads them.
        words: the words of each sample.
        n_variables: words drawn from each sample.
        mask_id: the id of the mask or unknown token that replaces a masked word.
        special_ids: ids never masked, such as start, end and padding.
        stop_words: words never drawn, in lower case.
        word_of_token: the word (its number in `words`) of each token, −1 for none; None = token j is word j.
        seed: decides which words are drawn.

    Raises:
        ValueError: the mask id is missing, or a sample has fewer than n such words.
    """
    check_n_variables(n_variables)
    if mask_id is None or mask_id < 0:
        raise ValueError(f"the mask id is missing ({mask_id}): pass the id of the vocabulary's mask or unknown token")
    if len(words) != len(token_ids):
        raise ValueError(f"words are those of {len(words)} samples, token_ids of {len(token_ids)}")
    samples, length = token_ids.shape
    if word_of_token is None:
        word_of_token = torch.arange(length).expand(samples, length)
    special = torch.isin(token_ids, torch.tensor(list(special_ids), dtype=token_ids.dtype))
    assignment = torch.full((samples, length), -1, dtype=torch.int16)
    names = []
    generator = torch.Generator().manual_seed(seed)
    for s, sentence in enumerate(words):
        token_words = torch.where(special[s], -1, word_of_token[s])
        present = set(token_words.tolist())
        can_be_masked = [
            k
            for k, word in enumerate(sentence)
            if k in present and word.lower() not in stop_words and any(letter.isalnum() for letter in word)
        ]
        if len(can_be_masked) < n_variables:
            raise ValueError(
                f"sample {s} has {len(can_be_masked)} words that can be masked; n_variables is {n_variables}: "
                "choose longer samples or fewer variables"
            )
        order = torch.randperm(len(can_be_masked), generator=generator)[:n_variables].tolist()
        places = sorted(can_be_masked[k] for k in order)
        for i, k in enumerate(places):
            assignment[s, token_words == k] = i
        names.append(tuple(sentence[k] for k in places))
    return Variables("text", tuple(names), assignment, torch.tensor(mask_id))


def table_variables(column_of_feature: Sequence[int], names: Sequence[str], baseline_row: Tensor) -> Variables:
    """Returns table columns as variables; features of one column (its one-hot group) are masked together.

    Args:
        column_of_feature: the column (its number in `names`) of each input feature, −1 = always visible.
        names: the columns.
        baseline_row: the value of each feature when masked, e.g. the mean of the training split.
    """
    assignment = torch.tensor(column_of_feature, dtype=torch.int16)
    return Variables("table", tuple(names), assignment, baseline_row)


def series_variables(length: int, *, n_variables: int = 10, baseline: Tensor | None = None) -> Variables:
    """Returns n segments of a time series `[..., length]`, of about the same length, as variables.

    Args:
        length: steps of time, the last axis of an input.
        n_variables: n.
        baseline: the values of a masked segment, broadcastable to one input; None = zeros.

    Raises:
        ValueError: the series is shorter than n.
    """
    check_n_variables(n_variables)
    if length < n_variables:
        raise ValueError(f"a series of {length} steps cannot be cut into {n_variables} segments; use fewer variables")
    assignment = (torch.arange(length) * n_variables // length).to(torch.int16)
    ends = [(assignment == i).nonzero()[[0, -1], 0].tolist() for i in range(n_variables)]
    names = tuple(f"{first}–{last}" for first, last in ends)
    return Variables("series", names, assignment, torch.zeros(()) if baseline is None else baseline)


def point_variables(
    clouds: Float[Tensor, "samples _ _"], *, n_variables: int = 10, clusters: int = 30, seed: int = 0
) -> Variables:
    """Returns n clusters of each cloud of points as variables; the points of a masked one all lie at its centre.

    Clusters are those of k-means over the points of one cloud, n of them drawn; the others stay visible.
    Source: symbolic-dynamics (arXiv 2407.19198), experimental settings (30 clusters, 10 drawn).

    Args:
        clouds: `[samples, points, axes]`, or `[samples, axes, points]`; there are more points than axes.
        n_variables: n.
        clusters: of each cloud.
        seed: of k-means and of the draw.

    Raises:
        ValueError: a cloud has fewer than n clusters.
    """
    from sklearn.cluster import KMeans

    check_n_variables(n_variables)
    axes_last = clouds.shape[-2] >= clouds.shape[-1]
    points = (clouds if axes_last else clouds.transpose(-2, -1)).double()
    assignment = torch.full(points.shape, -1, dtype=torch.int16)
    baseline = points.clone()
    generator = torch.Generator().manual_seed(seed)
    for sample, cloud in enumerate(points):
        distinct = len(cloud.unique(dim=0))
        if min(distinct, clusters) < n_variables:
            raise ValueError(
                f"cloud {sample} has {distinct} different points, to make {clusters} clusters of; n_variables is "
                f"{n_variables}: use fewer variables, or clouds of more points"
            )
        means = KMeans(min(clusters, distinct), n_init="auto", random_state=seed).fit(cloud.numpy())
        owner, centre = torch.as_tensor(means.labels_), torch.as_tensor(means.cluster_centers_)
        drawn = torch.randperm(len(centre), generator=generator)[:n_variables].sort().values
        baseline[sample] = centre[owner]
        for i, cluster in enumerate(drawn.tolist()):
            assignment[sample, owner == cluster] = i
    if not axes_last:
        assignment, baseline = assignment.transpose(-2, -1), baseline.transpose(-2, -1)
    names = tuple(f"cluster {i}" for i in range(n_variables))
    return Variables(
        "points", names, assignment.contiguous(), baseline.to(clouds.dtype).contiguous(), baseline_of_each=True
    )
