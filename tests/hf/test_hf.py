"""Hugging Face models against loops written by hand, on models built from their configuration."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from interdash.config import MaskingConfig
from interdash.formulas.subsets import masks
from interdash.hf import causal_spec, classifier_spec, image_spec, learned_mask_embedding
from interdash.masking.outputs import log_odds, masked_outputs
from interdash.training.hf import learned_mask
from interdash.training.hf.causal import AnswerLogOdds
from interdash.training.own import logits_builder
from interdash.training.spec import Spec, explained_samples, masking_config

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SENTENCE = "unforgettable acting and a wonderfully strange plot make this little film a quiet joy to watch again"
WORDS = sorted(set(SENTENCE.split()))
N = 4


def texts(count: int = 20) -> list[str]:
    """Returns sentences of 5 to 14 words, none of them twice."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 15), replace=False)) + "." for _ in range(count)]


def tokenizer(kind: str = "bert") -> Any:
    """Returns a fast tokenizer that cuts long words into pieces, trained here."""
    if kind == "bert":
        inner = tokenizers.BertWordPieceTokenizer(lowercase=True)
        inner.train_from_iterator([SENTENCE], vocab_size=70, min_frequency=1, show_progress=False)
        return transformers.BertTokenizerFast(tokenizer_object=inner._tokenizer)
    inner = tokenizers.ByteLevelBPETokenizer(add_prefix_space=True)
    inner.train_from_iterator(
        texts(), vocab_size=300, min_frequency=2, special_tokens=["<s>", "<mask>"], show_progress=False
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner._tokenizer, mask_token="<mask>" if kind == "masked" else None
    )


SIZES: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def bert(vocabulary: int, classes: int = 3, kind: str = "Bert") -> Any:
    config = getattr(transformers, f"{kind}Config")(vocab_size=vocabulary, num_labels=classes, **SIZES)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3)
    return model


def gpt(vocabulary: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=vocabulary, n_embd=16, n_layer=2, n_head=2, n_positions=64)
        )


