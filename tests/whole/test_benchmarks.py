import importlib
import itertools
import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmarks
from benchmarks import against, beyond, gpu, inference, linear_program, many_rows, scale, solver, strata
from interdash.formulas.interactions import and_interactions, matched_outputs, or_interactions
from interdash.solver import published
from interdash.solver.sparsify import Split


def brute_force(v, kappa):
    """The optimum of n = 2 by search over a fine grid of γ, refined, δ by the corner rule: δ on T = {0}, {1} only."""
    u, zeta = v - v[0], kappa * abs(v[-1] - v[0])
    best, centre, width = np.inf, np.zeros(5), np.append(np.full(3, 2 * np.abs(u).max()), [zeta, zeta])
    for _ in range(60):
        steps = np.array(list(itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=5)))
        points = centre + width * steps
        points[:, 3:] = np.clip(points[:, 3:], -zeta, zeta)
        gamma = np.zeros((len(points), 4))
        gamma[:, 1:] = points[:, :3]
        delta = np.zeros_like(gamma)
        delta[:, 1:3] = points[:, 3:]
        half = (u - delta) / 2
        found = published.objective(and_interactions(half + gamma), or_interactions(half - gamma))
        if found.min() < best - 1e-12:
            best, centre = found.min(), points[found.argmin()]
        else:
            width = width * 0.7
    return best


@pytest.mark.parametrize("kappa", [0.0, 0.1])
def test_linear_program_against_a_search(kappa):
    rng = np.random.default_rng(0)
    for v in rng.normal(size=(3, 4)):
        assert linear_program.solve(v, kappa).objective == pytest.approx(brute_force(v, kappa), abs=1e-3)


@pytest.mark.parametrize(("kappa", "tie_break"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.01)])
def test_linear_program_beats_every_random_division(kappa, tie_break):
    rng = np.random.default_rng(1)
    v = rng.normal(size=8)
    found = linear_program.solve(v, kappa, tie_break=tie_break)
    np.testing.assert_allclose(matched_outputs(found.i_and, found.i_or, v[0]) + found.delta, v, atol=1e-9)
    assert np.abs(found.delta).max() <= kappa * abs(v[-1] - v[0]) + 1e-12
    assert found.objective == pytest.approx(published.objective(found.i_and, found.i_or, tie_break))
    gamma = rng.normal(size=(20_000, 8)) * np.abs(v - v[0]).max()
    gamma[:, 0] = 0
    half = (v - v[0] - found.delta) / 2
    others = published.objective(and_interactions(half + gamma), or_interactions(half - gamma), tie_break)
    assert found.objective <= others.min() + 1e-9


@pytest.mark.parametrize("tie_break", [0.0, 0.01])
def test_linear_program_finds_a_sparse_game(tie_break):
    i_and, i_or = np.zeros((2, 16))
    i_and[[3, 8]], i_or[7] = (2.0, -1.0), 3.0
    v = matched_outputs(i_and, i_or, np.array(0.5))
    found = linear_program.solve(v, tie_break=tie_break)
    assert found.objective <= published.objective(i_and, i_or, tie_break) + 1e-9
    assert linear_program.solve(np.full(8, 2.0)).objective == pytest.approx(0)


def test_published_procedure_treats_each_game_by_itself():
    v = np.random.default_rng(3).normal(size=(2, 3, 16))
    together = published.split(v, 0.02, steps=50, learning_rate=1e-3, dtype=torch.float64)
    for place in np.ndindex(2, 3):
        alone = published.split(v[place], 0.02, steps=50, learning_rate=1e-3, dtype=torch.float64)
        for part, own in zip(together, alone, strict=True):
            np.testing.assert_allclose(part[place], own, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.05])
