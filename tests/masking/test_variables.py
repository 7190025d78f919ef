import pytest
import torch

from interdash.masking.variables import (
    Explained,
    Variables,
    baseline_values,
    image_variables,
    table_variables,
    text_variables,
)


def test_central_patches():
    variables = image_variables(28, 28, n_variables=10, patch=4, seed=1)
    assert variables.n_variables == 10 and variables.assignment.dtype == torch.int16
    assert (variables.assignment >= 0).sum() == 10 * 16
    ring = torch.ones(28, 28, dtype=torch.bool)
    ring[4:24, 4:24] = False
    assert (variables.assignment[ring] == -1).all()
    again = image_variables(28, 28, n_variables=10, patch=4, seed=1)
    assert torch.equal(variables.assignment, again.assignment)
    other = image_variables(28, 28, n_variables=10, patch=4, seed=2)
    assert not torch.equal(variables.assignment, other.assignment)
    firsts = [int((variables.assignment.flatten() == i).int().argmax()) for i in range(10)]
    assert firsts == sorted(firsts)  # reading order


@pytest.mark.parametrize("n", [1, 2, 7, 8, 10, 12, 20])
def test_the_whole_image_is_cut_into_n_regions(n):
    variables = image_variables(8, 8, n_variables=n, layout="whole")
    sizes = torch.bincount(variables.assignment.flatten().long(), minlength=n)
    assert len(sizes) == n and sizes.sum() == 64
    assert sizes.max() <= 4 * sizes.min()
    assert len(set(variables.names)) == n


def test_words():
    tokens = torch.tensor([[1, 5, 6, 7, 8, 2, 0], [1, 9, 9, 4, 3, 2, 0]])
    words = [
        ["<s>", "the", "film", ",", "rocks", "</s>", "<pad>"],
        ["<s>", "so", "so", "dull", "film", "</s>", "<pad>"],
    ]
    variables = text_variables(tokens, words, n_variables=2, mask_id=3, special_ids=[0, 1, 2], stop_words=["the"])
    assert variables.names[0] == ("film", "rocks")
    assert variables.assignment[0].tolist() == [-1, -1, 0, -1, 1, -1, -1]
    assert (variables.assignment[1, [0, 5, 6]] == -1).all() and (variables.assignment[1] >= 0).sum() == 2
    assert int(variables.baseline) == 3
    assert variables.select([1]).names == variables.names[1:]
    tokens, owner = torch.tensor([[1, 5, 6, 7, 2]]), torch.tensor([[-1, 0, 0, 1, -1]])
    variables = text_variables(tokens, [["untidy", "end"]], n_variables=2, mask_id=3, word_of_token=owner)
    assert variables.assignment.tolist() == [[-1, 0, 0, 1, -1]]


def test_table_columns_baselines_and_explained_samples():
    variables = table_variables([0, 1, 1, -1], ["age", "job"], torch.zeros(4))
    assert variables.assignment.tolist() == [0, 1, 1, -1] and variables.names_of(5) == ("age", "job")
    inputs = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert baseline_values("mean", inputs).tolist() == [2, 4]
    assert baseline_values("zero", inputs).tolist() == [0, 0]
    with pytest.raises(ValueError, match="baseline rule 'median' is unknown; use 'zero' or 'mean'"):
        baseline_values("median", inputs)  # pyright: ignore[reportArgumentType]
    labels = torch.zeros(2, dtype=torch.int64)
    assert len(Explained(torch.zeros(2, 1), labels, ("train", "test"), labels, table_variables([0], "a", labels))) == 2
    assert (image_variables(4, 4, n_variables=0, layout="whole").assignment == -1).all()


TOKENS = torch.tensor([[4, 5, 6]])
MISTAKES = [
    (lambda: image_variables(8, 8, n_variables=10, patch=2), r"the central part of a 8×8 image has 4 patches of 2×2"),
    (lambda: image_variables(8, 8, n_variables=21, layout="whole"), "n_variables is 21; it must be between 0 and 20"),
    (lambda: image_variables(2, 2, n_variables=9, layout="whole"), "owns no input element: give it one, or use fewer"),
    (lambda: image_variables(8, 8, layout="spiral"), "layout 'spiral' is unknown"),  # type: ignore
    (lambda: text_variables(TOKENS, [["a", "b", "c"]], mask_id=None), r"the mask id is missing \(None\): pass the id"),
    (lambda: text_variables(TOKENS, [["a", "b", "c"]], mask_id=-1), r"the mask id is missing \(-1\)"),
    (
        lambda: text_variables(TOKENS, [["a", "b", "!"]], mask_id=1, n_variables=3),
        "sample 0 has 2 words that can be masked; n_variables is 3: choose longer samples or fewer variables",
    ),
    (lambda: text_variables(TOKENS, [], mask_id=1), "words are those of 0 samples, token_ids of 1"),
    (
        lambda: table_variables([0, 1, 2], ["a", "b"], torch.zeros(3)),
        r"n_variables is 2 \(names\), but assignment names",
    ),
    (lambda: table_variables([0, 0], ["a", "b"], torch.zeros(2)), "variable 1 owns no input element"),
    (lambda: table_variables([0] * 21, [str(i) for i in range(21)], torch.zeros(21)), "n_variables is 21"),
    (
        lambda: Variables("image", ("a",), torch.zeros(3), torch.zeros(())),
        r"assignment has shape \(3,\); one sample's has 2",
    ),
    (
        lambda: Variables("table", ("a",), torch.zeros(3), torch.zeros(3), "first_activation"),
        "at='first_activation' masks the feature maps of images; kind is 'table'",
    ),
]


@pytest.mark.parametrize("make, message", MISTAKES)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