def outputs(spec: Spec, model: Any, samples: int = 6) -> tuple[Any, np.ndarray]:
    """Returns explained samples of a spec and their v `[samples, 2**n]`, of a network with the model's weights."""
    explained = explained_samples(spec, samples // 2, seed=3)
    network = logits_builder(spec.network, len(spec.names_of_classes()))()
    target = getattr(network, "model", network)
    target.load_state_dict(model.state_dict())
    return explained, masked_outputs(network, explained.inputs, explained.labels, explained.variables).numpy()


def masked_tokens(tokens: Any, row: int, names: tuple[str, ...], words: list[str], kept: np.ndarray, mask: int) -> Any:
    """Returns the ids of a text in which the words that are not kept are masks, found again by their characters."""
    ids = tokens["input_ids"][row].clone()
    places = [-1 if w is None else w for w in tokens.word_ids(row)]
    hidden = {words.index(name) for name, keep in zip(names, kept, strict=True) if not keep}
    for j, word in enumerate(places):
        if word in hidden:
            ids[j] = mask
    return ids


@pytest.mark.parametrize("kind", ["Bert", "DistilBert", "Electra"])
def test_a_classifier_with_its_attention_mask_equals_a_loop(kind: str) -> None:
    sizes = {"DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}}
    reader, sentences = tokenizer(), texts()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = getattr(transformers, f"{kind}Config")(vocab_size=len(reader), num_labels=3, **sizes.get(kind, SIZES))
        model = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3)
    labels = [i % 3 for i in range(20)]
    spec = classifier_spec(model, reader, sentences[:10], labels[:10], sentences[10:], labels[10:], n_variables=N)
    explained, v = outputs(spec, model, 20)
    assert len(v) == 20
    assert len({int((row >= 0).sum()) for row in explained.inputs}) > 3  # of different lengths, in one batch
    for i, (index, split) in enumerate(zip(explained.index.tolist(), explained.split, strict=True)):
        row = index + 10 * (split == "test")
        tokens = reader([sentences[row]], return_tensors="pt")
        names, words = explained.variables.names_of(i), [w for w in _words(reader, sentences[row])]
        for subset, kept in enumerate(masks(N)):
            ids = masked_tokens(tokens, 0, names, words, kept, reader.mask_token_id)[None]
            with torch.no_grad():
                logits = model(ids, attention_mask=torch.ones_like(ids)).logits
            assert v[i, subset] == pytest.approx(log_odds(logits, torch.tensor([labels[row]])).item(), abs=1e-5)


def _words(reader: Any, text: str) -> list[str]:
    encoded = reader(text, return_offsets_mapping=True)
    words: dict[int, str] = {}
    for word, (start, stop) in zip(encoded.word_ids(), encoded["offset_mapping"], strict=True):
        if word is not None:
            words[word] = words.get(word, "") + text[start:stop]
    return list(words.values())


def test_pieces_of_a_word_are_masked_together_and_special_tokens_never() -> None:
    reader, sentences = tokenizer(), texts()
    spec = classifier_spec(bert(len(reader)), reader, sentences, [0] * 20, sentences, [1] * 20, n_variables=N)
    explained = explained_samples(spec, 10)
    assert isinstance(explained.variables.names[0], tuple)
    pieces = 0
    for sample, row in enumerate(explained.inputs):
        owner = explained.variables.assignment[sample]
        assert (owner[(row < 0) | (row == reader.cls_token_id) | (row == reader.sep_token_id)] == -1).all()
        for variable, name in enumerate(explained.variables.names_of(sample)):
            ids = row[owner == variable]
            assert reader.decode(ids).replace(" ", "") == name
            pieces = max(pieces, len(ids))
            first = int((owner == variable).int().argmax())
            assert explained.display[sample][first] == name
    assert pieces > 1


def test_token_types_of_pairs_are_made_from_the_ids() -> None:
    reader, sentences = tokenizer(), texts()
    pairs = list(zip(sentences, reversed(sentences), strict=True))
    model = bert(len(reader)).eval()
    spec = classifier_spec(model, reader, pairs, [0] * 20, pairs, [1] * 20, n_variables=N)
    network: Any = spec.network()
    network.load_state_dict(model.state_dict())
    network.eval()
    tokens = reader([first for first, _ in pairs], [second for _, second in pairs], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(network(spec.train_inputs), model(**tokens).logits, atol=1e-5)
        assert not torch.allclose(network(spec.train_inputs), model(tokens["input_ids"]).logits, atol=1e-3)


def test_what_stands_for_a_masked_word_must_be_there() -> None:
    reader = tokenizer("plain")
    with pytest.raises(ValueError, match=r"neither a mask nor an unknown token.*mask_id=…"):
        classifier_spec(bert(300), reader, texts(), [0] * 20, texts(), [0] * 20)
    with pytest.raises(ValueError, match=r"neither a mask nor an unknown token.*mask_embedding=…"):
        causal_spec(gpt(300), reader, texts(), texts(), texts(), texts())
    with pytest.raises(ValueError, match="prompts has 20 texts and their answers are 1"):
        causal_spec(gpt(300), reader, texts(), ["x"], texts(), texts(), mask_id=0)
    with pytest.raises(ValueError, match="answer 1 has no token"):
        causal_spec(gpt(300), reader, texts(2), ["x", ""], texts(1), ["x"], mask_id=0)
    with pytest.raises(ValueError, match="there are no texts"):
        classifier_spec(bert(300), reader, [], [], texts(), [0] * 20, mask_id=0)


class Slow:
    mask_token_id = 0
    is_fast = False


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Slow does not say which word .* use_fast=True"):
        classifier_spec(bert(30), Slow(), texts(), [0] * 20, texts(), [0] * 20)


@pytest.mark.parametrize("embedded", [False, True])
def test_the_answers_log_odds_equal_a_loop(embedded: bool) -> None:
    reader = tokenizer("masked")
    prompts, answers = texts(8), [" quiet joy", " strange", " a film", " joy again to watch"] * 2
    model = gpt(len(reader)).eval()
    embedding = model.get_input_embeddings().weight.mean(0).detach() if embedded else None
    spec = causal_spec(
        model, reader, prompts[:4], answers[:4], prompts[4:], answers[4:], n_variables=N, mask_embedding=embedding
    )
    explained, v = outputs(spec, model, 8)
    for i, (index, split) in enumerate(zip(explained.index.tolist(), explained.split, strict=True)):
        row = index + 4 * (split == "test")
        prompt = reader(prompts[row])["input_ids"]
        answer = reader(answers[row])["input_ids"]
        owner = explained.variables.assignment[i]
        owner = owner[explained.inputs[i] >= 0].tolist()
        assert len(owner) == len(prompt) + len(answer)
        for subset in (0, 3, 6, 2**N - 1):
            hidden = [o >= 0 and not subset >> o & 1 for o in owner]
            ids = torch.tensor(prompt + answer)
            vectors = model.get_input_embeddings()(
                torch.where(torch.tensor(hidden), reader.mask_token_id, ids)
            ).detach()
            if embedding is not None:
                vectors[torch.tensor(hidden)] = embedding
            with torch.no_grad():
                logits = model(inputs_embeds=vectors[None]).logits[0]
            at = range(len(prompt), len(ids))
            expected = sum(log_odds(logits[t - 1 : t], ids[t : t + 1]).item() for t in at)
            assert v[i, subset] == pytest.approx(expected, abs=1e-5)


def test_an_embedding_for_masked_words_is_learned_once(tmp_path: Path) -> None:
    reader, model = tokenizer("masked"), gpt(300)
    answers = [" joy"] * 8
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}

    def learned(file: str, **options: Any) -> Any:
        options = {"epochs": 3, "learning_rate": 0.05, "checkpoint": "step 5", "n_variables": N} | options
        return learned_mask_embedding(tmp_path / file, model.train(), reader, texts(8), answers, **options)

    mask = learned("a.json")
    assert 0 < mask.after < 0.8 * mask.before
    assert model.training and all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(mask.embedding, learned("b.json").embedding)
    assert not torch.equal(mask.embedding, learned("c.json", seed=1).embedding)
    kept = learned("a.json", seed=1)  # from the file
    assert torch.equal(mask.embedding, kept.embedding) and (mask.before, mask.after) == (kept.before, kept.after)
    with pytest.raises(ValueError, match=r"a.json was learned on step 5, not on step 9; name that checkpoint, or"):
        learned("a.json", checkpoint="step 9")
    with pytest.raises(ValueError, match=r"went from .* to .* nats, with learning_rate 1e-09 and 0 epochs; try a low"):
        learned("d.json", epochs=0, learning_rate=1e-9)
    assert not (tmp_path / "d.json").exists()
    v = {}
    for given, name in ((None, "token"), (mask.embedding, "embedding"), (mask, "learned")):
        spec = causal_spec(model, reader, texts(8), answers, texts(8), answers, n_variables=N, mask_embedding=given)
        explained, v[name] = outputs(spec, model)
        assert masking_config(spec, explained, 3, 0).baseline == name
    assert np.array_equal(v["learned"], v["embedding"]) and not np.allclose(v["learned"], v["token"])


def test_what_is_learned_is_the_interaction_of_two_sets_of_words() -> None:
    reader, model = tokenizer("masked"), gpt(300).eval()
    mask = torch.randn(16, generator=torch.Generator().manual_seed(0))
    spec = causal_spec(
        model, reader, texts(8), [" joy"] * 8, texts(8), [" joy"] * 8, n_variables=7, mask_embedding=mask
    )
    explained, v = outputs(spec, model, 2)
    sets = learned_mask.three_sets(7, torch.Generator().manual_seed(5))
    first, second, third = (each.long() @ 2 ** torch.arange(7) for each in sets)
    assert not (first & second).any() and not ((first | second) & third).any()
    assert {int(each.sum()) for each in (*sets[0], *sets[1])} == {1, 2, 3} and sets[2].sum(1).unique().numel() > 2
    expected = np.abs(v[0][first | second | third] - v[0][first | third] - v[0][second | third] + v[0][third]).mean()
    built: Any = spec.network
    network = AnswerLogOdds(model, built.keywords["start"], mask)
    strength = learned_mask._strength(network, explained, 0, torch.Generator().manual_seed(5))
    assert strength.item() == pytest.approx(expected, rel=1e-4)


def image() -> Spec:
    """Returns a spec of a vision transformer."""
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=2, **SIZES)
    images, labels = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0)), [0, 1] * 6
    patches = MaskingConfig("image", n_variables=4, layout="whole")
    model = transformers.ViTForImageClassification(config)
    return image_spec(model, images[:12], labels, images[12:], labels, variables=patches)
