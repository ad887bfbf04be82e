"""How often bounds for ROC-AUC and average precision are wrong, where the truth is known by a formula.

`measure` draws data sets from each scenario and judges the bounds of `pytest_modelgate.metrics.ranking_bounds`;
`controls` judges methods that are known to be wrong on the same data sets. Normal scores have the truth
Phi(d / sqrt(2)); rounded ones a sum over the cells; average precision and beta-distributed scores an integral over
20,000 quantiles of the positive samples' scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rates import Rate
from scipy.special import betainc, betaincinv, expit, ndtr, ndtri

from pytest_modelgate.metrics import influences, ranking_bounds
from pytest_modelgate.metrics.ranking import average_precision, roc_auc
from pytest_modelgate.statistics.areas import sum_of_squares
from pytest_modelgate.statistics.interval import Interval

QUANTILES = (np.arange(20_000) + 0.5) / 20_000
Draw = Callable[[np.random.Generator], dict[str, Any]]
Bounds = Callable[..., "Interval | None"]
AREA = {"roc_auc": roc_auc, "average_precision": average_precision}
INTERVAL = {
    "roc_auc": ranking_bounds.roc_auc_interval,
    "average_precision": ranking_bounds.average_precision_interval,
}
INFLUENCE = {
    "roc_auc": influences.roc_auc_influence,
    "average_precision": influences.average_precision_influence,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A truth, and how to draw the arguments of the bounds from it; `right` judges them, `wrong` must not be used."""

    metric: str
    name: str
    truth: float
    draw: Draw
    right: Bounds
    wrong: dict[str, Bounds] = field(default_factory=dict)


# -- truths -----------------------------------------------------------------------------------------------------------


def shift_for(auc: float) -> float:
    """How far apart two standard normal distributions are with this ROC-AUC."""
    return float(ndtri(auc) * 2**0.5)


def precision_of(shift: float, prevalence: float) -> float:
    """The average precision of two standard normal distributions at this share of positive samples."""
    scores = ndtri(QUANTILES) + shift
    hits, misses = prevalence * (1 - QUANTILES), (1 - prevalence) * ndtr(-scores)
    return float(np.mean(hits / (hits + misses)))


def shift_for_precision(target: float, prevalence: float) -> float:
    """How far apart two standard normal distributions are with this average precision."""
    low, high = -1.0, 9.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if precision_of(middle, prevalence) < target else (low, middle)
    return low


def rounded_auc(shift: float, step: float) -> float:
    """The ROC-AUC of two standard normal distributions whose scores are rounded to multiples of `step`."""
    edges = (np.arange(-200, 201) + 0.5) * step
    negative = np.diff(np.concatenate(([0.0], ndtr(edges), [1.0])))
    positive = np.diff(np.concatenate(([0.0], ndtr(edges - shift), [1.0])))
    return float((positive * (np.cumsum(negative) - negative / 2)).sum())


def beta_auc(a: float, b: float) -> float:
    """The ROC-AUC of positive scores from Beta(a, b) against negative scores from Beta(b, a)."""
    return float(np.mean(betainc(b, a, betaincinv(a, b, QUANTILES))))


# -- methods that are known to be wrong -----------------------------------------------------------------------------


def logit(kind: str, quantile: float = 1.6448536269514722) -> Bounds:
    """The usual one: the influences' (DeLong's) standard error on the logit scale, and a normal quantile."""

    def bounds(scores: Any, positive: Any) -> Interval | None:
        area, influence = AREA[kind](scores, positive), INFLUENCE[kind](scores, positive)
        if area is None or influence is None:
            return None
        if not 0 < area < 1:
            return Interval(area, area)
        m, n = positive.sum(), len(positive) - positive.sum()
        factor = np.where(positive, m / max(m - 1, 1), n / max(n - 1, 1))
        error = sum_of_squares(influence * factor**0.5) ** 0.5 / (area * (1 - area))
        middle = np.log(area / (1 - area))
        return Interval(float(expit(middle - quantile * error)), float(expit(middle + quantile * error)))

    return bounds


def ignoring(bounds: Bounds, name: str) -> Bounds:
    """The right bounds, without the groups or the weights."""
    return lambda **arguments: bounds(**{key: value for key, value in arguments.items() if key != name})


