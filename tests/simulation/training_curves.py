"""Training and validation losses of known kinds, with random lengths and noise: what `simulate_curves` judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A training as it might have gone: losses that start at 1, and an accuracy."""

    train: Array
    val: Array
    accuracy: Array
    chance: float | None = None


def _learning(rng: Rng, epochs: int, floor: float | None = None) -> Array:
    """A loss that falls from 1 to a floor and is as good as there at the end: exponentially, or by a power law."""
    t = np.arange(epochs)
    low = rng.uniform(0.0, 0.4) if floor is None else floor
    if rng.random() < 0.5:
        shape = np.exp(-t / (epochs * rng.uniform(0.06, 0.2)))
    else:
        shape = (1 + t / (epochs * rng.uniform(0.01, 0.05))) ** -rng.uniform(1.0, 2.0)
    return low + (1 - low) * shape


def _noise(rng: Rng, epochs: int, low: float, high: float) -> Array:
    """Noise of a size between the two, even on a scale of logarithms: plain, with heavy tails, or that lasts epochs."""
    size, what = np.exp(rng.uniform(np.log(low), np.log(high))), rng.random()
    if what < 0.25:
        return size * rng.standard_t(4, epochs) / np.sqrt(2)
    noise: Array = rng.standard_normal(epochs)
    if what < 0.5:
        keep = rng.uniform(0.3, 0.7)
        for i in range(1, epochs):
            noise[i] = keep * noise[i - 1] + np.sqrt(1 - keep * keep) * noise[i]
    return size * noise


def _length(rng: Rng, low: int = 12, high: int = 200) -> int:
    return int(np.exp(rng.uniform(np.log(low), np.log(high))))


def _made(
    rng: Rng, train: Array, val: Array, chance: float | None = None, quiet: float = 1.0, accuracy: Array | None = None
) -> Run:
    """The run with usual noise: training .03 to 1.5% of the fall, validation .1 to 4%, accuracy .1 to 3%."""
    epochs = len(train)
    if accuracy is None:
        accuracy = 0.1 + 0.85 * (1 - (val - val.min()) / max(np.ptp(val), 1e-9))
    return Run(
        train + quiet * _noise(rng, epochs, 0.0003, 0.015),
        val + quiet * _noise(rng, epochs, 0.001, 0.04),
        accuracy + _noise(rng, epochs, 0.001, 0.03),
        chance,
    )


def _behind(rng: Rng, train: Array, low: float = 0.0, high: float = 0.15) -> Array:
    """A validation loss that does not follow a share of what training learned."""
    return train + rng.uniform(low, high) * (1 - train)


def _healthy(rng: Rng, epochs: int | None = None) -> Run:
    train = _learning(rng, epochs or _length(rng))
    return _made(rng, train, _behind(rng, train))


def _short(rng: Rng) -> Run:
    return _healthy(rng, int(rng.integers(5, 10)))


def _noisy(rng: Rng) -> Run:
    epochs = _length(rng, 15)
    train = _learning(rng, epochs)
    val = _behind(rng, train)
    return Run(
        train + _noise(rng, epochs, 0.015, 0.04),
        val + _noise(rng, epochs, 0.03, 0.08),
        1 - val + _noise(rng, epochs, 0.02, 0.06),
    )


