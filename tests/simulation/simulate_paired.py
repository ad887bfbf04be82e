"""Exact error rates and power of the paired tests: every outcome is enumerated, nothing is drawn.

python tests/simulation/simulate_paired.py
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from rates import Rate
from scipy.special import gammaln, xlogy

from pytest_modelgate.statistics.paired import judge_pairs, tango_z

Judge = Callable[[int, int, int, float], int]

PAIRS = (20, 44, 71, 134, 200)
MARGINS = (0.01, 0.02, 0.05, 0.1)
WIN_SHARES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of all pairs; the losses are as many, plus the margin
DIFFERING = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of all pairs, where neither model is better


@functools.cache
def outcomes(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Every possible (losses, wins) of so many pairs."""
    losses, wins = np.meshgrid(np.arange(pairs + 1), np.arange(pairs + 1), indexing="ij")
    possible = losses + wins <= pairs
    return losses[possible], wins[possible]


def chances(pairs: int, loss_share: float, win_share: float) -> np.ndarray:
    """The trinomial chance of each outcome."""
    b, c = outcomes(pairs)
    rest = pairs - b - c
    ways = gammaln(pairs + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(rest + 1)
    return np.exp(ways + xlogy(b, loss_share) + xlogy(c, win_share) + xlogy(rest, 1 - loss_share - win_share))


@functools.cache
def words(judge: Judge, pairs: int, margin: float) -> np.ndarray:
    """What the method says of each outcome: 1, 0 or -1."""
    b, c = outcomes(pairs)
    return np.array([judge(x, y, pairs, margin) for x, y in zip(b.tolist(), c.tolist(), strict=True)])


def truths(margin: float) -> Iterator[tuple[float, float]]:
    """(share of losses, share of wins) where the candidate is worse by the margin exactly."""
    if margin == 0:
        yield from ((share / 2, share / 2) for share in DIFFERING)
    else:
        yield from ((share + margin, share) for share in WIN_SHARES)


def enumerate_rates(method: str, judge: Judge, margin: float) -> list[Rate]:
    """One rate for each number of pairs and each truth; `runs=0`: exact."""
    rates = []
    for pairs in PAIRS:
        said = words(judge, pairs, margin)
        for loss_share, win_share in truths(margin):
            chance = chances(pairs, loss_share, win_share)
            rates.append(
                Rate(
                    metric="accuracy, paired",
                    method=method,
                    scenario=f"n = {pairs}, margin {margin:g}, {loss_share:.1%} losses, {win_share:.1%} wins",
                    false_pass=float(chance[said == 1].sum()),
                    false_fail=float(chance[said == -1].sum()),
                    runs=0,
                )
            )
    return rates


def measure(runs: int = 0, seed: int = 0) -> list[Rate]:
    """The package's own tests. Exact: `runs` and `seed` change nothing."""
    rates = enumerate_rates("McNemar mid-p", judge_pairs, 0.0)
    for margin in MARGINS:
        rates += enumerate_rates("Tango score, worst quarter", judge_pairs, margin)
    return rates


def wald(losses: int, wins: int, pairs: int, margin: float) -> int:
    """The normal approximation with the sample's own variance."""
    deviation = wins - losses + pairs * margin
    variance = losses + wins - (wins - losses) ** 2 / pairs
    return int(np.sign(deviation)) if abs(deviation) >= 1.6448536 * variance**0.5 else 0


def plain_tango(losses: int, wins: int, pairs: int, margin: float) -> int:
    """Tango's score without the quarter of a worst pair."""
    z = tango_z(losses, wins, pairs, -margin)
    return int(np.sign(z)) if abs(z) >= 1.6448536 else 0


def controls(runs: int = 0, seed: int = 0) -> list[Rate]:
    """Wald's test, and Tango's without the added quarter."""
    return [
        rate
        for method, judge in (("Wald", wald), ("Tango score", plain_tango))
        for margin in MARGINS
        for rate in enumerate_rates(method, judge, margin)
    ]


def power(pairs: int, loss_share: float, win_share: float, margin: float = 0.0) -> float:
    """How often the package proves that the candidate is worse."""
    return float(chances(pairs, loss_share, win_share)[words(judge_pairs, pairs, margin) == -1].sum())


if __name__ == "__main__":
    found = [*measure(), *controls()]
    for method in dict.fromkeys(rate.method for rate in found):
        own = [rate for rate in found if rate.method == method]
        for side in ("false_pass", "false_fail"):
            shares = [getattr(rate, side) for rate in own]
            print(f"{method:28} {side}: mean {np.mean(shares):.2%}, worst {max(shares):.2%}")
    print("power, .90 to .87, 4% of pairs differ:", {n: round(power(n, 0.035, 0.005), 3) for n in (300, 1000)})
