"""An embedding that stands for masked words, learned once from one checkpoint and kept in a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interdash.masking.variables import Explained
from interdash.runs.files import write_atomically
from interdash.training.hf.causal import LEARNED, AnswerLogOdds, LearnedEmbedding, causal_spec
from interdash.training.hf.tokens import mask_token
from interdash.training.spec import explained_samples

DRAWS = 10  # of three sets of words, for each prompt and step
LARGEST = 3  # words in each of the first two sets


def learned_mask_embedding(
    file: Path | str,
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    checkpoint: str,
    n_variables: int = 10,
    mask_id: int | None = None,
    stop_words: Sequence[str] = (),
    epochs: int = 200,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> LearnedEmbedding:
    """Returns the embedding for masked words that is kept in a file, learned now if there is no such file.

    Over prompts and three disjoint random sets of words it makes the mean of
    |v(S₁ ∪ S₂ ∪ S₃) − v(S₁ ∪ S₃) − v(S₂ ∪ S₃) + v(S₃)| small, by stochastic gradient descent with momentum 0.9 from a
    token's embedding. The published v is that of the next token, ours that of the whole answer, see `causal_spec`. The
    same arguments give the same bits on a CPU.
    Source: the code of arXiv 2305.01939 (github.com/sjtu-xai-lab/interaction-sparsity, interaction/baseline).

    Args:
        file: JSON, to be kept beside the spec: every checkpoint and every baseline network is then masked to the same.
        model: with the weights of the checkpoint; they stay as they are.
        tokenizer: its fast tokenizer.
        prompts: of the training split; those with fewer than n words are passed over.
        answers: their answers.
        checkpoint: what the weights are called, such as "out/checkpoint-500"; kept in the file.
        n_variables: words of each prompt that are masked or not.
        mask_id: the token whose embedding is the first one; the tokenizer's mask or unknown token if left out.
        stop_words: words that are never masked, in lower case.
        epochs: passes over the prompts.
        learning_rate: of the descent, whose steps are of one prompt.
        seed: decides which words are masked.

    Raises:
        ValueError: the file is of another checkpoint, or the mean did not fall.
    """
    file = Path(file)
    if file.exists():
        kept = json.loads(file.read_text())
        if kept["checkpoint"] != checkpoint:
            raise ValueError(
                f"the embedding in {file} was learned on {kept['checkpoint']}, not on {checkpoint}; name that "
                "checkpoint, or another file"
            )
        return LearnedEmbedding(torch.tensor(kept.pop("embedding")), **kept)
    table: Tensor = model.get_input_embeddings().weight  # pyright: ignore[reportCallIssue]
    first = table[mask_token(tokenizer, mask_id, "name a token's id as mask_id=…")].detach()
    learned = first.clone().requires_grad_()
    spec = causal_spec(
        model, tokenizer, prompts, answers, prompts, answers,
        n_variables=n_variables, mask_embedding=first, stop_words=stop_words, seed=seed,
    )  # fmt: skip
    explained = explained_samples(spec, len(prompts), seed)
    built: Any = spec.network
    network, was_training = AnswerLogOdds(model, built.keywords["start"], learned), model.training
    rows = [row for row, split in enumerate(explained.split) if split == "train"]
    model.eval()
    before = _objective(network, explained, rows, seed)
    optimizer = torch.optim.SGD([learned], lr=learning_rate, momentum=0.9)
    generator = torch.Generator().manual_seed(seed + 1)
    for _ in range(epochs):
        for row in rows:
            (learned.grad,) = torch.autograd.grad(_strength(network, explained, row, generator), learned)
            optimizer.step()
    after = _objective(network, explained, rows, seed)
    model.train(was_training)
    if not after < before:
        raise ValueError(
            f"the mean interaction of two sets of words went from {before:.4g} to {after:.4g} nats, with learning_rate "
            f"{learning_rate:g} and {epochs} epochs; try a lower rate, or more epochs"
        )
    kept = {"checkpoint": checkpoint, "before": before, "after": after}
    write_atomically(file, json.dumps({**kept, "embedding": learned.tolist()}).encode())
    return LearnedEmbedding(learned.detach().cpu(), **kept)


@torch.no_grad()
def _objective(network: AnswerLogOdds, explained: Explained, rows: Sequence[int], seed: int) -> float:
    """Returns the mean over prompts of what is made small, in nats, over draws that are the same each time."""
    generator = torch.Generator().manual_seed(seed)
    return sum(_strength(network, explained, row, generator).item() for row in rows) / len(rows)


def _strength(network: AnswerLogOdds, explained: Explained, row: int, generator: torch.Generator) -> Tensor:
    """Returns the mean strength of interaction of two sets of words of a prompt beside a third, in nats."""
    first, second, third = three_sets(explained.variables.n_variables, generator)
    visible = torch.stack([first | second | third, first | third, second | third, third], 1)  # [draws, 4, n]
    owner = explained.variables.assignment[row].long()
    hidden = (owner >= 0) & ~visible[..., owner.clamp(min=0)]
    ids = torch.where(hidden, LEARNED, explained.inputs[row]).flatten(0, 1).to(network.embedding.device)  # pyright: ignore
    v = network(ids)[:, 1].view(DRAWS, 4)
    return (v[:, 0] - v[:, 1] - v[:, 2] + v[:, 3]).abs().mean()


def three_sets(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Returns three disjoint sets of n variables, bool `[DRAWS, n]` each: two of 1 to 3, and of the rest all or some.

    Of the rest it is all in one draw of three, and in the others any number below that.
    """
    place = torch.rand(DRAWS, n, generator=generator).argsort(1)
    sizes = torch.randint(1, LARGEST + 1, (2, DRAWS, 1), generator=generator)
    one = sizes[0].clamp(max=n - 1)
    two = one + sizes[1].minimum(n - one)
    share = torch.rand(2, DRAWS, 1, generator=generator)
    three = torch.where(share[0] < 1 / 3, n, two + (share[1] * (n - two)).long())
    return place < one, (place >= one) & (place < two), (place >= two) & (place < three)
