"""What would carry the method beyond n = 20? `python -m benchmarks.beyond [--sizes 12 16 24 32]`: results/beyond.json.

The demo's LeNet and one baseline network, ten samples, the image cut into 4 × n/4 patches. Each way has a number of
passes a sample and network. At n ≤ 16 it is judged by the certified split of all 2^n: salient interactions (same type
and subset, at the same τ), strength by order, H. Elsewhere by what can be known there: masks held out, and how far two
draws of masks agree. Draws also say if they make an honest error bar: how often their 95 % interval holds the truth.

- trees: the idea of ProxySPEX (arXiv 2505.17495): boosted trees on random masks, the subsets of what their Fourier
  spectrum names, strongest first, and L1 regression onto AND and OR of these.
- lattice: all masks up to an order and their complements, random ones for a quarter of the passes and what is left; L1
  regression onto AND and OR up to that order.
- groups: the certified split of a few groups of patches; the group of most salient strength is halved, again and again.

λ of a regression has the lowest error on a fifth of the masks. An hour on one core.
"""

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import lasso_path

from interdash.formulas.bootstrap import percentile
from interdash.formulas.generalization import tau
from interdash.masking.outputs import log_odds, masked_outputs
from interdash.masking.variables import Variables
from interdash.pipeline import train_baselines
from interdash.presets import MNIST
from interdash.runs.run import Run
from interdash.solver.sparsify import Split, sparse_split
from interdash.training.builtin import create_run, train_run
from interdash.training.network_of_run import network_builder

RESULTS = Path(__file__).parent / "results" / "beyond.json"
PASSES = (512, 2048, 8192, 32768)
HELD_OUT = 1024  # masks
TRUTH = 16  # n up to which all masks are passed and split: 9 s a sample there, three minutes at n = 20
CANDIDATES = {"trees": 500, "lattice": 2500}  # subsets to choose from; more take minutes
LAMBDAS = np.geomspace(1e-1, 1e-4, 7)  # of the λ at which nothing is left
KAPPA, EPSILON = 0.02, 0.01  # bound of δ and tie-break, as in our runs

Found = dict[int, float]  # 2 · subset + (1 if OR): effect in nats
Values = Callable[..., np.ndarray]  # bitmasks, and a game or none → v − v(x_∅) in nats, [games, masks] or [masks]
Ways = Iterator[tuple[int, list[Found]]]  # passes, and the interactions of every game


def bits(codes: np.ndarray, n: int) -> np.ndarray:
    """Returns bitmasks `[masks]` as bool `[masks, n]`."""
    return (codes[:, None] >> np.arange(n) & 1).astype(bool)


