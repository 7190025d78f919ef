"""Coherence of gradients that are known, from all of them and from sums over groups."""

import numpy as np
import pytest
import torch
from scipy.special import stdtrit

from interdash.formulas.coherence import T_QUANTILES, Sums, coherence, measures, rho


def gradients(m, seed=0, dimensions=1000, noise=0.1):
    """μ + ε with ‖μ‖² = 1 and variance `noise`² in each dimension."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=dimensions)
    return mean / np.linalg.norm(mean) + rng.normal(scale=noise, size=(m, dimensions))


def sums_of(train, test, noisy, groups, split, cut=400):
    """What is kept of gradients `[samples, P]` whose first `cut` weights are one layer, the others a second one."""
    of_group = np.array_split(np.arange(len(train)), groups)
    of_test = np.array_split(np.arange(len(test)), groups)
    layers = [slice(None, cut), slice(cut, None)]
    kinds = [~noisy, noisy]
    each = [[[train[g][kind[g]][:, layer].sum(0) for g in of_group] for kind in kinds] for layer in layers]
    tests = [[test[g][:, layer].sum(0) for g in of_test] for layer in layers]
    products = np.array(
        [
            [[[[row @ other for other in b] for b in of_layer] for row in a] for a in [*of_layer, of_tests]]
            for of_layer, of_tests in zip(each, tests, strict=True)
        ]
    )
    square = [[[(train[g][kind[g]][:, layer] ** 2).sum() for g in of_group] for kind in kinds] for layer in layers]
    norms = (train**2).sum(1)
    fourths = [[(norms[g][kind[g]] ** 2).sum() for g in of_group] for kind in kinds]
    counts = [*([kind[g].sum() for g in of_group] for kind in kinds), [len(g) for g in of_test]]
    units = np.array([(train[g] / np.linalg.norm(train[g], axis=1, keepdims=True)).sum(0) for g in of_group])
    known = np.array([len(g) for g in of_group])
    return Sums(products, np.array(square), np.array(fourths), np.array(counts), units @ units.T, known, split)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda rows: torch.tensor(rows, requires_grad=True)])
def test_equal_and_orthogonal_gradients(kind):
    equal = coherence(kind(np.tile([1.0, -2.0, 0.5], (7, 1))))
    assert equal.m_coherence == pytest.approx(7) and equal.rho == pytest.approx(1)
    orthogonal = coherence(kind(np.eye(7) * 3))
    assert orthogonal.m_coherence == pytest.approx(1) and orthogonal.rho == pytest.approx(0)
    opposite = coherence(kind(np.array([[1.0, 2.0], [-1.0, -2.0]])))
    assert opposite.m_coherence == 0 and opposite.rho == -1


@pytest.mark.parametrize("m", [20, 100, 1000])
def test_rho_does_not_depend_on_the_number_of_samples(m):
    """‖μ‖² / (‖μ‖² + dσ²) within 2 %, where the published measure is 1 + (m − 1) of it."""
    truth = 1 / (1 + 1000 * 0.1**2)
    each = [coherence(gradients(m, seed)) for seed in range(max(3, 6000 // m))]
    assert np.mean([one.rho for one in each]) == pytest.approx(truth, rel=0.02)
    for one in each:
        assert one.m_coherence == pytest.approx(1 + (m - 1) * one.rho)


def test_no_gradient_has_no_coherence():
    nothing = coherence(np.zeros((3, 2)))
    assert np.isnan(nothing.m_coherence) and np.isnan(nothing.rho)
    assert np.isnan(coherence(np.ones((1, 2))).rho) and np.isnan(rho(1.0, 0.0, 5))
    with pytest.raises(ValueError, match=r"gradients have the shape \[3\]; pass one row a sample, \[m, P\]"):
        coherence(np.zeros(3))


def test_sums_over_groups_give_what_all_gradients_give():
    train, test, noisy = gradients(90), gradients(40, seed=1), np.arange(90) % 5 == 0
    rows = measures(sums_of(train, test, noisy, 10, 90), ["a", "b"])
    for name, some in (("", train), ("/clean", train[~noisy]), ("/noisy", train[noisy])):
        known, norms = coherence(some), (some**2).sum(1)
        assert rows[f"m_coherence{name}"][0] == pytest.approx(known.m_coherence)
        assert rows[f"rho{name}"][0] == pytest.approx(known.rho)
        assert rows[f"squares{name}"][0] == pytest.approx(norms.mean())
        assert rows[f"contributing{name}"][0] == pytest.approx(norms.sum() ** 2 / (norms**2).sum())
        mean = some.mean(0)  # the samples are the whole split: ‖ḡ‖² is known
        assert rows[f"transfer{name}"][0] == pytest.approx(test.mean(0) @ mean / (mean @ mean))
    means = {"clean": train[~noisy].mean(0), "noisy": train[noisy].mean(0)}
    for step, of in (("clean", "noisy"), ("noisy", "clean")):
        gained = means[of] @ means[step] / (means[step] @ means[step])
        assert rows[f"transfer/{step} to {of}"][0] == pytest.approx(gained)
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    assert rows["cosine"][0] == pytest.approx((unit @ unit.T)[~np.eye(90, dtype=bool)].mean())
    assert rows["samples"][0] == 90
    of_layers = {"1: a": train[:, :400], "2: b": train[:, 400:]}
    alpha = 0.0
    for name, part in of_layers.items():
        value = rows[f"m_coherence/layer {name}"][0]
        assert value == pytest.approx(coherence(part).m_coherence)
        alpha += (part**2).sum() / (train**2).sum() * value
    assert alpha == pytest.approx(rows["m_coherence"][0], rel=1e-12)  # Σ over layers of Q_l/Q is exact
    assert rows["rho"][1:3] == (None, None) and None not in rows["transfer"]  # testing samples stand for others


def test_squares_of_the_mean_gradient_are_without_bias():
    """Transfer of μ + ε to the split that the samples are drawn from is 1, however few they are."""
    split = gradients(400)
    values = []
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(400)[:30]
        rows = measures(sums_of(split[drawn], split, np.zeros(30, bool), 10, 400), ["a", "b"])
        values.append(1 / rows["transfer"][0])  # ‖ḡ‖² over ḡ_te · ḡ, whose mean is ‖ḡ‖² of the split
    assert np.mean(values) == pytest.approx(1, abs=3 * np.std(values) / 200**0.5)


@pytest.mark.parametrize("split", [10**9, 300])
def test_intervals_cover_the_truth(split):
    """Of a population without end, and of a split of which a third is looked at."""
    truth, hits = 1 / (1 + 50 * 0.3**2), 0
    for seed in range(200):
        rows = gradients(300, seed, dimensions=50, noise=0.3)
        truth = coherence(rows).rho if split == 300 else truth
        found = measures(sums_of(rows[:100], rows[:50], np.zeros(100, bool), 10, split, 20), ["a", "b"])["rho"]
        hits += found[1] <= truth <= found[2]
    assert abs(hits / 200 - 0.95) <= 0.05


def test_few_noisy_labels_have_values_without_an_interval():
    noisy = np.arange(30) < 2  # both in the first group
    rows = measures(sums_of(gradients(30), gradients(9, 1), noisy, 10, 60), ["a", "b"])
    assert rows["rho/noisy"][1:3] == (None, None) and rows["rho/noisy"][0] > 0 and None not in rows["rho/clean"]


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="1 training and 1 testing samples have no coherence; take at least two and"):
        measures(sums_of(np.ones((1, 3)), np.ones((1, 3)), np.zeros(1, bool), 1, 1), ["a", "b"])


def test_the_table_of_quantiles_is_that_of_student():
    freedom = np.arange(1, len(T_QUANTILES) + 1)
    np.testing.assert_allclose(T_QUANTILES, stdtrit(freedom, 0.975), rtol=1e-9)
