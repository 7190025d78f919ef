"""Questions about interactions over the samples: one row for each pattern (see `formulas.subsets.WAYS`). No torch.

What is there at an epoch comes from that epoch's interactions, what became of them from the table `lives`, and one
pattern at all epochs from the table `patterns`, which has its rows side by side. `of` says over which samples: split
and label, as in `sample.FITS`. Strengths are in nats a sample: sums over these samples, divided by how many they
are; those on G are means over the baseline networks.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas import subsets
from interdash.formulas.bootstrap import FEW, group, mean_intervals
from interdash.formulas.flows import share
from interdash.formulas.subsets import MAX_VARIABLES, pattern_number
from interdash.masking.kinds import Kind, kind_of
from interdash.queries.dynamics import PLACE
from interdash.queries.sample import FITS
from interdash.store.database import Store
from interdash.store.long_tables import Rows

TARGET = {"network": "target"}
SEPARATOR = "\x1f"
WORDS = "array_to_string(list_sort(list_filter(names, lambda name, i: (subset >> (i - 1)) & 1 = 1)), chr(31))"
KEYS = {"variables": "subset", "words": WORDS, "order": "bit_count(subset)"}  # SQL: what a pattern shares
EPOCHS = "SELECT epoch FROM life_epochs WHERE run = ?"
CHOSEN = f"(FROM (SELECT *, {PLACE} AS place FROM samples WHERE run = $run) WHERE {FITS})"
MOST_VARIABLES = 20  # words of which the strengths are told apart
SORTS = {  # of patterns: column, and whether its highest values come first
    "strength": ("strength", False),
    "samples": ("samples", False),
    "effect": ("mean_strength", False),
    "share": ("power", False),
    "above chance": ("excess", False),
    "spread": ("spread", False),
    "order": ("size", False),
    "learned first": ("learned", True),
    "gone last": ("gone", False),
    "flips": ("flips", False),
}
COLUMNS = {  # that a condition can name: column of a table of patterns
    **{name: name for name in ("samples", "strength", "effect", "spread", "chance", "learned", "gone", "flips")},
    **{"order": "size", "share": "power", "above": "excess", "life": "life_line", "with": "names"},
}
LIFE = (
    *("epoch", "samples", "of_samples", "frequency", "frequency_low", "frequency_high", "effect", "effect_low"),
    *("effect_high", "tenth", "ninetieth", "power", "power_low", "power_high", "chance"),
)
VARIABLES = (
    *("name", "samples", "of_samples", "strength", "strength_low", "strength_high"),
    *("generalizable", "generalizable_low", "generalizable_high", "other", "other_low", "other_high"),
    *("by_chance", "power", "chance", "x", "y"),
)
PAIRS = ("first", "second", "strength", "generalizable", "by_chance", "power", "chance", "excess")
CONDITION = re.compile(r"\s*(\w+)\s*(>=|<=|=)\s*(.+?)\s*")


def patterns(store: Store, run: str, epoch: int, *, type: str = "all", **of: Any) -> pd.DataFrame:
    """Returns the patterns that are salient in any of some samples at an epoch, one row each, strongest first.

    type, key (what they share), names; subset and sample of its strongest, size; samples (how many have it), of_samples
    (how many there are), interactions; effect (mean, signed), spread (standard deviation) and mean_strength over those
    that are salient, nats; strength, generalizable, by_chance (nats a sample); power, chance and excess: the
    generalizable share of the strength, its level by chance and the difference.
    """
    rows = store.ask(
        f"""
        WITH chosen AS {CHOSEN}, i AS {_salient(store, run)}
        SELECT type, key, arg_max(subset, strength) AS subset, arg_max(sample, strength) AS sample, max(size) AS size,
            count(DISTINCT sample) AS samples, any_value(chosen) AS of_samples, count(*) AS interactions,
            avg(effect) AS effect, stddev_samp(effect) AS spread, avg(strength) AS mean_strength,
            sum(strength / chosen) AS strength, sum(strength * share / chosen) AS generalizable,
            sum(strength * chance / chosen) AS by_chance
        FROM i GROUP BY type, key ORDER BY strength DESC, type, key
        """,
        _parameters(run, **of) | TARGET | {"epoch": epoch, "type": type},
        details=("interactions",),
    )
    return _with_powers(rows).assign(names=_names(store, run, rows))


def pattern_lives(store: Store, run: str, *, type: str = "all", **of: Any) -> pd.DataFrame:
    """Returns what became of the patterns over all recorded epochs, one row each; none before lives are followed.

    type, key, names, subset and sample of one; ever (how many interactions were ever present), learned (median of the
    epochs at which they came), gone (median of those at which they were gone for good; null if none was), gone_count,
    flips (changes of sign, mean), life_line (of most of them) and life_share (of how many).
    """
    rows = store.ask(
        f"""
        WITH chosen AS {CHOSEN}, l AS (
            SELECT lives.* EXCLUDE run, {_key(store, run)} AS key
            FROM (FROM lives WHERE run = $run) lives JOIN chosen USING (sample) WHERE $type IN ('all', type)),
        lines AS (
            SELECT type, key, arg_max(life_line, n) AS life_line, max(n) / sum(n) AS life_share
            FROM (SELECT type, key, life_line, count(*) AS n FROM l GROUP BY ALL ORDER BY ALL) GROUP BY ALL)
        SELECT type, key, min(subset) AS subset, arg_min(sample, subset) AS sample, max(size) AS size,
            count(*) AS ever, median(born) AS learned, median(gone) AS gone, count(gone) AS gone_count,
            avg(flips) AS flips, any_value(lines.life_line) AS life_line, any_value(life_share) AS life_share
        FROM l JOIN lines USING (type, key) GROUP BY type, key ORDER BY type, key
        """,
        _parameters(run, **of) | {"type": type},
        details=("lives",),
    )
    return rows.assign(names=_names(store, run, rows))


def joined(patterns: pd.DataFrame, lives: pd.DataFrame) -> pd.DataFrame:
    """Returns both as one table; those that are salient in no sample at the epoch come last, with strength 0."""
    rows = patterns.merge(lives, on=["type", "key"], how="outer" if len(lives) else "left", suffixes=("", "_ever"))
    for name in ("subset", "sample", "size", "names"):
        rows[name] = rows[name].where(rows[name].notna(), rows.pop(f"{name}_ever"))
    rows = rows.astype({name: int for name in ("subset", "sample", "size")})
    counts = ["samples", "interactions", "strength", "generalizable", "other", "by_chance"]
    rows.loc[rows["samples"].isna(), counts] = 0
    rows["of_samples"] = max(patterns["of_samples"].tolist(), default=0)
    return rows.sort_values(["strength", "type", "key"], ascending=[False, True, True], ignore_index=True)


def selected(rows: pd.DataFrame, where: Sequence[str] = (), sort: str = "strength") -> pd.DataFrame:
    """Returns the rows of `joined` that all conditions hold for, sorted by one of `SORTS`.

    Raises:
        ValueError: a condition or the order cannot be read.
    """
    if sort not in SORTS:
        raise ValueError(f"interactions cannot be sorted by {sort!r}; choose one of {', '.join(SORTS)}")
    for column, sign, value in map(condition, where):
        if column == "names":
            holds = [value in names[1:-1].split(", ") for names in rows[column]]
        else:
            holds = {"=": rows[column].eq, ">=": rows[column].ge, "<=": rows[column].le}[sign](value)
        rows = rows.loc[holds]
    column, ascending = SORTS[sort]
    return rows.sort_values(column, ascending=ascending, kind="stable", na_position="last", ignore_index=True)


def condition(text: str) -> tuple[str, str, Any]:
    """Returns column, sign and value of a condition such as "samples >= 10", "share <= 20%" or "with = age".

    >>> condition("share <= 20%")
    ('power', '<=', 0.2)

    Raises:
        ValueError: it cannot be read.
    """
    match = CONDITION.fullmatch(text)
    if match is None or match[1] not in COLUMNS:
        raise ValueError(f"{text!r} is no condition; write {', '.join(COLUMNS)}, then >=, <= or =, then a value")
    column, sign, value = COLUMNS[match[1]], match[2], match[3]
    if column in ("life_line", "names"):
        if sign != "=":
            raise ValueError(f"{match[1]} is a word; write {match[1]} = {value}, not {text}")
        return column, sign, value
    try:
        return column, sign, float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{value!r} in {text!r} is no number, such as 10 or 20%") from None


def pattern_life(store: Store, run: str, type: str, subset: int, sample: int = 0, **of: Any) -> pd.DataFrame:
    """Returns one pattern, that of an interaction of a sample, at every recorded epoch over some samples.

    epoch; samples (how many have it), of_samples; effect (mean, signed, over those that are salient, nats), tenth and
    ninetieth (quantiles of these effects); frequency (share of the samples that have it), power, chance. effect,
    frequency and power with the ends of their 95 % bootstrap intervals over samples, as _low and _high, where `FEW` or
    more have it. No rows before lives are followed.
    """
    names, by = _names_of(store, run, sample), _kind(store, run).pattern
    number = pattern_number(by, type, subset, names)
    chosen = store.ask(f"SELECT sample, place FROM {CHOSEN} ORDER BY sample", _parameters(run, **of))
    epochs = np.array([epoch for (epoch,) in store.fetch(f"{EPOCHS} ORDER BY epoch", [run])], int)
    rows = store.ask(
        f"""
        SELECT epoch, sample, count(*) AS salient, sum(effect)::DOUBLE AS effect, sum(abs(effect))::DOUBLE AS strength,
            sum(abs(effect) * share)::DOUBLE AS generalizable, sum(abs(effect) * chance)::DOUBLE AS by_chance
        FROM (FROM patterns WHERE run = $run AND pattern = $pattern AND type = $type) JOIN {CHOSEN} USING (sample)
        WHERE {_key(store, run)} = $key GROUP BY epoch, sample
        """,
        _parameters(run, **of) | {"pattern": number, "type": type, "key": _own_key(by, subset, names)},
        details=(Rows("patterns", run, pattern=number),),
    )
    if rows.empty:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in LIFE})
    sums = np.zeros((len(epochs), len(chosen), 6))
    values = rows[["salient", "effect", "strength", "generalizable", "by_chance"]].to_numpy(float)
    where: Any = np.searchsorted(epochs, rows["epoch"]), np.searchsorted(chosen["sample"], rows["sample"])
    sums[where] = np.nan_to_num(np.concatenate([values[:, :1] > 0, values], axis=1))
    drawn = group(chosen["place"], len(chosen))
    effects = np.where(sums[..., 1] > 0, share(sums[..., 2], sums[..., 1]), np.nan)
    tenth, ninetieth = _ends(effects)
    made = {"epoch": epochs, "samples": sums[..., 0].sum(1).astype(int), "of_samples": sums.shape[1]}
    made |= {"tenth": tenth, "ninetieth": ninetieth} | _life(sums.mean(1))
    for name, ends in mean_intervals(_life, sums, drawn).items():
        enough = (sums.shape[1] if name == "frequency" else made["samples"]) >= np.array(FEW)
        made |= {f"{name}_{end}": np.where(enough, ends[i], np.nan) for i, end in enumerate(("low", "high"))}
    if rows["generalizable"].isna().to_numpy().all():  # no baseline network
        made |= dict.fromkeys(("power", "power_low", "power_high", "chance"), np.nan)
    return pd.DataFrame(made, columns=[*LIFE])


def pattern_samples(
    store: Store, run: str, epoch: int, type: str, subset: int, sample: int = 0, **of: Any
) -> pd.DataFrame:
    """Returns the samples in which a pattern is salient at an epoch, strongest first.

    sample, type, split, label_name, true_label_name, random (whether its label is; null if not known), subset, rank,
    effect (nats), votes, baselines, generalizes, chance.
    """
    names, by = _names_of(store, run, sample), _kind(store, run).pattern
    return store.ask(
        f"""
        SELECT sample, type, split, label_name, true_label_name, true_label <> label AS random, subset, rank, effect,
            votes, baselines, generalizes, chance
        FROM (FROM interactions WHERE run = $run AND network = $network AND epoch = $epoch AND type = $type)
        JOIN (SELECT baselines FROM networks WHERE run = $run AND network = $network AND epoch = $epoch) ON true
        JOIN {CHOSEN} USING (sample)
        WHERE {_key(store, run)} = $key ORDER BY abs(effect) DESC, sample, subset
        """,
        _parameters(run, **of) | TARGET | {"epoch": epoch, "type": type, "key": _own_key(by, subset, names)},
        details=("interactions",),
    )


def variables(store: Store, run: str, epoch: int, *, type: str = "all", **of: Any) -> pd.DataFrame:
    """Returns how much each variable takes part in, strongest first; of words the first `MOST_VARIABLES`.

    Each interaction's strength is divided equally among its variables, so that these add up to all of it (ours). name;
    samples (in how many it takes part in any), of_samples; strength, generalizable, other and by_chance (nats a
    sample), all but the last with the ends of their 95 % bootstrap intervals over samples; power, chance. Of variables
    that have a place in a picture: x and y, where its middle lies, in pixels.
    """
    kind = _kind(store, run)
    if kind.pattern == "order":
        return pd.DataFrame(columns=[*VARIABLES])
    rows = store.ask(
        f"""
        WITH chosen AS {CHOSEN}, i AS {_salient(store, run)},
            v AS (SELECT unnest(range({MAX_VARIABLES})) AS bit),
            s AS (SELECT {"names[bit + 1]" if kind.pattern == "words" else "bit"} AS variable, sample,
                sum(strength * share / size) AS generalizable, sum(strength / size) AS strength,
                sum(strength * chance / size) AS by_chance
                FROM i JOIN v ON (subset >> bit) & 1 = 1 GROUP BY ALL),
            most AS (SELECT variable FROM s GROUP BY variable ORDER BY sum(strength) DESC, variable
                LIMIT {MOST_VARIABLES})
        SELECT variable, sample, place, coalesce(strength, 0) AS strength,
            if(strength IS NULL, 0, generalizable) AS generalizable, if(strength IS NULL, 0, by_chance) AS by_chance
        FROM most CROSS JOIN chosen LEFT JOIN s USING (variable, sample) ORDER BY variable, sample
        """,
        _parameters(run, **of) | TARGET | {"epoch": epoch, "type": type},
        details=("interactions",),
    )
    if rows.empty:
        return pd.DataFrame(columns=[*VARIABLES])
    every = rows["variable"].drop_duplicates().tolist()
    sums = rows[["strength", "generalizable", "by_chance"]].to_numpy(float).reshape(len(every), -1, 3)
    made: dict[str, Any] = {"name": every} if kind.pattern == "words" else {"name": _variable_names(store, run, every)}
    made |= {"samples": (sums[..., 0] > 0).sum(1), "of_samples": sums.shape[1]} | _parts(sums.mean(1))
    bounds = mean_intervals(_parts, sums, group(rows["place"].head(sums.shape[1]), sums.shape[1]))
    for name in ("strength", "generalizable", "other"):
        made |= {f"{name}_low": bounds[name][0], f"{name}_high": bounds[name][1]}
    made["x"], made["y"] = _places(store, run, every, kind)
    table = pd.DataFrame(made, columns=[*VARIABLES])
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)


def variable_pairs(store: Store, run: str, epoch: int, *, type: str = "all", **of: Any) -> pd.DataFrame:
    """Returns how strongly each two variables interact, strongest first; of words those among `MOST_VARIABLES`.

    Each interaction's strength is divided equally among its pairs of variables (ours). first, second (their names),
    strength, generalizable, by_chance (nats a sample), power, chance, excess.
    """
    kind = _kind(store, run)
    if kind.pattern == "order":
        return pd.DataFrame(columns=[*PAIRS])
    first, second = (f"names[{bit} + 1]" if kind.pattern == "words" else bit for bit in ("a.bit", "b.bit"))
    part = "2 / (size * (size - 1)) / chosen"  # of an interaction's strength, a pair's, a sample
    rows = store.ask(
        f"""
        WITH chosen AS {CHOSEN}, i AS {_salient(store, run)}, v AS (SELECT unnest(range({MAX_VARIABLES})) AS bit)
        SELECT least({first}, {second}) AS first, greatest({first}, {second}) AS second,
            sum(strength * {part}) AS strength, sum(strength * share * {part}) AS generalizable,
            sum(strength * chance * {part}) AS by_chance
        FROM i JOIN v a ON (subset >> a.bit) & 1 = 1 JOIN v b ON (subset >> b.bit) & 1 = 1 AND a.bit < b.bit
        GROUP BY ALL ORDER BY strength DESC, first, second
        """,
        _parameters(run, **of) | TARGET | {"epoch": epoch, "type": type},
        details=("interactions",),
    )
    if kind.pattern != "words":
        rows = rows.assign(**{side: _variable_names(store, run, rows[side].tolist()) for side in ("first", "second")})
    return pd.DataFrame(_with_powers(rows), columns=[*PAIRS])


def _parameters(run: str, split: str = "all", label: int = -1) -> dict[str, Any]:
    """Returns the parameters of `FITS`: which samples are chosen."""
    return {"run": run, "split": split, "label": label}


def _kind(store: Store, run: str) -> Kind:
    return kind_of(store.fetch("SELECT kind FROM runs WHERE run = ?", [run])[0][0])


def _key(store: Store, run: str) -> str:
    return KEYS[_kind(store, run).pattern]


def _own_key(by: str, subset: int, names: Sequence[str]) -> Any:
    """Returns what `KEYS` gives for one interaction."""
    words = SEPARATOR.join(sorted(names[i] for i in subsets.members(subset)))
    return {"variables": subset, "words": words, "order": subset.bit_count()}[by]


def _salient(store: Store, run: str) -> str:
    """Returns the salient interactions of the chosen samples at an epoch, as SQL."""
    return f"""(
        SELECT type, {_key(store, run)} AS key, names, subset, size, sample, effect::DOUBLE AS effect,
            abs(effect)::DOUBLE AS strength, votes / baselines AS share, chance, (SELECT count(*) FROM chosen) AS chosen
        FROM (FROM interactions WHERE run = $run AND network = $network AND epoch = $epoch)
        JOIN (SELECT baselines FROM networks WHERE run = $run AND network = $network AND epoch = $epoch) ON true
        JOIN chosen USING (sample) WHERE $type IN ('all', type))"""


def _with_powers(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows with other, power, chance and excess, from strength, generalizable and by_chance."""
    general, level, strength = (rows[name].to_numpy(float) for name in ("generalizable", "by_chance", "strength"))
    power, chance = share(general, strength), share(level, strength)
    return rows.assign(other=strength - general, power=power, chance=chance, excess=power - chance)