def paired_delong(candidate: Any, baseline: Any, positive: Any) -> Interval:
    """Paired DeLong as published, with a normal quantile."""
    moved = influences.roc_auc_influence(candidate, positive) - influences.roc_auc_influence(baseline, positive)
    difference, reach = roc_auc(candidate, positive) - roc_auc(baseline, positive), 1.645 * sum_of_squares(moved) ** 0.5
    return Interval(difference - reach, difference + reach)


# -- scenarios --------------------------------------------------------------------------------------------------------


def _labels(m: int, n: int) -> np.ndarray:
    return np.arange(m + n) < m


def _binormal(m: int, n: int, shift: float, step: float = 0.0, spread: float = 1.0) -> Draw:
    positive = _labels(m, n)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        scores = rng.standard_normal(m + n)
        scores = np.where(positive, shift + spread * scores, scores)
        return {"scores": np.round(scores / step) if step else scores, "positive": positive}

    return draw


def _beta(m: int, n: int, a: float, b: float) -> Draw:
    positive = _labels(m, n)
    return lambda rng: {
        "scores": np.concatenate((rng.beta(a, b, m), rng.beta(b, a, n))),
        "positive": positive,
    }


def roc_auc_scenarios() -> Iterable[Scenario]:
    """Normal scores, equal and unequal spreads, rounded ones, and scores between 0 and 1."""
    right, wrong = INTERVAL["roc_auc"], {"DeLong on the logit": logit("roc_auc")}
    for m, n in ((10, 10), (10, 100), (30, 30), (50, 500), (200, 200)):
        for auc in (0.6, 0.8, 0.95, 0.99):
            draws = [(f"normal, AUC {auc}", auc, _binormal(m, n, shift_for(auc)))]
            if auc in (0.8, 0.95):
                shift = shift_for(auc)
                wide = float(ndtr(shift / 5**0.5))
                draws.append(
                    (f"rounded to whole numbers, AUC {auc}", rounded_auc(shift, 1.0), _binormal(m, n, shift, 1.0))
                )
                draws.append(
                    (f"positive scores twice as spread, AUC {wide:.3f}", wide, _binormal(m, n, shift, 0.0, 2.0))
                )
            if auc == 0.99:
                draws.append((f"beta, AUC {beta_auc(3, 1):.3f}", beta_auc(3, 1), _beta(m, n, 3, 1)))
            for name, truth, draw in draws:
                yield Scenario(
                    metric="roc_auc",
                    name=f"{name}, {m} against {n}",
                    truth=truth,
                    draw=draw,
                    right=right,
                    wrong=wrong,
                )


def _mistaken(m: int, n: int, shift: float, share: float, of: str, group: int = 0, beyond: float = 0.0) -> Draw:
    """A share of the samples of one kind (or of its groups of this size) that score like the other kind, or beyond."""
    positive = _labels(m, n)
    doubtful = positive if of == "positive" else ~positive

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        hidden = rng.random(m + n) < share
        if group:
            codes = np.arange(m + n) // group
            hidden = hidden[codes]
        hidden &= doubtful
        scores = rng.standard_normal(m + n) + shift * (positive ^ hidden)
        scores += np.where(hidden, np.where(positive, -beyond, beyond), 0.0)
        return {"scores": scores, "positive": positive} | ({"groups": codes} if group else {})

    return draw


