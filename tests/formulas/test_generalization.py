import itertools

import numpy as np
import pytest
import torch

from interdash.formulas import generalization as gen

KINDS = [np.asarray, torch.as_tensor]
# One pair of games, n = 2, by hand: index = bitmask, entry 0 is ∅.
TARGET = np.array([[0.0, 4.0, -2.0, 1.0], [0.0, 0.5, 3.0, -1.0]])
BASELINE = np.array([[0.0, 2.0, 2.0, 0.4], [0.0, 9.0, 1.5, -2.0]])
ONE = np.ones(2)


@pytest.mark.parametrize("kind", KINDS)
def test_tau_rules(kind):
    i_and, i_or = kind(TARGET), kind(2 * BASELINE)
    v_empty, v_full = kind(np.array([1.0, -1.0])), kind(np.array([3.0, -5.0]))
    np.testing.assert_allclose(gen.tau(i_and, i_or, v_empty, v_full), [0.09, 0.09])  # 0.03 · mean(2, 4)
    np.testing.assert_allclose(gen.tau(i_and, i_or, v_empty, v_full, "max_interaction", 0.05), [0.2, 0.9])
    epochs = gen.tau(i_and, i_or, kind(np.zeros((3, 2))), kind(np.arange(6.0).reshape(3, 2)))
    np.testing.assert_allclose(epochs, 0.03 * np.array([[0.5, 0.5], [2.5, 2.5], [4.5, 4.5]]))


@pytest.mark.parametrize("kind", KINDS)
def test_salient_at_the_threshold_and_never_for_zero(kind):
    found = gen.salient(kind(TARGET), kind(ONE))
    assert found.tolist() == [[False, True, True, True], [False, False, True, True]]
    assert not gen.salient(kind(np.zeros((2, 4))), kind(np.zeros(2))).any()  # τ = 0: an output that never changes


@pytest.mark.parametrize("kind", KINDS)
def test_generalizes_on_a_planted_pair_of_games(kind):
    target, base, one = kind(TARGET), kind(BASELINE), kind(ONE)
    signed = gen.generalizes(target, [base], one, [one])
    assert signed.tolist() == [[False, True, False, False], [False, False, True, True]]
    unsigned = gen.generalizes(target, [base], one, [one], sign_test=False)
    assert unsigned.tolist() == [[False, True, True, False], [False, False, True, True]]


@pytest.mark.parametrize("agreeing", range(6))
def test_votes_of_five_baselines(agreeing):
    yes, no = np.array([[0.0, 1.0]]), np.array([[0.0, -1.0]])
    bases, one = [yes] * agreeing + [no] * (5 - agreeing), np.ones(1)
    assert gen.generalizes(yes, bases, one, [one] * 5, vote="any")[0, 1] == (agreeing >= 1)
    assert gen.generalizes(yes, bases, one, [one] * 5)[0, 1] == (agreeing >= 3)


def test_generalizes_against_a_plain_loop_over_epochs_and_samples():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(3, 4, 16))
    bases = list(rng.normal(size=(3, 4, 16)))
    tau, taus = rng.uniform(0.2, 1, (3, 4)), list(rng.uniform(0.2, 1, (3, 4)))
    for sign_test, vote in itertools.product((True, False), ("any", "majority")):
        found = gen.generalizes(target, bases, tau, taus, sign_test=sign_test, vote=vote)
        for epoch, sample, s in np.ndindex(target.shape):
            i = target[epoch, sample, s]
            votes = sum(
                abs(base[sample, s]) >= t[sample] and (not sign_test or base[sample, s] * i > 0)
                for base, t in zip(bases, taus, strict=True)
            )
            expected = s > 0 and abs(i) >= tau[epoch, sample] and votes >= (1 if vote == "any" else 2)
            assert found[epoch, sample, s] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_generalization_power(kind):
    target, one = kind(TARGET), kind(ONE)
    is_salient, g = gen.salient(target, one), gen.generalizes(target, [kind(BASELINE)], one, [one])
    strength, count = abs(target) * is_salient, 1.0 * is_salient
    power = gen.generalization_power((strength * g).sum(-1), strength.sum(-1))
    np.testing.assert_allclose(power, [4 / 7, 1.0])
    by_count = gen.generalization_power((count * g).sum(), count.sum())
    assert float(by_count) == pytest.approx(3 / 5)
    none, some = kind(np.zeros(2)), kind(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(gen.generalization_power(none, some), [np.nan, 0.0])


@pytest.mark.parametrize("kind", KINDS)
def test_strengths_by_order(kind):
    target, is_salient = kind(TARGET), gen.salient(kind(TARGET), kind(ONE))
    np.testing.assert_allclose(gen.order_strengths(target, is_salient), [[0, 6, 1], [0, 3, 1]])
    positive, negative = gen.signed_order_strengths(target, is_salient)
    np.testing.assert_allclose(positive, [[0, 4, 1], [0, 3, 0]])
    np.testing.assert_allclose(negative, [[0, 2, 0], [0, 0, 1]])
    np.testing.assert_allclose(gen.order_counts(is_salient), [[0, 2, 1], [0, 1, 1]])


@pytest.mark.parametrize("classes", [2, 10])
def test_loss_is_the_cross_entropy_of_the_network(classes):
    torch.manual_seed(0)
    logits = torch.randn(200, classes, dtype=torch.float64) * torch.logspace(-3, 3, 200, dtype=torch.float64)[:, None]
    labels = torch.randint(0, classes, (200,))
    others = logits.clone()
    others[torch.arange(200), labels] = -torch.inf
    v = logits[torch.arange(200), labels] - torch.logsumexp(others, 1)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    # cross_entropy itself rounds to 1e-16 of the logits
    np.testing.assert_allclose(gen.loss(v), expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gen.loss(v.numpy()), gen.loss(v), rtol=1e-12)
    assert gen.loss(torch.tensor([800.0, -800.0], dtype=torch.float64)).tolist() == [0.0, 800.0]


def test_bad_input_is_refused():
    one, i = np.ones(1), np.ones((1, 4))
    with pytest.raises(ValueError, match="factor of tau is 0; it must be above 0"):
        gen.tau(i, i, one, one, "mean_output", 0)
    with pytest.raises(ValueError, match="rule of tau is 'mean'; choose"):
        gen.tau(i, i, one, one, "mean")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="at least one sample"):
        gen.tau(i[:0], i[:0], one[:0], one[:0])
    with pytest.raises(ValueError, match="0 baseline networks and 0 thresholds"):
        gen.generalizes(i, [], one, [])
    with pytest.raises(ValueError, match="2 baseline networks and 1 thresholds"):
        gen.generalizes(i, [i, i], one, [one])
    with pytest.raises(ValueError, match="the vote is 'all'; choose"):
        gen.generalizes(i, [i], one, [one], vote="all")  # pyright: ignore[reportArgumentType]