def _names_of(store: Store, run: str, sample: int) -> list[str]:
    """Returns what the variables of a sample are called, by number if the run's kind numbers them."""
    rows = store.fetch("SELECT names FROM samples WHERE run = ? AND sample = ?", [run, sample])
    return list(rows[0][0]) if rows else []


def _variable_names(store: Store, run: str, variables: Sequence[int]) -> list[str]:
    """Returns what variables that mean the same in every sample are called, by number if the kind numbers them."""
    if _kind(store, run).numbered:
        return [*map(str, variables)]
    names = _names_of(store, run, 0)
    return [names[variable] for variable in variables]


def _names(store: Store, run: str, rows: pd.DataFrame) -> list[str]:
    """Returns what the patterns of some rows share, in words: "{age, sex}", "{3, 5}" or "of order 2"."""
    by = _kind(store, run).pattern
    if by == "words":
        return ["{" + key.replace(SEPARATOR, ", ") + "}" for key in rows["key"]]
    if by == "order":
        return [f"of order {key}" for key in rows["key"]]
    names = _variable_names(store, run, range(len(_names_of(store, run, 0))))
    return [subsets.label(subset, names) for subset in rows["key"].tolist()]


def _places(store: Store, run: str, variables: Sequence[Any], kind: Kind) -> tuple[list[float], list[float]]:
    """Returns x and y of the middle of each variable in a picture, pixels; NaN of those without a place."""
    rows = store.fetch("SELECT shape, assignment FROM samples WHERE run = ? AND sample = 0", [run])
    if not rows or kind.pattern != "variables" or len(rows[0][0]) != 2:
        return [np.nan] * len(variables), [np.nan] * len(variables)
    owners = np.reshape(rows[0][1], rows[0][0])
    y, x = np.array([np.argwhere(owners == variable).mean(0) for variable in variables]).T
    return x.tolist(), y.tolist()


def _life(means: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the measures of a pattern from means over samples: has it, number, effect, strength, on G, by chance."""
    frequency, number, effect, strength, general, level = np.moveaxis(means, -1, 0)
    of_strength = {name: share(part, strength) for name, part in (("power", general), ("chance", level))}
    return {"frequency": frequency, "effect": share(effect, number), **of_strength}


def _ends(effects: np.ndarray) -> np.ndarray:
    """Returns the 10 % and 90 % quantiles of effects `[epochs, samples]`, NaN passed over: `[2, epochs]`."""
    some = ~np.isnan(effects).all(1)
    ends = np.full((2, len(effects)), np.nan)
    ends[:, some] = np.nanquantile(effects[some], (0.1, 0.9), axis=1)
    return ends


def _parts(means: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the strengths of variables from means over samples `[..., 3]`: whole, generalizable, by chance."""
    strength, general, level = np.moveaxis(means, -1, 0)
    parts = {"generalizable": general, "other": strength - general, "by_chance": level, "strength": strength}
    return parts | {"power": share(general, strength), "chance": share(level, strength)}