def few_of_one_kind_scenarios() -> Iterable[Scenario]:
    """Few samples of one kind: ordinary scores, and a share of the few that scores like the other kind."""
    right, wrong = INTERVAL["roc_auc"], {"DeLong on the logit": logit("roc_auc")}
    for m, n in ((200, 5), (500, 10), (1000, 20), (3000, 50), (5, 200), (500, 100)):
        for auc, spread in ((0.8, 1.0), (0.95, 1.0), (0.95, 2.0), (0.99, 1.0)):
            yield Scenario(
                metric="roc_auc",
                name=f"AUC {auc}, positive scores {spread:g} times as spread, {m} against {n}",
                truth=auc,
                draw=_binormal(m, n, shift_for(auc) * ((1 + spread**2) / 2) ** 0.5, 0.0, spread),
                right=right,
                wrong=wrong,
            )
    for few, many, share, shift in (
        (20, 1000, 0.05, 4.0),
        (10, 500, 0.1, 4.0),
        (50, 1000, 0.03, 4.0),
        (100, 2000, 0.02, 4.0),
        (1000, 3000, 0.002, 4.0),
        (30, 2000, 0.05, 4.5),
        (30, 300, 0.05, 4.5),
        (30, 40, 0.05, 4.0),
    ):
        for of in ("positive", "negative"):
            m, n = (few, many) if of == "positive" else (many, few)
            yield Scenario(
                metric="roc_auc",
                name=f"{share:.1%} of the {of} samples score like the others, {shift:g} apart, {m} against {n}",
                truth=float((1 - share) * ndtr(shift / 2**0.5) + share / 2),
                draw=_mistaken(m, n, shift, share, of),
                right=right,
                wrong=wrong,
            )
    for few, many, share in ((10, 500, 0.27), (30, 1000, 0.1), (100, 1000, 0.031)):
        for of in ("positive", "negative"):
            m, n = (few, many) if of == "positive" else (many, few)
            yield Scenario(
                metric="roc_auc",
                name=f"{share:.1%} of the {of} samples on the wrong side of all others, {m} against {n}",
                truth=float((1 - share) * ndtr(4.0 / 2**0.5)),
                draw=_mistaken(m, n, 4.0, share, of, beyond=20.0),
                right=right,
                wrong=wrong,
            )


def few_groups_scenarios() -> Iterable[Scenario]:
    """Few groups of one kind, of which a share scores like the other kind."""
    for few, many, share in ((10, 100, 0.1), (20, 40, 0.05), (40, 40, 0.03)):
        for of in ("positive", "negative"):
            m, n = (few, many) if of == "positive" else (many, few)
            yield Scenario(
                metric="roc_auc",
                name=f"{share:.0%} of the groups of {of} samples score like the others, {m} of 10 against {n}",
                truth=float((1 - share) * ndtr(4.0 / 2**0.5) + share / 2),
                draw=_mistaken(10 * m, 10 * n, 4.0, share, of, 10),
                right=INTERVAL["roc_auc"],
                wrong={"groups ignored": ignoring(INTERVAL["roc_auc"], "groups")},
            )


def _independent(size: int, prevalence: float, shift: float) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        positive = rng.random(size) < prevalence
        return {"scores": rng.standard_normal(size) + shift * positive, "positive": positive}

    return draw


def average_precision_scenarios() -> Iterable[Scenario]:
    """Normal scores; how many samples are positive is chance too."""
    for prevalence in (0.5, 0.1, 0.02):
        for truth in (0.3, 0.6, 0.8, 0.9, 0.98):
            if truth > prevalence:
                for m in (10, 30, 100):
                    yield Scenario(
                        metric="average_precision",
                        name=f"AP {truth}, share of positives {prevalence}, about {m}",
                        truth=truth,
                        draw=_independent(int(m / prevalence), prevalence, shift_for_precision(truth, prevalence)),
                        right=INTERVAL["average_precision"],
                        wrong={"logit": logit("average_precision")},
                    )


def _grouped(groups: int, size: int, shift: float, shared: float, how: str) -> Draw:
    codes = np.repeat(np.arange(groups), size)
    if how == "labels of groups":
        positive = codes % 2 == 0
    else:
        positive = np.arange(groups * size) % 2 == 0

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        common = rng.standard_normal(groups)[codes]
        if how == "hard groups":
            common = np.where(positive, common, -common)
        scores = shared**0.5 * common + (1 - shared) ** 0.5 * rng.standard_normal(groups * size)
        return {"scores": scores + shift * positive, "positive": positive, "groups": codes}

    return draw


def grouped_scenarios() -> Iterable[Scenario]:
    """Groups of 20 with an intra-class correlation of .3: one label a group, or groups that are harder than others."""
    for groups in (20, 40):
        for how in ("labels of groups", "hard groups", "higher groups"):
            for auc in (0.75, 0.9, 0.97):
                for kind in ("roc_auc", "average_precision"):
                    shift = shift_for(auc)
                    draw = _grouped(groups, 20, shift, 0.3, how)
                    naive = {"groups ignored": ignoring(INTERVAL[kind], "groups")} if how != "higher groups" else {}
                    yield Scenario(
                        metric=kind,
                        name=f"{how}, {groups} of 20, AUC {auc}",
                        truth=auc if kind == "roc_auc" else precision_of(shift, 0.5),
                        draw=draw,
                        right=INTERVAL[kind],
                        wrong=naive,
                    )