def _spiked(rng: Rng) -> Run:
    run = _healthy(rng, _length(rng, 25))
    train, val = run.train.copy(), run.val.copy()
    for _ in range(int(rng.integers(1, 1 + max(2, len(train) // 25)))):
        at = int(rng.integers(1, len(train)))
        train[at] += rng.uniform(0.3, 5)
        val[at] += rng.uniform(0.3, 5)
    return Run(train, val, run.accuracy)


def _warm_up(rng: Rng) -> Run:
    """Losses that rise a little while the learning rate does, then fall."""
    epochs = _length(rng, 20)
    warm = max(2, int(epochs * rng.uniform(0.03, 0.15)))
    train = _learning(rng, epochs - warm)
    rise = 1 + rng.uniform(0, 0.15) * np.sin(np.linspace(0, np.pi, warm))
    train = np.concatenate([rise, train])
    return _made(rng, train, _behind(rng, np.minimum(train, 1)) + np.maximum(train - 1, 0))


def _slow_start(rng: Rng) -> Run:
    """A long plateau, then a fall, then a plateau."""
    epochs = _length(rng, 20)
    t, low = np.arange(epochs), rng.uniform(0, 0.4)
    at, width = epochs * rng.uniform(0.25, 0.5), epochs * rng.uniform(0.02, 0.07)
    train = low + (1 - low) / (1 + np.exp((t - at) / width))
    return _made(rng, train, _behind(rng, train))


def _steps(rng: Rng) -> Run:
    """The learning rate falls at two epochs, and the loss with it."""
    epochs = _length(rng, 20)
    train = _learning(rng, epochs, rng.uniform(0.2, 0.4))
    for part in (rng.uniform(0.4, 0.6), rng.uniform(0.65, 0.8)):
        late = np.maximum(np.arange(epochs) - int(epochs * part), -1) + 1
        train = train - rng.uniform(0.03, 0.1) * (1 - np.exp(-late / 1.5))
    return _made(rng, train, _behind(rng, train))


def _double_descent(rng: Rng) -> Run:
    """Validation rises in the middle and comes back below its first best."""
    epochs = _length(rng, 40)
    t = np.arange(epochs) / epochs
    train = _learning(rng, epochs, 0.02)
    bump = rng.uniform(0.1, 0.35) * np.exp(-(((t - rng.uniform(0.35, 0.5)) / rng.uniform(0.06, 0.1)) ** 2))
    return _made(rng, train, _behind(rng, train) + bump)


def _steady_gap(rng: Rng) -> Run:
    train = _learning(rng, _length(rng))
    return _made(rng, train, _behind(rng, train, 0.15, 0.38), quiet=0.5)


def _tiny_gap(rng: Rng) -> Run:
    """Both end near nothing, validation at several times the training loss."""
    train = _learning(rng, _length(rng), rng.uniform(0.0001, 0.003))
    return _made(rng, train, _behind(rng, train, 0.002, 0.02), quiet=0.1)


def _late_plateau(rng: Rng) -> Run:
    """Validation stops early and stays while training goes on a little."""
    train = _learning(rng, _length(rng, 20), rng.uniform(0.05, 0.3))
    val = np.maximum(train, train[-1] + rng.uniform(0.1, 0.3) * (1 - train[-1]))
    return _made(rng, train, val, quiet=0.5)


def _below(rng: Rng) -> Run:
    """Validation below training, as with dropout."""
    train = _learning(rng, _length(rng), rng.uniform(0.2, 0.4))
    return _made(rng, train, train - rng.uniform(0.02, 0.15))


def _underfit(rng: Rng) -> Run:
    """Both end high, at most a quarter below the loss of knowing nothing."""
    train = _learning(rng, _length(rng), rng.uniform(0.78, 0.9))
    fall = 1 - train.min()
    run = _made(rng, (train - 1) / fall + 1, _behind(rng, train, 0.0, 0.1) / fall + 1 - 1 / fall)
    return Run(1 + (run.train - 1) * fall, 1 + (run.val - 1) * fall, run.accuracy, 1.0)


def _unfinished(rng: Rng) -> Run:
    """Training stopped while the loss still fell nearly as fast as ever."""
    epochs = _length(rng)
    t = np.arange(epochs) / epochs
    train = 1 - rng.uniform(0.4, 0.8) * t ** rng.uniform(0.9, 1.4)
    return _made(rng, train, _behind(rng, train, 0.0, 0.1), quiet=0.5)


def _overfit(rng: Rng, epochs: int, best_at: float, low: float, high: float) -> Run:
    """Validation falls until a part of the epochs, then gives back a share of what it had gained."""
    train = _learning(rng, epochs, rng.uniform(0.0, 0.15))
    turn = max(1, int(epochs * best_at))
    val = _behind(rng, train, 0.05, 0.2)
    gained = val[0] - val[turn]
    after = np.maximum(np.arange(epochs) - turn, 0) / max(1, epochs - 1 - turn)
    val = np.where(
        np.arange(epochs) > turn, val[turn] + gained * rng.uniform(low, high) * after ** rng.uniform(0.6, 1.2), val
    )
    return _made(rng, train, val)


def _overfit_early(rng: Rng) -> Run:
    return _overfit(rng, _length(rng, 15), rng.uniform(0.08, 0.25), 0.5, 2.0)


def _overfit_late(rng: Rng) -> Run:
    return _overfit(rng, _length(rng, 20), rng.uniform(0.5, 0.7), 0.35, 1.0)


def _overfit_mild(rng: Rng) -> Run:
    return _overfit(rng, _length(rng, 20), rng.uniform(0.2, 0.5), 0.25, 0.4)


def _overfit_short(rng: Rng) -> Run:
    return _overfit(rng, int(rng.integers(5, 10)), rng.uniform(0.2, 0.4), 0.4, 2.0)


def _memorising(rng: Rng) -> Run:
    """Training learns; validation follows at most a quarter of it, or rises from the start."""
    train = _learning(rng, _length(rng), rng.uniform(0.0, 0.25))
    share = rng.uniform(-0.5, 0.25)
    return _made(rng, train, 1 - share * (1 - train))


def _stuck(rng: Rng) -> Run:
    """Nothing but noise, at the loss of knowing nothing."""
    epochs = _length(rng, 6)
    size = np.exp(rng.uniform(np.log(1e-4), np.log(0.05)))
    made = [1 + size * _noise(rng, epochs, 0.9, 1.1) for _ in "ab"]
    return Run(made[0], made[1], 0.1 + _noise(rng, epochs, 0.001, 0.03), 1.0)


def _collapsed(rng: Rng) -> Run:
    """From a bad start down to the loss of knowing nothing, and no further."""
    epochs = _length(rng, 8)
    course = 1 + rng.uniform(0.05, 0.5) * np.exp(-np.arange(epochs) / rng.uniform(0.5, 3))
    size = np.exp(rng.uniform(np.log(1e-4), np.log(0.005)))
    accuracy = 0.1 + _noise(rng, epochs, 0.001, 0.03)
    return Run(course + _noise(rng, epochs, size, size), course + _noise(rng, epochs, size, size), accuracy, 1.0)


def _oscillating(rng: Rng) -> Run:
    """A fall with swings of a quarter to all of it: regular ones of 2 to 8 epochs, or jumps at random."""
    epochs = _length(rng, 12)
    train = _learning(rng, epochs, rng.uniform(0.1, 0.5))
    size = rng.uniform(0.2, 0.8) * (1 - train.min())
    swing: Array = rng.standard_normal(epochs)
    if rng.random() < 0.6:
        swing = 1.4 * np.sin(2 * np.pi * np.arange(epochs) / rng.uniform(2, 8) + rng.uniform(0.5, 2.5))
    return _made(rng, train + size * swing, train + size * swing)


def _diverging(rng: Rng) -> Run:
    """Falls, turns, and ends far above its best."""
    epochs = _length(rng, 10)
    train = _learning(rng, epochs, rng.uniform(0.1, 0.4))
    turn = int(epochs * rng.uniform(0.1, 0.7))
    after = np.maximum(np.arange(epochs) - turn, 0) / (epochs - turn)
    train = train + np.where(
        after > 0, rng.uniform(0.8, 1.5) * (1 - train[turn]) * (np.expm1(after * rng.uniform(1, 8))), 0
    )
    return _made(rng, train, _behind(rng, np.minimum(train, 1)) + np.maximum(train - 1, 0))


def _not_finite(rng: Rng) -> Run:
    run = _healthy(rng)
    train = run.train.copy()
    at = int(rng.integers(1, len(train)))
    train[at:] = rng.choice([np.nan, np.inf])
    if rng.random() < 0.3:
        train[at + 1 :] = run.train[at + 1 :]
    return Run(train, run.val, run.accuracy)


def _level_metric(rng: Rng) -> Run:
    """The loss falls and the accuracy does not move; on few samples it takes few values."""
    run = _healthy(rng)
    epochs, at = len(run.train), rng.uniform(0.1, 0.9)
    accuracy = at + _noise(rng, epochs, 0.002, 0.05)
    if rng.random() < 0.5:
        samples = int(np.exp(rng.uniform(np.log(10), np.log(1000))))
        shared = (rng.random((1, samples)) < at) ^ (rng.random((epochs, samples)) < rng.uniform(0.005, 0.1))
        accuracy = shared.mean(axis=1)
    return Run(run.train, run.val, accuracy)


def _small_gain(rng: Rng) -> Run:
    """An accuracy that moves by 6 to 15 standard deviations of its noise, over many epochs."""
    run = _healthy(rng, _length(rng, 40))
    size = rng.uniform(0.002, 0.02)
    course = 1 - _learning(rng, len(run.train), 0.0)
    accuracy = 0.7 + size * rng.uniform(6, 15) * course + _noise(rng, len(course), size, size)
    return Run(run.train, run.val, accuracy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of curve: how it is drawn, which gates must be green and red on it, and what a diagnosis may say."""

    draw: Callable[[Rng], Run]
    green: str = ""
    red: str = ""
    said: tuple[str, ...]


_ALL = "overfit stable decreases converged improves"
_OVERFIT = ("overfitting", "memorising")
KINDS = {
    "healthy": Kind(draw=_healthy, green=_ALL, said=("healthy",)),
    "short": Kind(draw=_short, green="overfit stable decreases improves", said=("healthy",)),
    "noisy": Kind(draw=_noisy, green=_ALL, said=("healthy",)),
    "spiked": Kind(draw=_spiked, green=_ALL, said=("healthy",)),
    "warm-up": Kind(draw=_warm_up, green=_ALL, said=("healthy",)),
    "slow start": Kind(draw=_slow_start, green=_ALL, said=("healthy",)),
    "learning-rate steps": Kind(draw=_steps, green=_ALL, said=("healthy",)),
    "double descent": Kind(draw=_double_descent, green=_ALL, said=("healthy",)),
    "steady gap": Kind(draw=_steady_gap, green=_ALL, said=("healthy",)),
    "tiny gap": Kind(draw=_tiny_gap, green=_ALL, said=("healthy",)),
    "late plateau": Kind(draw=_late_plateau, green=_ALL, said=("healthy",)),
    "validation below training": Kind(draw=_below, green=_ALL, said=("healthy",)),
    "underfit": Kind(draw=_underfit, green=_ALL, said=("underfitting",)),
    "unfinished": Kind(
        draw=_unfinished, green="overfit stable decreases improves", red="converged", said=("underfitting",)
    ),
    "overfit early": Kind(draw=_overfit_early, green="stable decreases", red="overfit", said=_OVERFIT),
    "overfit late": Kind(draw=_overfit_late, green="stable decreases", red="overfit", said=_OVERFIT),
    "overfit mild": Kind(draw=_overfit_mild, green="stable decreases", red="overfit", said=_OVERFIT),
    "overfit short": Kind(draw=_overfit_short, green="stable decreases", red="overfit", said=_OVERFIT),
    "memorising": Kind(draw=_memorising, green="stable decreases", red="overfit", said=_OVERFIT),
    "stuck": Kind(draw=_stuck, red="decreases converged improves", said=("stuck",)),
    "collapsed": Kind(draw=_collapsed, red="decreases converged improves", said=("stuck",)),
    "oscillating": Kind(draw=_oscillating, red="stable decreases", said=("oscillating", "stuck")),
    "diverging": Kind(draw=_diverging, red="stable decreases converged", said=("diverging",)),
    "not finite": Kind(draw=_not_finite, red=_ALL, said=("not finite",)),
    "small gain": Kind(draw=_small_gain, green=_ALL, said=("healthy",)),
    "level metric": Kind(
        draw=_level_metric, green="overfit stable decreases converged", red="improves", said=("healthy",)
    ),
}
