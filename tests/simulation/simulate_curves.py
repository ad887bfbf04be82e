"""How often the rules on histories err, on curves of known kinds with random lengths, noise, scales and shifts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rates import Rate
from training_curves import KINDS, Run

from pytest_modelgate import History
from pytest_modelgate.evidence.diagnosis import diagnose
from pytest_modelgate.gates.histories import Converged, LossDecreases, MetricImproves, NoOverfitting, TrainingStable

GATES: dict[str, Callable[[History], bool]] = {
    "overfit": lambda history: NoOverfitting().check(history).passed,
    "stable": lambda history: TrainingStable().check(history).passed,
    "decreases": lambda history: LossDecreases().check(history).passed,
    "converged": lambda history: Converged().check(history).passed,
    "improves": lambda history: MetricImproves("val_accuracy").check(history).passed,
}


NONE = float("nan")
"""On a kind where a gate must be green it cannot pass by mistake, and the other way round."""

METHOD = "robust shares against the noise"
NAMES = {
    "overfit": "no_overfitting",
    "stable": "training_stable",
    "decreases": "loss_decreases",
    "converged": "converged",
    "improves": "metric_improves",
}


def drawn(kind: str, seed: int, index: int, shifted: bool = True) -> Run:
    """One run of a kind, on a random scale and, if asked, with a random shift."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), index])
    run = KINDS[kind].draw(rng)
    factor, shift = 10 ** rng.uniform(-3, 3), rng.uniform(-5, 5)
    if run.chance is not None or not shifted:
        shift = 0.0  # the loss of knowing nothing is on the loss's own scale
    chance = None if run.chance is None else run.chance * factor
    return Run(factor * (run.train + shift), factor * (run.val + shift), run.accuracy, chance)


def logged(run: Run) -> History:
    """The run as a history."""
    history = History(chance_loss=run.chance)
    for train, val, accuracy in zip(run.train.tolist(), run.val.tolist(), run.accuracy.tolist(), strict=True):
        history.log(train_loss=train, val_loss=val, val_accuracy=accuracy)
    return history


def rates(
    judges: dict[str, Callable[[History], bool]], method: str, runs: int, seed: int, shifted: bool = True
) -> list[Rate]:
    """For each gate and each kind on which its colour is known: how often it is red, or green, by mistake."""
    found = []
    for name, kind in KINDS.items():
        asked = [gate for gate in judges if gate in f"{kind.green} {kind.red}".split()]
        if not asked:
            continue
        histories = [logged(drawn(name, seed, index, shifted)) for index in range(runs)]
        for gate in asked:
            red = gate in kind.red.split()
            wrong = float(np.mean([judges[gate](history) == red for history in histories]))
            found.append(
                Rate(
                    metric=NAMES[gate],
                    method=method,
                    scenario=name,
                    false_pass=wrong if red else NONE,
                    false_fail=NONE if red else wrong,
                    runs=runs,
                )
            )
    return found


def kinds_said(runs: int, seed: int) -> list[Rate]:
    """For each kind how often a diagnosis names another: a finding where all is well, or none where something is."""
    found = []
    for name, kind in KINDS.items():
        said = [diagnose(logged(drawn(name, seed, index))).kind for index in range(runs)]
        wrong = float(np.mean([one not in kind.said for one in said]))
        well = kind.said == ("healthy",)
        found.append(
            Rate(
                metric="diagnose",
                method="another kind",
                scenario=name,
                false_pass=NONE if well else wrong,
                false_fail=wrong if well else NONE,
                runs=runs,
            )
        )
    return found


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's gates, and its diagnoses."""
    return [*rates(GATES, METHOD, runs, seed), *kinds_said(runs, seed)]


def ratio(history: History) -> bool:
    """The last validation loss is at most 1.2 times the last training loss."""
    return history.val_loss[-1] <= 1.2 * history.train_loss[-1]


def patience(history: History) -> bool:
    """The validation loss has had a new best in the last 5 epochs."""
    val = history.val_loss
    return len(val) <= 5 or min(val[-5:]) < min(val[:-5])


def lower_at_the_end(history: History) -> bool:
    """The last training loss is below the first."""
    return history.train_loss[-1] < history.train_loss[0]


def higher_at_the_end(history: History) -> bool:
    """The last accuracy is above the first."""
    return history["val_accuracy"][-1] > history["val_accuracy"][0]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """What projects write by hand, on losses that are not shifted: it would make no sense of others."""
    return [
        *rates({"overfit": ratio}, "validation / training > 1.2", runs, seed, False),
        *rates({"overfit": patience}, "no new best in 5 epochs", runs, seed, False),
        *rates({"decreases": lower_at_the_end}, "last < first", runs, seed, False),
        *rates({"improves": higher_at_the_end}, "last > first", runs, seed, False),
    ]


if __name__ == "__main__":
    for rate in [*measure(100), *controls(100)]:
        if rate.false_pass > 0 or rate.false_fail > 0:
            print(f"{rate.metric:16} {rate.method:34} {rate.scenario:28} {rate.false_pass:6.1%} {rate.false_fail:6.1%}")