def _strata(m: int, n: int, shifts: tuple[float, float], weights: tuple[float, float]) -> Draw:
    """Half of the samples from an easy and half from a hard stratum, weighted as common as they really are."""
    positive = _labels(m, n)
    hard = np.arange(m + n) % 2

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        scores = rng.standard_normal(m + n) + np.where(positive, np.array(shifts)[hard], 0.0)
        return {"scores": scores, "positive": positive, "weights": np.array(weights)[hard]}

    return draw


def _by_chance(m: int, n: int, shift: float) -> Draw:
    plain = _binormal(m, n, shift)
    return lambda rng: {**plain(rng), "weights": rng.exponential(size=m + n)}


def weighted_scenarios() -> Iterable[Scenario]:
    """A hard stratum of weight 1 beside an easy one of weight 4, and weights by chance."""
    for m, n in ((20, 20), (20, 200), (100, 100)):
        for auc in (0.7, 0.9, 0.97):
            hard, easy = shift_for(auc - 0.1), shift_for(auc)
            yield Scenario(
                metric="roc_auc",
                name=f"weights by stratum, AUC {auc}, {m} against {n}",
                truth=float(0.2 * ndtr(easy / 2**0.5) + 0.8 * ndtr(hard / 2**0.5)),
                draw=_strata(m, n, (easy, hard), (1.0, 4.0)),
                right=INTERVAL["roc_auc"],
                wrong={"weights ignored": ignoring(INTERVAL["roc_auc"], "weights")},
            )
            for kind in ("roc_auc", "average_precision"):
                yield Scenario(
                    metric=kind,
                    name=f"weights by chance, AUC {auc}, {m} against {n}",
                    truth=auc if kind == "roc_auc" else precision_of(easy, m / (m + n)),
                    draw=_by_chance(m, n, easy),
                    right=INTERVAL[kind],
                )


def _classes(shares: np.ndarray, size: int, shifts: np.ndarray) -> Draw:
    counts = np.maximum(1, np.round(shares * size)).astype(int)
    fixed = np.repeat(np.arange(len(shares)), counts)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        values = rng.standard_normal((len(fixed), len(shares)))
        values[np.arange(len(fixed)), fixed] += shifts[fixed]
        return {"values": values, "target": fixed}

    return draw


def average_scenarios() -> Iterable[Scenario]:
    """Three and ten classes, equally common or not, some harder than others."""
    for num_classes, sizes in ((3, (30, 150)), (10, (100, 500))):
        for size in sizes:
            for auc in (0.75, 0.95, 0.99):
                for kind in ("roc_auc", "average_precision"):
                    for average in ("macro", "weighted"):
                        shares = np.full(num_classes, 1.0)
                        if average == "weighted" or auc == 0.95:
                            shares = 0.8 ** np.arange(num_classes)
                        shares = np.maximum(1, np.round(shares / shares.sum() * size)) / size
                        shares /= shares.sum()
                        shifts = shift_for(auc) + 0.5 * np.linspace(-1, 1, num_classes)
                        if kind == "roc_auc":
                            truths = ndtr(shifts / 2**0.5)
                        else:
                            truths = [precision_of(d, p) for d, p in zip(shifts, shares, strict=True)]
                        counted = shares if average == "weighted" else None

                        def right(
                            values: Any, target: Any, kind: Any = kind, average: Any = average
                        ) -> Interval | None:
                            return ranking_bounds.average_area_interval(kind, values, target, average=average)

                        yield Scenario(
                            metric=f"{average} {kind}",
                            name=f"{num_classes} classes, {size} samples, AUC about {auc}",
                            truth=float(np.average(truths, weights=counted)),
                            draw=_classes(shares, size, shifts),
                            right=right,
                        )


def _paired(m: int, n: int, shifts: tuple[float, float], correlation: float) -> Draw:
    positive = _labels(m, n)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        common = correlation**0.5 * rng.standard_normal(m + n)
        scores = [shift * positive + common + (1 - correlation) ** 0.5 * rng.standard_normal(m + n) for shift in shifts]
        return {"candidate": scores[0], "baseline": scores[1], "positive": positive}

    return draw