def test_published_procedure_lowers_the_objective_and_matches(kappa):
    v = 10 * np.random.default_rng(2).normal(size=32)
    start = published.objective(*published.split(v, kappa, steps=0)[:2])
    i_and, i_or, delta = published.split(v, kappa, steps=300, learning_rate=1e-4)
    optimum = linear_program.solve(v, kappa).objective
    assert optimum - 1e-9 <= published.objective(i_and, i_or) < start
    np.testing.assert_allclose(matched_outputs(i_and, i_or, v[0]) + delta, v, atol=1e-9)
    assert np.abs(delta).max() <= kappa * abs(v[-1] - v[0]) * (1 + 1e-6)


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(benchmarks.__file__).parent.glob("[a-z]*.py")))
def test_every_benchmark_can_be_imported(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_two_trees_are_timed_in_turn_and_give_the_same(monkeypatch):
    monkeypatch.setattr(against, "ROUNDS", 1)
    games = {3: np.random.default_rng(0).normal(size=(4, 8))}
    network, split = against.compare(Path(benchmarks.__file__).parents[1], networks=("lenet",), games=games)
    assert network["what"] == "lenet" and network["difference of v over its highest"] == 0
    assert split["median and highest gap"]["there"] == split["median and highest gap"]["here"]
    assert network["faster"] > 0 and split["faster"] > 0


def test_floating_point_operations_of_lenet():
    by_hand = 6 * 25 * 28 * 28 + 16 * 6 * 25 * 10 * 10 + 400 * 120 + 120 * 84 + 84 * 10
    network, inputs, *_ = inference.game("lenet", 2, 1)
    assert inference.flops(network, inputs) == 2 * by_hand


def test_the_benchmark_of_a_gpu_runs_on_a_cpu(labelled_run, tmp_path):
    file = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--sizes", "4", "--samples", "6", "--repeats", "1", "--output", str(file)]
    code = gpu.main([str(labelled_run.path), *options])
    results = json.loads(file.read_text())
    (size,), (many,) = results["sizes"], results["split"]
    assert size["largest difference of v, nats"] == 0 and size["salient on both, of salient on either"] == 1
    assert size["worst certified gap on the GPU"] <= gpu.BARS["worst certified gap on the GPU"]
    assert (many["n"], many["samples"]) == (4, 6) and min(many["cpu_ms"], many["gpu_ms"]) > 0
    assert set(results["bars"]) == set(gpu.BARS) and code == any(
        bar["verdict"] == "FAIL" for bar in results["bars"].values()
    )


def test_bars_of_a_gpu_are_judged():
    far = dict.fromkeys(gpu.BARS, 0.01)
    sizes = [far | {"n": n, "extraction_s": {"cpu": 10.0, "gpu": 0.6}} for n in (8, 10)]
    split = [{"n": n, "samples": 1000, "cpu_ms": cpu, "gpu_ms": 0.4} for n, cpu in ((8, 0.2), (10, 8.0))]
    bars = gpu.judged({"sizes": sizes, "split": split})
    assert bars["split of 1,000 samples at n = 10, ms a sample"]["verdict"] == "PASS"
    assert bars["time of the split, GPU over one core"] == {"value": 2.0, "bar": 1.0, "verdict": "FAIL"}
    assert bars["time of an extraction at n = 10, GPU over one core"]["value"] == pytest.approx(0.06)
    assert bars["time of an extraction at n = 10, GPU over one core"]["verdict"] == "FAIL"
    assert bars["worst certified gap on the GPU"]["verdict"] == "PASS"


def test_the_page_on_scaling_reads_what_the_benchmark_writes(labelled_run, tmp_path):
    """Sizes, engines and machine go from the one to the other: a key that is missing would be a KeyError."""
    page = runpy.run_path(str(Path(benchmarks.__file__).parents[1] / "docs" / "scaling.py"))
    sizes = []
    for n in (2, 3, 4):
        run = scale.scaled_run(labelled_run, tmp_path, n=n, samples=6, epochs=1)
        sizes.append(scale._size(run, n))
        assert sizes[-1]["samples"] == 6 and all(value > 0 for value in sizes[-1].values())
    rows = [
        {"engine": engine, "workers": workers, "units": 8, "unit_seconds": 1.0} for engine, workers in scale.ENGINES
    ]
    start = dict(zip(scale.ENGINES, (1.0, 1.0, 1.5), strict=True))
    wall = {how: [seconds, seconds] for how, seconds in zip(scale.ENGINES, (10.0, 5.0, 5.5), strict=True)}
    measured = {
        "sweep": {"n": sizes, "per_unit": 0.1, "fixed": 0.2, "worst_residual": 0.01},
        "engines": {"n": 4, "rows": rows, "driver_seconds_per_unit": 0.01, **scale.quotients(wall, start)},
        "machine": {"cores": 2, "processor": "x86_64"},
    }
    assert "2.00 times as fast as one, two Dask workers 1.82 times" in " ".join(page["text"](measured).split())


def test_quotients_are_medians_of_rounds_and_bars_are_judged(capsys):
    one, two, dask = scale.ENGINES
    wall = {one: [10.0, 20.0, 30.0], two: [5.0, 5.0, 20.0], dask: [5.5, 5.0, 22.0]}
    found = scale.quotients(wall, {one: 1.0, two: 1.0, dask: 1.5})
    assert found["speedup"]["processes"] == 2.0 and found["dask_overhead"] == pytest.approx(0.1)
    assert found["dask_overhead_without_start"] == pytest.approx(0.0)  # of 4.0 / 4, 3.5 / 4 and 20.5 / 19
    bars = scale.judged(speedup=1.7, dask_overhead=0.11, unit_seconds=0.9)
    assert [bar["verdict"] for bar in bars.values()] == ["PASS", "FAIL", "FAIL"]
    assert bars["speedup"] == {"value": 1.7, "at least": 1.7, "verdict": "PASS"}
    assert solver.row("share", 1.0, 1.0, "%")["passed"]
    assert not solver.row("share", 1.1, 1.0, "%")["passed"]
    assert solver.row("speed", 3.0, 2.0, "×", at_least=True)["passed"]
    assert "FAIL  share" in capsys.readouterr().out
    zero = np.zeros((1, 4))
    split = Split(zero, zero, np.array([[0.0, 1, 0, 0]]), *np.zeros((4, 1)))
    assert not solver.constraints("δ", np.array([[0.0, 1, 0, 0]]), split, 0.0)["passed"]  # δ out of its bound


def test_many_rows_of_a_tiny_run_are_loaded_while_others_read(labelled_run, tmp_path):
    run = many_rows.make(labelled_run, tmp_path, 5, 80)
    assert run.manifest["summary"]["word"] == "ready" and run.n_explained() == 80
    found = many_rows.readers(run, tmp_path / "part", rows=1000)
    assert found["errors"] == [] and found["salient_rows_loaded"] >= 1000 and found["reads"] > 0
    assert found["bars"]["errors"]["verdict"] == found["bars"]["rows"]["verdict"] == "PASS"
    assert many_rows.sizes(run)["tables"]["interactions"]["rows"] > 1000


def test_strata_are_worth_their_bars_on_heavy_tailed_losses():
    rng = np.random.default_rng(0)
    wrong = {split: rng.random(1000) < 0.15 for split in strata.SPLITS}  # few samples have nearly all of the loss
    final = {split: np.where(of, rng.gamma(2, 1.5, 1000), rng.exponential(0.02, 1000)) for split, of in wrong.items()}
    earlier = {split: 0.5 * of_split + rng.exponential(0.3, 1000) for split, of_split in final.items()}
    changes = {split: rng.normal(0.05, 0.05, 1000) - 0.5 * of_split for split, of_split in final.items()}
    rows = [*strata.gaps(dict.fromkeys(strata.EPOCHS, earlier) | {strata.EPOCHS[-1]: final})]
    rows += strata.intervals(final, changes)
    assert all(row["passed"] for row in rows) and len(rows) == 2 * len(strata.EPOCHS) + 3


@pytest.mark.parametrize(("way", "passes"), [("trees", 512), ("lattice", 512), ("groups", 256)])
def test_ways_beyond_all_masks_find_few_interactions_of_low_order(way, passes):
    planted = {2 * 0b11: 3.0, 2 * 0b101100 + 1: -2.0, 2 * 0b10000: 1.5}  # AND {0, 1}, OR {2, 3, 5}, {4}
    games = [planted, {key: -effect if key == 2 * 0b11 else effect for key, effect in planted.items()}]

    def values(codes, game=None):
        every = np.stack([beyond.predicted(each, codes) for each in games])
        return every if game is None else every[game]

    ((_, found),) = beyond.WAYS[way](8, values, np.random.default_rng(0), [passes])
    row = beyond.judged(8, np.full(2, 0.3), [found, found], games)
    assert row["Jaccard"][0] == row["precision"][0] == row["Jaccard of two draws"][0] == 1
    assert row["H"][0] == pytest.approx(3.5 / 6.5, abs=0.03) and row["error of strength by order"][0] < 0.05
    assert row["error of H"][0] == pytest.approx(0, abs=0.02)
    worse = beyond.judged(8, np.full(2, 0.3), [[{2: 1.0}, {2: 1.0}]], games)
    assert worse["Jaccard"][0] == 0 and worse["H"][0] == 1 and worse["H by chance"][0] == pytest.approx(1 / 8)


def test_fourier_coefficients_of_a_tree_are_those_of_its_outputs():
    codes = np.arange(16)
    v = np.random.default_rng(0).normal(size=16)
    model = beyond.HistGradientBoostingRegressor(max_iter=1, learning_rate=1.0, min_samples_leaf=1, max_bins=2)
    model.fit(beyond.bits(codes, 4), v)
    found = beyond.spectrum(model._predictors[0][0].nodes)
    rebuilt = sum(value * (-1.0) ** np.bitwise_count(codes & subset) for subset, value in found.items())
    np.testing.assert_allclose(rebuilt + v.mean(), v, atol=1e-6)


def test_the_benchmark_beyond_all_masks_runs_at_a_tiny_size(labelled_run, monkeypatch):
    explained = labelled_run.explained()
    few = replace(explained, inputs=explained.inputs[[0, 30]], labels=explained.labels[[0, 30]])
    monkeypatch.setattr(type(labelled_run), "explained", lambda run: few)
    monkeypatch.setattr(beyond, "HELD_OUT", 64)
    rows = [*beyond.of_size(labelled_run, 8, passes=(64,))]
    assert [row["way"] for row in rows] == ["split, default", "split, tight", *beyond.WAYS]
    assert rows[0]["Jaccard"] == [1, 1, 1] and rows[0]["error of H"][0] == 0
    monkeypatch.setattr(beyond, "TRUTH", 4)  # as n = 24: without a truth the network is asked
    there, here = rows[-2], [*beyond.of_size(labelled_run, 8, passes=(64,))][1]
    assert "Jaccard" not in here and here["R2 on held-out masks"] == pytest.approx(
        there["R2 on held-out masks"], abs=0.05
    )
