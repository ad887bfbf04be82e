"""A second corpus of training curves, written by somebody who had not seen the rules of the history gates.

Every kind draws its length, noise, shape, scale and shift anew. Curves are made in units of what training can learn, 1
before and 0 after it, then shifted and scaled. A kind says which gates must be green, which must be red (the others may
be either), and which diagnoses are right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.evidence.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

DECREASES, STABLE, NO_OVERFITTING = "LossDecreases", "TrainingStable", "NoOverfitting"
CONVERGED, IMPROVES = "Converged", "MetricImproves"
HEALTHY, OVERFITTING, MEMORISING, UNDERFITTING = "healthy", "overfitting", "memorising", "underfitting"
STUCK, OSCILLATING, DIVERGING = "stuck", "oscillating", "diverging"
NOT_FINITE, TOO_SHORT = "not finite", "too short to tell"
SOUND = (DECREASES, STABLE, NO_OVERFITTING)


@dataclass(frozen=True, slots=True)
class Curves:
    """One training: losses in units of what can be learned, and the validation accuracy."""

    train: NDArray[np.float64]
    validation: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    chance: float | None = None
    kept: int | None = None
    shift: float | None = None

    def history(self, generator: Generator, shifted: bool) -> History:
        """The history of these curves on a random scale, from thousandths to thousands, and maybe a random shift.

        Where the loss of knowing nothing is known there is no shift: "high" then means near it, on the loss's scale.
        """
        scale = 10.0 ** generator.uniform(-3, 3)
        shift = generator.uniform(-3, 12) if shifted and self.chance is None else 0.0
        shift = shift if self.shift is None else self.shift
        chance = None if self.chance is None else (shift + self.chance) * scale
        history = History(loss="cross_entropy", model="Net", chance_loss=chance)
        for train, validation, accuracy in zip(self.train, self.validation, self.accuracy, strict=True):
            history.log(
                train_loss=(shift + train) * scale, val_loss=(shift + validation) * scale, val_accuracy=accuracy
            )
        if self.kept is not None:
            history.keep(self.kept)
        return history


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of curves, and what is true of it."""

    make: Callable[[Generator, int], Curves]
    shortest: int
    longest: int
    green: tuple[str, ...]
    red: tuple[str, ...]
    diagnoses: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, such as "power law"."""
        return self.make.__name__.strip("_").replace("_", " ")

    def draw(self, generator: Generator, shifted: bool = True) -> History:
        """One history; its length is log-uniform."""
        epochs = int(np.exp(generator.uniform(np.log(self.shortest), np.log(self.longest + 1))))
        return self.make(generator, min(epochs, self.longest)).history(generator, shifted)


def _time(epochs: int) -> NDArray[np.float64]:
    return np.linspace(0.0, 1.0, epochs)


def _decay(generator: Generator, epochs: int, fastest: float = 0.05, slowest: float = 0.15) -> NDArray[np.float64]:
    return np.exp(-_time(epochs) / generator.uniform(fastest, slowest))


def _noisy(
    generator: Generator, curve: NDArray[np.float64], least: float = 0.003, most: float = 0.02
) -> NDArray[np.float64]:
    """Noise that shrinks with the loss, as it does in training, down to a third."""
    deviation = generator.uniform(least, most) * (1 / 3 + 2 / 3 * np.clip(curve, 0, 1))
    return curve + deviation * generator.standard_normal(curve.size)


def _accuracy(
    generator: Generator, learned: NDArray[np.float64], least: float = 0.004, most: float = 0.015
) -> NDArray[np.float64]:
    """Accuracy from chance to good, where `learned` goes from 0 to 1; its noise is that of 500 to 10,000 samples."""
    worst, best = generator.uniform(0.1, 0.5), generator.uniform(0.75, 0.97)
    clean = worst + (best - worst) * np.clip(learned, 0, 1)
    return np.clip(clean + generator.uniform(least, most) * generator.standard_normal(learned.size), 0, 1)


def _chance(generator: Generator) -> float | None:
    """The loss of knowing nothing, in half of the runs; the first epoch has learned a little already."""
    return float(generator.uniform(1.0, 1.15)) if generator.random() < 0.5 else None


# Healthy ones.


def _power_law(generator: Generator, epochs: int) -> Curves:
    curve = (1 + np.arange(epochs) / generator.uniform(0.5, 3)) ** -generator.uniform(0.3, 1.2)
    curve = (curve - curve[-1]) / (curve[0] - curve[-1])
    validation = curve + generator.uniform(0, 0.08)
    return Curves(
        _noisy(generator, curve), _noisy(generator, validation), _accuracy(generator, 1 - curve), _chance(generator)
    )


def _warm_restarts(generator: Generator, epochs: int) -> Curves:
    cycles = int(generator.integers(2, 5))
    lengths = np.ones(cycles) if generator.random() < 0.5 else 2.0 ** np.arange(cycles)
    edges = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    time = np.arange(epochs) / epochs
    cycle = np.searchsorted(edges, time, side="right") - 1
    within = (time - edges[cycle]) / (edges[cycle + 1] - edges[cycle])
    curve = _decay(generator, epochs, 0.1, 0.25) + generator.uniform(0.05, 0.25) * 0.5 * (1 + np.cos(np.pi * within))
    curve /= curve[0]
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, curve + generator.uniform(0, 0.08)),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


def _fine_tuning(generator: Generator, epochs: int) -> Curves:
    """From a good start: the loss falls by 3 to 15% only."""
    curve = _decay(generator, epochs, 0.08, 0.25)
    accuracy = 0.88 + 0.03 * (1 - curve) + 0.003 * generator.standard_normal(epochs)
    return Curves(
        _noisy(generator, curve, 0.01, 0.04),
        _noisy(generator, curve + generator.uniform(0, 0.15), 0.01, 0.04),
        accuracy,
        shift=1 / generator.uniform(0.03, 0.15) - 1,
    )


def _heavy_tails(generator: Generator, epochs: int) -> Curves:
    """A batch that goes wrong now and then; the standard deviation of such noise hardly exists."""
    curve = _decay(generator, epochs)
    noise = generator.uniform(0.005, 0.02) * np.abs(generator.standard_t(2.5, (2, epochs)))
    return Curves(curve + noise[0], curve + noise[1] + 0.03, _accuracy(generator, 1 - curve), _chance(generator))


def _tiny_validation(generator: Generator, epochs: int) -> Curves:
    curve = _decay(generator, epochs)
    validation = curve + generator.uniform(0, 0.1) + generator.uniform(0.05, 0.2) * generator.standard_normal(epochs)
    return Curves(_noisy(generator, curve), validation, _accuracy(generator, 1 - curve, 0.02, 0.04), _chance(generator))


def _label_smoothing(generator: Generator, epochs: int) -> Curves:
    """Start at log K and a floor at 40 to 70% of it."""
    curve = _decay(generator, epochs)
    share = generator.uniform(0.4, 0.7)
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, curve * 0.95 + generator.uniform(0, 0.1)),
        _accuracy(generator, 1 - curve),
        chance=float(generator.uniform(1.02, 1.15)),
        shift=share / (1 - share),
    )


def _grokking(generator: Generator, epochs: int) -> Curves:
    """Validation stays, or gets worse, long after training has learned, then it drops to the training loss."""
    time = _time(epochs)
    drop = 1 / (1 + np.exp(-(time - generator.uniform(0.35, 0.6)) / generator.uniform(0.01, 0.03)))
    bump = generator.uniform(0, 0.3) * np.minimum(1, time / 0.2)
    validation = (1 + bump) * (1 - drop) + generator.uniform(0, 0.05)
    return Curves(
        _noisy(generator, _decay(generator, epochs, 0.03, 0.08)),
        _noisy(generator, validation),
        _accuracy(generator, drop),
    )


def _dropout(generator: Generator, epochs: int) -> Curves:
    """The training loss is measured with dropout and stands above the validation loss all along."""
    curve = _decay(generator, epochs)
    floor = generator.uniform(0.15, 0.45)
    return Curves(
        _noisy(generator, floor + (1 - floor) * curve),
        _noisy(generator, generator.uniform(0.7, 0.95) * curve),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


def _steady_gap(generator: Generator, epochs: int) -> Curves:
    curve = _decay(generator, epochs)
    validation = curve + generator.uniform(0.05, 0.2) * (1 - curve)
    return Curves(
        _noisy(generator, curve), _noisy(generator, validation), _accuracy(generator, 1 - curve), _chance(generator)
    )


def _flat_tail(generator: Generator, epochs: int) -> Curves:
    """All is learned in the first epochs; the rest is noise."""
    curve = _decay(generator, epochs, 0.01, 0.04)
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, curve + generator.uniform(0, 0.1)),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


def _kept(generator: Generator, epochs: int) -> Curves:
    """Early stopping: the weights are of the best validation loss, the rise after it was thrown away."""
    time = _time(epochs)
    best = generator.uniform(0.25, 0.6)
    train = _noisy(generator, _decay(generator, epochs, 0.1, 0.3))
    fall = np.exp(-time / (best / 3))
    clean = fall + generator.uniform(0.3, 1.0) * np.maximum(0, time - best) / (1 - best) + generator.uniform(0, 0.1)
    validation = _noisy(generator, clean)
    accuracy = _accuracy(generator, 1 - fall)
    kept = int(np.argmin(validation))
    end = min(epochs, kept + 1 + int(generator.integers(3, 13)))
    return Curves(train[:end], validation[:end], accuracy[:end], _chance(generator), kept=kept + 1)


def _slow_start(generator: Generator, epochs: int) -> Curves:
    """A plateau at the start, as recurrent networks and deep ones without normalisation have it, then the fall."""
    time = _time(epochs)
    begin, rate = generator.uniform(0.1, 0.35), generator.uniform(0.05, 0.12)
    curve = np.exp(-np.maximum(0, time - begin) / rate)
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, curve + generator.uniform(0, 0.08)),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


def _one_cycle(generator: Generator, epochs: int) -> Curves:
    """A high learning rate holds the loss up until it is annealed: the second fall comes at the end."""
    time = _time(epochs)
    held = generator.uniform(0.1, 0.35)
    curve = (1 - held) * _decay(generator, epochs) + held * np.cos(np.pi / 2 * np.clip((time - 0.3) / 0.7, 0, 1))
    return Curves(
        _noisy(generator, curve, 0.005, 0.025),
        _noisy(generator, curve + generator.uniform(0, 0.1), 0.005, 0.03),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


def _drifting_validation(generator: Generator, epochs: int) -> Curves:
    """Noise of the validation loss that is correlated from epoch to epoch: the weights wander."""
    curve = _decay(generator, epochs)
    correlation, deviation = generator.uniform(0.6, 0.9), generator.uniform(0.01, 0.035)
    noise = np.empty(epochs)
    noise[0] = generator.standard_normal()
    for i in range(1, epochs):
        noise[i] = correlation * noise[i - 1] + np.sqrt(1 - correlation**2) * generator.standard_normal()
    validation = curve + generator.uniform(0, 0.1) + deviation * noise
    return Curves(_noisy(generator, curve), validation, _accuracy(generator, 1 - curve), _chance(generator))


def _learned_in_one_epoch(generator: Generator, epochs: int) -> Curves:
    """Most is learned within the first epoch, whose mean is the training loss; validation comes after it."""
    edges = (1 + np.arange(epochs * 20 + 1) / 20 * generator.uniform(2, 10)) ** -generator.uniform(0.9, 1.5)
    train = edges[:-1].reshape(epochs, 20).mean(axis=1)
    level = train[0]
    validation = (edges[20::20] + generator.uniform(0.03, 0.12) * level) / level
    accuracy = 0.97 + 0.015 * (1 - validation) + 0.002 * generator.standard_normal(epochs)
    return Curves(_noisy(generator, train / level), _noisy(generator, validation), accuracy, _chance(generator))


def _short(generator: Generator, epochs: int) -> Curves:
    curve = generator.uniform(0.4, 0.75) ** np.arange(epochs)
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, curve + generator.uniform(0, 0.1)),
        _accuracy(generator, 1 - curve),
        _chance(generator),
    )


# Healthy losses, and one thing wrong.


def _metric_stands_still(generator: Generator, epochs: int) -> Curves:
    """The loss falls; accuracy stays at the share of the majority class."""
    curve = _decay(generator, epochs)
    accuracy = generator.uniform(0.6, 0.95) + generator.uniform(0.001, 0.01) * generator.standard_normal(epochs)
    return Curves(_noisy(generator, curve), _noisy(generator, curve + 0.03), accuracy)


def _learning_rate_too_low(generator: Generator, epochs: int) -> Curves:
    """The loss falls at the same pace to the very last epoch."""
    curve = 1 - _time(epochs)
    return Curves(
        _noisy(generator, curve, 0.005, 0.03),
        _noisy(generator, curve + generator.uniform(0, 0.05), 0.005, 0.03),
        _accuracy(generator, 1 - curve),
    )


# Bad ones.


def _slow_rise(generator: Generator, epochs: int) -> Curves:
    time = _time(epochs)
    best = generator.uniform(0.1, 0.4)
    fall = np.exp(-time / (best / 3))
    validation = 0.1 + 0.9 * fall + generator.uniform(0.3, 1.2) * np.maximum(0, time - best) / (1 - best)
    return Curves(
        _noisy(generator, _decay(generator, epochs, 0.08, 0.3)),
        _noisy(generator, validation, 0.005, 0.03),
        _accuracy(generator, 1 - fall),
        _chance(generator),
    )


def _rise_after_a_step(generator: Generator, epochs: int) -> Curves:
    """The learning rate is lowered: training falls at once, and validation rises."""
    time = _time(epochs)
    high = generator.uniform(0.2, 0.4)
    since = np.maximum(0, time - generator.uniform(0.4, 0.7))
    stepped = 1 - np.exp(-since / generator.uniform(0.02, 0.1))
    fall = _decay(generator, epochs, 0.05, 0.1)
    return Curves(
        _noisy(generator, high + (1 - high) * fall - 0.9 * high * stepped),
        _noisy(generator, high + (1 - high) * fall + generator.uniform(0.3, 0.7) * stepped),
        _accuracy(generator, 1 - fall),
        _chance(generator),
    )


def _validation_at_chance(generator: Generator, epochs: int) -> Curves:
    chance = generator.uniform(0.95, 1.1)
    validation = chance + generator.uniform(0.005, 0.05) * generator.standard_normal(epochs)
    return Curves(
        _noisy(generator, _decay(generator, epochs, 0.05, 0.25)),
        validation,
        _accuracy(generator, np.zeros(epochs)),
        chance if generator.random() < 0.5 else None,
    )


def _never_follows(generator: Generator, epochs: int) -> Curves:
    """Validation learns 8 to 30% of what training learns, then stays."""
    curve = _decay(generator, epochs)
    validation = 1 - generator.uniform(0.08, 0.3) * (1 - _decay(generator, epochs, 0.03, 0.1))
    return Curves(
        _noisy(generator, curve),
        _noisy(generator, validation, 0.005, 0.03),
        _accuracy(generator, 0.3 * (1 - curve)),
        _chance(generator),
    )


def _fine_tuned_too_long(generator: Generator, epochs: int) -> Curves:
    """A few epochs of a large model: the best validation loss is that of the second or third."""
    train = generator.uniform(0.4, 0.65) ** np.arange(epochs)
    best = int(generator.integers(1, 3))
    at = np.arange(epochs)
    validation = np.where(at < best, 0.75 - 0.15 * at / best, 0.6)
    validation = validation + generator.uniform(0.4, 1.0) * np.maximum(0, at - best) / (epochs - 1 - best)
    return Curves(
        _noisy(generator, train), _noisy(generator, validation), _accuracy(generator, 0.8 + 0.05 * np.minimum(at, best))
    )


def _stuck_at_log_k(generator: Generator, epochs: int) -> Curves:
    deviation = generator.uniform(0.002, 0.05)
    noise = deviation * generator.standard_normal((2, epochs))
    chance = 1.0 if generator.random() < 0.5 else None
    return Curves(1 + noise[0], 1 + noise[1], _accuracy(generator, np.zeros(epochs)), chance, shift=0.0)


def _class_shares_only(generator: Generator, epochs: int) -> Curves:
    """The first epoch unlearns a bad start; from then on the loss is that of the class shares."""
    curve = np.ones(epochs)
    curve[0] += generator.uniform(0.1, 0.6)
    return Curves(
        _noisy(generator, curve, 0.001, 0.01),
        _noisy(generator, np.ones(epochs), 0.001, 0.01),
        _accuracy(generator, np.zeros(epochs)),
        chance=1.0,
        shift=0.0,
    )


def _explodes_at_the_end(generator: Generator, epochs: int) -> Curves:
    last = int(generator.integers(2, max(2, epochs // 8) + 1))
    curve = 0.1 + 0.9 * _decay(generator, epochs)
    growth = np.zeros(epochs)
    growth[-last:] = 10 ** (generator.uniform(0.3, 3) * np.linspace(0.2, 1, last)) - 0.9
    return Curves(
        _noisy(generator, curve) + growth, _noisy(generator, curve) + growth, _accuracy(generator, 1 - curve - growth)
    )


def _growing_spikes(generator: Generator, epochs: int) -> Curves:
    curve = _decay(generator, epochs)
    at = np.cumsum(generator.integers(3, 8, epochs))
    at = at[at < epochs]
    curve = curve.copy()
    curve[at] += generator.uniform(0.6, 1.5) * (at / epochs) ** 1.5
    return Curves(_noisy(generator, curve), _noisy(generator, curve), _accuracy(generator, 1 - curve))


def _alternates(generator: Generator, epochs: int) -> Curves:
    """Falls, then jumps between two values from each epoch to the next."""
    curve = _decay(generator, epochs) + generator.uniform(0.15, 0.4) * (np.arange(epochs) % 2)
    return Curves(_noisy(generator, curve), _noisy(generator, curve), _accuracy(generator, 1 - curve))


def _bounces(generator: Generator, epochs: int) -> Curves:
    """Between two values from the start, with a period of two to four epochs, and nothing learned."""
    curve = np.where(np.arange(epochs) % int(generator.integers(2, 5)) == 0, 1.0, generator.uniform(0.3, 0.7))
    if generator.random() < 0.5:
        curve = curve[::-1]
    return Curves(_noisy(generator, curve), _noisy(generator, curve), _accuracy(generator, np.zeros(epochs)))


def _jagged(generator: Generator, epochs: int) -> Curves:
    """A learning rate that is too high: large noise in every epoch, to the end."""
    curve = _decay(generator, epochs)
    noise = generator.uniform(0.15, 0.35) * generator.standard_normal((2, epochs))
    return Curves(curve + noise[0], curve + noise[0] + noise[1] / 3, _accuracy(generator, 1 - curve, 0.05, 0.1))


def _nan_late(generator: Generator, epochs: int) -> Curves:
    curve = _noisy(generator, _decay(generator, epochs))
    first = int(generator.integers(epochs // 2, epochs))
    train, validation = curve.copy(), _noisy(generator, curve)
    train[first:] = np.nan if generator.random() < 0.8 else np.inf
    validation[first:] = np.nan
    return Curves(train, validation, _accuracy(generator, 1 - curve))


def _rises_from_the_start(generator: Generator, epochs: int) -> Curves:
    curve = generator.uniform(0.3, 5) * _time(epochs) ** generator.uniform(0.5, 3) + 1
    noise = generator.uniform(0.003, 0.02) * generator.standard_normal((2, epochs))
    return Curves(curve + noise[0], curve + noise[1], _accuracy(generator, np.zeros(epochs)), shift=0.0)


def _collapses(generator: Generator, epochs: int) -> Curves:
    """Learns, then falls back to where it began within an epoch or two, and stays there."""
    fallen = np.arange(epochs) >= generator.uniform(0.4, 0.8) * epochs
    curve = np.where(fallen, generator.uniform(0.9, 1.1), _decay(generator, epochs))
    return Curves(
        _noisy(generator, curve), _noisy(generator, curve), _accuracy(generator, 1 - curve), chance=_chance(generator)
    )


KINDS = (
    Kind(_power_law, 8, 300, (*SOUND, IMPROVES), (), (HEALTHY, UNDERFITTING)),
    Kind(_warm_restarts, 24, 300, (*SOUND, IMPROVES), (), (HEALTHY, UNDERFITTING)),
    Kind(_fine_tuning, 8, 60, SOUND, (), (HEALTHY, UNDERFITTING)),
    Kind(_heavy_tails, 10, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_tiny_validation, 10, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_label_smoothing, 8, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_grokking, 30, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_dropout, 8, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_steady_gap, 8, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_flat_tail, 60, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_kept, 20, 200, (*SOUND, IMPROVES), (), (HEALTHY, TOO_SHORT)),
    Kind(_slow_start, 12, 300, (*SOUND, IMPROVES), (), (HEALTHY, UNDERFITTING)),
    Kind(_one_cycle, 10, 300, (*SOUND, IMPROVES), (), (HEALTHY, UNDERFITTING)),
    Kind(_drifting_validation, 15, 300, (*SOUND, CONVERGED, IMPROVES), (), (HEALTHY,)),
    Kind(_learned_in_one_epoch, 5, 30, SOUND, (), (HEALTHY, TOO_SHORT, UNDERFITTING)),
    Kind(_short, 5, 7, SOUND, (), (HEALTHY, TOO_SHORT, UNDERFITTING)),
    Kind(_metric_stands_still, 10, 300, (*SOUND, CONVERGED), (IMPROVES,), (HEALTHY,)),
    Kind(_learning_rate_too_low, 10, 300, (*SOUND, IMPROVES), (CONVERGED,), (UNDERFITTING,)),
    Kind(_slow_rise, 10, 300, (DECREASES, STABLE), (NO_OVERFITTING,), (OVERFITTING,)),
    Kind(_rise_after_a_step, 16, 300, (DECREASES, STABLE), (NO_OVERFITTING,), (OVERFITTING,)),
    Kind(_validation_at_chance, 8, 300, (DECREASES, STABLE), (NO_OVERFITTING, IMPROVES), (MEMORISING, OVERFITTING)),
    Kind(_never_follows, 8, 300, (DECREASES, STABLE), (NO_OVERFITTING,), (MEMORISING, OVERFITTING)),
    Kind(_fine_tuned_too_long, 5, 9, (DECREASES, STABLE), (NO_OVERFITTING,), (OVERFITTING, MEMORISING)),
    Kind(_stuck_at_log_k, 6, 300, (), (DECREASES, CONVERGED, IMPROVES), (STUCK,)),
    Kind(_class_shares_only, 6, 300, (), (DECREASES, CONVERGED, IMPROVES), (STUCK,)),
    Kind(_explodes_at_the_end, 12, 300, (), (DECREASES, STABLE), (DIVERGING,)),
    Kind(_growing_spikes, 30, 300, (), (STABLE,), (OSCILLATING, DIVERGING)),
    Kind(_alternates, 10, 300, (), (STABLE,), (OSCILLATING,)),
    Kind(_bounces, 8, 300, (), (DECREASES, IMPROVES), (OSCILLATING, STUCK, DIVERGING)),
    Kind(_jagged, 10, 300, (), (STABLE,), (OSCILLATING,)),
    Kind(_nan_late, 6, 300, (), (DECREASES, STABLE, CONVERGED), (NOT_FINITE,)),
    Kind(_rises_from_the_start, 6, 300, (), (DECREASES, STABLE, CONVERGED, IMPROVES), (DIVERGING,)),
    Kind(_collapses, 10, 300, (), (DECREASES, STABLE), (DIVERGING, STUCK)),
)
