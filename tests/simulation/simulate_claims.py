"""Error rates of the claims "worst" and "share" over seeds.

They are of the very models that were trained: so many have the accuracy of the bar, or one just below it, and the
others are better (where too few meet the bar) or worse (where enough do).

    python tests/simulation/simulate_claims.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rates import Rate
from scipy.stats import binom
from simulate_seeds import draw_answers

from pytest_modelgate.statistics.seeds import confidences_of_seeds, seeds_needed

CLAIMED = ((5, 1.0), (5, 0.8), (5, 0.6), (10, 1.0), (10, 0.8))  # seeds, and the share of them that is claimed
CLAIM_SIZE = 200
BARS = (0.8, 0.9, 0.97)
OTHERS = (0.0, 0.03, 1.0)  # how far the other models are from the bar, as a share of the way to 1 or to a half

Confidences = Callable[[int, int], tuple[float, float]]


def claim_rates(methods: dict[str, Confidences], runs: int, seed: int) -> list[Rate]:
    """How often "so many of these models meet the bar" is said wrongly, either way, with the same draws for each."""
    found, counts = [], np.arange(CLAIM_SIZE + 1)
    for seeds, share in CLAIMED:
        needed = seeds_needed(share, seeds)
        for bar in BARS:
            of_many, of_few = binom.sf(counts - 1, CLAIM_SIZE, bar), binom.cdf(counts, CLAIM_SIZE, bar)
            for way in OTHERS:
                rng = np.random.default_rng([seed, seeds, needed, round(100 * bar), round(100 * way)])
                # One too few meet the bar, and the rest lie just below it; then just enough do, and the rest are worse.
                best, least = bar + way * (0.9999 - bar), bar - way * (bar - 0.5)
                too_few = [best] * (needed - 1) + [bar] * (seeds - needed + 1)
                enough = [bar] * needed + [least] * (seeds - needed)
                few, many = (
                    np.rint(CLAIM_SIZE * draw_answers(np.tile(chances, (runs, 1)), CLAIM_SIZE, rng)).astype(int)
                    for chances in (too_few, enough)
                )
                for method, confidences in methods.items():
                    for_pass, for_fail = (1 - level for level in confidences(needed, seeds))
                    good = (of_many <= for_pass)[few].sum(axis=1) >= needed
                    bad = (of_few <= for_fail)[many].sum(axis=1) > seeds - needed
                    found.append(
                        Rate(
                            metric="accuracy, of so many seeds",
                            method=method,
                            scenario=f"{needed} of {seeds} seeds, bar {bar:g}, others {way:g}",
                            false_pass=float(good.mean()),
                            false_fail=float(bad.mean()),
                            runs=runs,
                        )
                    )
    return found


def uncorrected(needed: int, seeds: int) -> tuple[float, float]:
    """Each seed judged as if it stood alone."""
    return 0.95, 0.95


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's confidences for single seeds."""
    return claim_rates({"partial conjunction": confidences_of_seeds}, runs, seed)


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """No correction for the number of seeds."""
    return claim_rates({"uncorrected": uncorrected}, runs, seed)


if __name__ == "__main__":
    for rate in [*measure(400), *controls(400)]:
        print(f"{rate.method:16} {rate.scenario:45} {rate.false_pass:6.1%} {rate.false_fail:6.1%}")