def games(run: Run, n: int) -> tuple[Values, np.ndarray | None]:
    """Returns v of the target's samples, then of the baseline network's; and all of it, `[games, 2^n]`, if n allows."""
    explained, networks, table = run.explained(), [], None
    for name in ("target", "baseline-0"):
        networks.append(network_builder(run)().eval())
        networks[-1].load_state_dict(run.load_checkpoint(name, run.checkpoint_epochs(name)[-1]))
    inputs, labels, masked = torch.as_tensor(explained.inputs), explained.labels, explained.variables.baseline
    height, width = inputs.shape[-2:]
    rows, places = torch.arange(height) * 4 // height, torch.arange(width) * (n // 4) // width
    owner = rows[:, None] * (n // 4) + places
    if n <= TRUTH:
        variables = Variables("image", tuple(map(str, range(n))), owner.to(torch.int16), masked)
        table = np.concatenate([masked_outputs(network, inputs, labels, variables).numpy() for network in networks])

    def values(codes: np.ndarray, game: int | None = None) -> np.ndarray:
        if game is None:
            return np.stack([values(codes, each) for each in range(2 * len(inputs))])
        if table is not None:
            return table[game, codes] - table[game, 0]
        network, i = networks[game // len(inputs)], game % len(inputs)
        with torch.inference_mode():
            parts = torch.tensor(bits(np.append(codes, 0), n)).split(256)
            logits = torch.cat([network(torch.where(part[:, owner][:, None], inputs[i], masked)) for part in parts])
        v = log_odds(logits, labels[i].expand(len(logits))).numpy()
        return v[:-1] - v[-1]

    return values, table


def thresholds(values: Values, n: int) -> np.ndarray:
    """Returns τ of every game, that of its network: nats."""
    whole = values(np.array([2**n - 1])).reshape(2, -1)
    return tau(whole, whole, 0 * whole, whole).ravel()


def triggered(codes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Returns which interactions each mask triggers, float32 `[masks, interactions]`."""
    met = codes[:, None] & (keys >> 1)
    return np.where(keys & 1, met != 0, met == keys >> 1).astype(np.float32)


def predicted(found: Found, codes: np.ndarray) -> np.ndarray:
    """Returns v − v(x_∅) on some masks by interactions: `[masks]`, nats."""
    keys, effects = np.array([*found], np.int64), np.array([*found.values()])
    return np.concatenate([triggered(part, keys) @ effects for part in np.array_split(codes, 16)])


def regressed(codes: np.ndarray, u: np.ndarray, subsets: np.ndarray, rng: np.random.Generator) -> list[Found]:
    """Returns the AND and OR interactions of `subsets` that L1 regression leaves of each game of u `[games, masks]`."""
    keys = np.concatenate([2 * subsets, 2 * subsets[np.bitwise_count(subsets) > 1] + 1])
    weights = (1 + EPSILON * (np.bitwise_count(keys >> 1) - 1.0)).astype(np.float32)
    order, found = rng.permutation(len(codes)), []
    fit, check = np.split(triggered(codes[order], keys) / weights, [len(codes) * 4 // 5])
    gram = fit.T @ fit
    for y in u[:, order].astype(np.float32):
        product = fit.T @ y[: len(fit)]
        alphas = LAMBDAS * np.abs(product).max() / len(fit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the smallest λ may not converge
            path = lasso_path(fit, y[: len(fit)], alphas=alphas, precompute=gram, Xy=product, tol=1e-3, max_iter=300)[1]
        best = path[:, ((check @ path - y[len(fit) :, None]) ** 2).sum(0).argmin()] / weights
        found.append({int(keys[i]): float(best[i]) for i in best.nonzero()[0]})
    return found


def spectrum(nodes: np.ndarray, at: int = 0) -> Found:
    """Returns the Fourier coefficients of a tree over masks, by subset. Source: Gorji et al., arXiv 2410.06300."""
    node, whole = nodes[at], Counter()
    if node["is_leaf"]:
        return {0: float(node["value"])}
    for side, sign in (("left", 1), ("right", -1)):
        for subset, value in spectrum(nodes, int(node[side])).items():
            whole[subset] += value / 2
            whole[subset | 1 << int(node["feature_idx"])] += sign * value / 2
    return whole


def trees(n: int, values: Values, rng: np.random.Generator, passes: Sequence[int]) -> Ways:
    """Yields what boosted trees lead to, see the module."""
    codes = rng.integers(0, 2**n, max(passes, default=0))
    u = values(codes)
    for count in passes:
        found = []
        for y in u[:, :count]:
            model = HistGradientBoostingRegressor(max_depth=5, max_iter=150, early_stopping=True, random_state=0)
            energy: Counter[int] = Counter()
            for (tree,) in model.fit(bits(codes[:count], n), y)._predictors:
                energy.update(spectrum(tree.nodes))
            below: set[int] = set()
            for subset in sorted(energy, key=lambda subset: -abs(energy[subset])):
                part = subset
                while part and len(below) < CANDIDATES["trees"]:
                    below.add(part)
                    part = (part - 1) & subset  # the next smaller one
            found += regressed(codes[:count], y[None], np.array(sorted(below)), rng)
        yield count, found


def lattice(n: int, values: Values, rng: np.random.Generator, passes: Sequence[int]) -> Ways:
    """Yields what all masks up to an order lead to, see the module."""
    for count in passes:
        subsets, order = np.zeros(0, np.int64), 1
        while order <= n and len(subsets) + comb(n, order) <= min(count * 3 // 8, CANDIDATES["lattice"]):
            sets = [sum(1 << i for i in members) for members in combinations(range(n), order)]
            subsets, order = np.append(subsets, np.array(sets, np.int64)), order + 1
        size = rng.integers(1, n, count - 2 * len(subsets))  # of the random masks: all sizes alike
        others = ((rng.random((len(size), n)).argsort(1).argsort(1) < size[:, None]) << np.arange(n)).sum(1)
        codes = np.concatenate([subsets, 2**n - 1 - subsets, others])
        yield count, regressed(codes, values(codes), subsets, rng)


def groups(n: int, values: Values, rng: np.random.Generator, passes: Sequence[int]) -> Ways:
    """Yields what the split of groups of patches leads to, see the module; squares of four at first."""
    squares: dict[int, list[int]] = {}
    for i in range(n):
        row, column = divmod(i, n // 4)
        squares.setdefault(row // 2 * n + column // 2, []).append(i)
    taus = thresholds(values, n)
    partitions = [[*squares.values()] for _ in taus]
    for count in passes:
        found = []
        for game, parts in enumerate(partitions):
            while True:
                codes = np.zeros(1, np.int64)
                for part in parts:
                    codes = np.append(codes, codes | sum(1 << i for i in part))
                split = sparse_split(values(codes, game)[None], KAPPA, tie_break=EPSILON)
                if 2 << len(parts) > count or len(parts) == n:
                    break
                both = np.abs([split.i_and[0], split.i_or[0]])
                strength = (both * (both >= taus[game])).sum(0)
                in_salient = strength @ bits(np.arange(len(codes)), len(parts))
                widest = int(np.where([len(part) > 1 for part in parts], in_salient, -1).argmax())
                part, middle = parts[widest], len(parts[widest]) // 2
                parts[widest : widest + 1] = [part[:middle], part[middle:]]
            found.append(dense(split, 0, codes))
        yield count, found


def dense(split: Split, i: int, codes: np.ndarray) -> Found:
    """Returns the interactions of a sample of a split whose subsets stand for `codes`."""
    keys, effects = np.append(2 * codes, 2 * codes + 1), np.append(split.i_and[i], split.i_or[i])
    return dict(zip(keys.tolist(), effects.tolist(), strict=True))


WAYS = {"trees": trees, "lattice": lattice, "groups": groups}  # the last has one draw
SUMS = ("one", "found", "hits", "true", "either", "transferred", "chance", "strength")  # then strength by order
FIGURES = {  # name: of which sum, over which
    "salient a sample": ("found", "one"),
    "strength, nats": ("strength", "one"),
    "H": ("transferred", "strength"),
    "H by chance": ("chance", "strength"),
}
AGAINST_TRUTH = {"precision": ("hits", "found"), "recall": ("hits", "true"), "Jaccard": ("hits", "either")}


def tally(target: Found, base: Found, true: Found, n: int) -> np.ndarray:
    """Returns the sums of one sample: 1; numbers of interactions; Σ G·|I|, Σ c·|I|, c the chance, Σ |I|, in nats."""
    same = Counter((key & 1, (key >> 1).bit_count(), effect > 0) for key, effect in base.items())
    sums, profile = np.zeros(3), np.zeros(n + 1)
    for key, effect in target.items():
        order = (key >> 1).bit_count()
        chance = same[key & 1, order, effect > 0] / comb(n, order)
        sums += abs(effect) * np.array([base.get(key, 0) * effect > 0, chance, 1])
        profile[order] += abs(effect)
    hits, either = len(target.keys() & true.keys()), len(target.keys() | true.keys())
    return np.array([1, len(target), hits, len(true), either, *sums, *profile])


def spread(statistic: Callable[[np.ndarray], np.ndarray], count: int) -> list[float]:
    """Returns a statistic of all samples and its 95 % bootstrap interval over them."""
    return [round(float(x), 4) for x in (statistic(np.arange(count)[None])[0], *percentile(statistic, count))]


def share(sums: np.ndarray, part: str, whole: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns one of the sums over another, of drawn samples: a mean over draws."""
    a, b = (sums[..., SUMS.index(name)] for name in (part, whole))  # [draws, samples]
    return lambda drawn: (a[:, drawn].sum(-1) / np.maximum(b[:, drawn].sum(-1), 1e-12)).mean(0)


def judged(n: int, taus: np.ndarray, draws: list[list[Found]], truth: list[Found] | None) -> dict[str, Any]:
    """Returns how well salient interactions `[draws][games]` agree with the truth, if it is known, and each other."""
    count = len(taus) // 2

    def salient(found: Found, game: int) -> Found:
        return {key: effect for key, effect in found.items() if abs(effect) >= taus[game]}

    def tallies(each: list[list[Found]], true: list[list[Found]]) -> np.ndarray:
        pairs = zip(each, true, strict=True)
        return np.array([[tally(f[i], f[i + count], t[i], n) for i in range(count)] for f, t in pairs])

    draws = [[salient(found, game) for game, found in enumerate(each)] for each in draws]
    true = [salient(found, game) for game, found in enumerate(truth or draws[0])]
    sums, exact = tallies(draws, [true] * len(draws)), tallies([true], [true])
    row: dict[str, Any] = {name: spread(share(sums, *of), count) for name, of in FIGURES.items()}
    if len(draws) > 1:
        first, second = zip(*combinations(draws, 2), strict=True)
        row["Jaccard of two draws"] = spread(share(tallies([*first], [*second]), "hits", "either"), count)
    if truth is None:
        return row
    row |= {name: spread(share(sums, *of), count) for name, of in AGAINST_TRUTH.items()}
    h, exact_h = share(sums, *FIGURES["H"]), share(exact, *FIGURES["H"])
    row["error of H"] = spread(lambda drawn: h(drawn) - exact_h(drawn), count)
    profile, exact_profile = sums[..., len(SUMS) :], exact[..., len(SUMS) :]

    def misplaced(drawn: np.ndarray) -> np.ndarray:
        right = exact_profile[:, drawn].sum(2)
        return (np.abs(profile[:, drawn].sum(2) - right).sum(-1) / right.sum(-1)).mean(0)

    row["error of strength by order"] = spread(misplaced, count)
    if len(draws) > 1:
        reach = student.ppf(0.975, len(draws) - 1) / len(draws) ** 0.5 * profile.std(0, ddof=1)
        inside, there = (
            np.abs(profile.mean(0) - exact_profile[0]) <= reach,
            (profile > 0).any(0) | (exact_profile[0] > 0),
        )
        row["orders whose strength is in its interval"] = float(inside[there].mean().round(4))
    return row


def of_size(run: Run, n: int, passes: Sequence[int] = PASSES) -> Iterator[dict[str, Any]]:
    """Yields the rows of one n: the truth if it can be had, then every way and number of passes."""
    values, table = games(run, n)
    taus, truth, codes = thresholds(values, n), None, np.arange(2**n if table is not None else 0)
    for tolerance in ("default", "tight") if table is not None else ():
        start = time.process_time()
        split = sparse_split(table, KAPPA, tie_break=EPSILON, tolerance=tolerance)
        row = {"n": n, "way": f"split, {tolerance}", "passes": 2**n, "draws": 1, "worst gap": float(split.gap.max())}
        row["seconds a game"] = round((time.process_time() - start) / len(taus), 3)
        found = [dense(split, game, codes) for game in range(len(taus))]
        truth = truth or found
        yield row | judged(n, taus, [found], truth)
    held, ends = np.random.default_rng(7).integers(0, 2**n, HELD_OUT), values(np.array([2**n - 1]))
    u, zeta = (of_all[: len(taus) // 2] for of_all in (values(held), KAPPA * np.abs(ends)))
    for way, make in WAYS.items():
        draws: dict[int, list[list[Found]]] = {}
        number, start, seconds = 1 if way == "groups" else 3 if truth else 2, time.process_time(), Counter()
        for draw in range(number):
            for count, found in make(n, values, np.random.default_rng(draw), [c for c in passes if 2 * c <= 2**n]):
                draws.setdefault(count, []).append(found)
                seconds[count] += (time.process_time() - start) / number / len(taus)
                start = time.process_time()
        for count, each in draws.items():
            residual = u - [[predicted(of_game, held) for of_game in found[: len(u)]] for found in each]
            r2, inside = (1 - (residual**2).mean(-1) / u.var(-1)).mean(0), (np.abs(residual) <= zeta).mean((0, -1))
            row = {"n": n, "way": way, "passes": count, "draws": number, "seconds a game": round(seconds[count], 3)}
            row["R2 on held-out masks"] = spread(lambda drawn, x=r2: x[drawn].mean(-1), len(u))
            row["held-out masks within the bound of δ"] = spread(lambda drawn, x=inside: x[drawn].mean(-1), len(u))
            yield row | judged(n, taus, each, truth)


def main() -> None:
    """Measures, prints and keeps the rows; those of other sizes stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 16, 24, 32], help="multiples of 4")
    sizes = parser.parse_args().sizes
    torch.set_num_threads(1)
    old = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    rows = [row for row in old if row["n"] not in sizes]
    masking, training = replace(MNIST.masking, samples_per_split=5), replace(MNIST.training, checkpoints=())
    with TemporaryDirectory() as root:
        run = create_run(root, replace(MNIST, masking=masking, training=training))
        train_run(run)
        train_baselines(run, 1)
        for row in (row for n in sizes for row in of_size(run, n)):
            print(row, flush=True)
            rows.append(row)
    rows.sort(key=lambda row: row["n"])
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    RESULTS.write_text(f'{{"samples": 10, "rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