def _lost(m: int, n: int, shift: float, share: float) -> Draw:
    plain, positive = _binormal(m, n, shift), _labels(m, n)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        scores = plain(rng)["scores"]
        lost = positive & (rng.random(m + n) < share)
        return {"candidate": np.where(lost, -99.0, scores), "baseline": scores, "positive": positive}

    return draw


def _pair(kind: str) -> Bounds:
    return lambda **arguments: ranking_bounds.paired_area_interval(kind, **arguments)


def paired_scenarios() -> Iterable[Scenario]:
    """Two models of the same samples that are equally good, a worse one, and one that loses some positive samples."""
    wrong = {"paired DeLong, normal": paired_delong}
    for m, n in ((20, 200), (50, 50), (200, 200)):
        for auc in (0.8, 0.95):
            for share in (0.02, 0.1):
                yield Scenario(
                    metric="paired roc_auc",
                    name=f"AUC {auc}, share {share} of positives lost, {m} against {n}",
                    truth=-share * auc,
                    draw=_lost(m, n, shift_for(auc), share),
                    right=_pair("roc_auc"),
                    wrong=wrong,
                )
    for m, n in ((10, 10), (20, 200), (50, 50), (200, 200)):
        for auc in (0.75, 0.9, 0.97):
            for drop in (0.0, 0.05):
                for correlation in (0.5, 0.95):
                    for kind in ("roc_auc", "average_precision"):
                        shifts = (shift_for(auc - drop), shift_for(auc))
                        truth = -drop
                        if kind == "average_precision":
                            truth = precision_of(shifts[0], m / (m + n)) - precision_of(shifts[1], m / (m + n))

                        yield Scenario(
                            metric=f"paired {kind}",
                            name=f"AUC {auc} to {auc - drop:.2f}, correlation {correlation}, {m} against {n}",
                            truth=truth,
                            draw=_paired(m, n, shifts, correlation),
                            right=_pair(kind),
                            wrong=wrong if kind == "roc_auc" else {},
                        )


# -- rates ------------------------------------------------------------------------------------------------------------

AREAS: dict[str, tuple[str, Callable[[], Iterable[Scenario]]]] = {
    "roc_auc": ("effective size", roc_auc_scenarios),
    "few of one kind": ("effective size", few_of_one_kind_scenarios),
    "few groups of one kind": ("effective size, groups", few_groups_scenarios),
    "average_precision": ("effective size, approximate", average_precision_scenarios),
    "groups": ("effective size, groups", grouped_scenarios),
    "weights": ("effective size, weights, approximate", weighted_scenarios),
    "averages": ("effective size, approximate", average_scenarios),
    "paired": ("paired influences", paired_scenarios),
}


def judge(scenario: Scenario, methods: dict[str, Bounds], runs: int, seed: Iterable[int]) -> list[Rate]:
    """Every method on the same data sets; bounds of None err on no side."""
    rng = np.random.default_rng(list(seed))
    passes, fails = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0)
    for _ in range(runs):
        drawn = scenario.draw(rng)
        for name, bounds in methods.items():
            found = bounds(**drawn)
            if found is not None:
                passes[name] += found.lower > scenario.truth
                fails[name] += found.upper < scenario.truth
    return [
        Rate(
            metric=scenario.metric,
            method=name,
            scenario=scenario.name,
            false_pass=passes[name] / runs,
            false_fail=fails[name] / runs,
            runs=runs,
        )
        for name in methods
    ]


def measure_area(area: str, runs: int, seed: int = 0) -> list[Rate]:
    """The rates of one of `AREAS`."""
    method, scenarios = AREAS[area]
    return [
        rate
        for number, scenario in enumerate(scenarios())
        for rate in judge(scenario, {method: scenario.right}, runs, (seed, number))
    ]


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The rates of everything here."""
    return [rate for area in AREAS for rate in measure_area(area, runs, seed)]


def controls_of(area: str, runs: int, seed: int = 0) -> list[Rate]:
    """The rates of the wrong methods on the same data sets."""
    return [
        rate
        for number, scenario in enumerate(AREAS[area][1]())
        for rate in judge(scenario, scenario.wrong, runs, (seed, number))
    ]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """The rates of all wrong methods."""
    return [rate for area in AREAS for rate in controls_of(area, runs, seed)]
