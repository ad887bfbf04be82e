"""How often the rules on histories err, on curves of known kinds with random lengths, noise, scales and shifts.

python tests/simulation/simulate_curves.py --runs 300 --seed 1      prints the README's table of it

There are two corpora: the one that the rules were made on, and one by somebody who had not seen them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import unseen_curves
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
DIAGNOSIS = "another kind"
NAMES = {
    "overfit": "no_overfitting",
    "stable": "training_stable",
    "decreases": "loss_decreases",
    "converged": "converged",
    "improves": "metric_improves",
}
_UNSEEN = {
    "overfit": unseen_curves.NO_OVERFITTING,
    "stable": unseen_curves.STABLE,
    "decreases": unseen_curves.DECREASES,
    "converged": unseen_curves.CONVERGED,
    "improves": unseen_curves.IMPROVES,
}

FIRST, UNSEEN = "first", "unseen"
HELD_OUT = ", unseen kinds"
"""What the name of a method ends with where it was measured on the second corpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A kind of curves of either corpus.

    Attributes:
        name: the kind.
        draw: the history of a seed and an index, with or without a random shift.
        green, red: the gates, as in `GATES`, whose colour is known.
        said: the diagnoses that are right.
    """

    name: str
    draw: Callable[[int, int, bool], History]
    green: Sequence[str]
    red: Sequence[str]
    said: Sequence[str]


def drawn(kind: str, seed: int, index: int, shifted: bool = True) -> Run:
    """One run of a kind of the first corpus, on a random scale and, if asked, with a random shift."""
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


def _first(name: str) -> Case:
    kind = KINDS[name]
    return Case(
        name=name,
        draw=lambda seed, index, shifted: logged(drawn(name, seed, index, shifted)),
        green=kind.green.split(),
        red=kind.red.split(),
        said=kind.said,
    )


def _unseen(number: int) -> Case:
    kind = unseen_curves.KINDS[number]
    return Case(
        name=kind.name,
        draw=lambda seed, index, shifted: kind.draw(np.random.default_rng([seed, number, index]), shifted),
        green=[gate for gate, name in _UNSEEN.items() if name in kind.green],
        red=[gate for gate, name in _UNSEEN.items() if name in kind.red],
        said=kind.diagnoses,
    )


CORPORA: dict[str, list[Case]] = {
    FIRST: [_first(name) for name in KINDS],
    UNSEEN: [_unseen(number) for number in range(len(unseen_curves.KINDS))],
}


def rates(
    judges: dict[str, Callable[[History], bool]],
    method: str,
    runs: int,
    seed: int,
    shifted: bool = True,
    corpora: Iterable[str] = tuple(CORPORA),
) -> list[Rate]:
    """For each gate and each kind on which its colour is known: how often it is red, or green, by mistake."""
    found = []
    for corpus in corpora:
        for case in CORPORA[corpus]:
            asked = [gate for gate in judges if gate in [*case.green, *case.red]]
            if not asked:
                continue
            histories = [case.draw(seed, index, shifted) for index in range(runs)]
            for gate in asked:
                red = gate in case.red
                wrong = float(np.mean([judges[gate](history) == red for history in histories]))
                found.append(_rate(NAMES[gate], method, corpus, case.name, wrong, red, runs))
    return found


def kinds_said(runs: int, seed: int, corpora: Iterable[str] = tuple(CORPORA)) -> list[Rate]:
    """For each kind how often a diagnosis names another: a finding where all is well, or none where something is."""
    found = []
    for corpus in corpora:
        for case in CORPORA[corpus]:
            said = [diagnose(case.draw(seed, index, True)).kind for index in range(runs)]
            wrong = float(np.mean([one not in case.said for one in said]))
            found.append(_rate("diagnose", DIAGNOSIS, corpus, case.name, wrong, "healthy" not in case.said, runs))
    return found


def _rate(metric: str, method: str, corpus: str, kind: str, wrong: float, red: bool, runs: int) -> Rate:
    return Rate(
        metric=metric,
        method=method if corpus == FIRST else method + HELD_OUT,
        scenario=kind,
        false_pass=wrong if red else NONE,
        false_fail=NONE if red else wrong,
        runs=runs,
    )


def measure(runs: int, seed: int = 0, corpora: Iterable[str] = tuple(CORPORA)) -> list[Rate]:
    """The package's gates, and its diagnoses."""
    return [*rates(GATES, METHOD, runs, seed, corpora=corpora), *kinds_said(runs, seed, corpora)]


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


BY_HAND: tuple[tuple[str, str, Callable[[History], bool]], ...] = (
    ("overfit", "validation / training > 1.2", ratio),
    ("overfit", "no new best in 5 epochs", patience),
    ("decreases", "last < first", lower_at_the_end),
    ("improves", "last > first", higher_at_the_end),
)


def controls(runs: int, seed: int = 0, corpora: Iterable[str] = tuple(CORPORA)) -> list[Rate]:
    """What projects write by hand, on losses that are not shifted: it would make no sense of others."""
    found = []
    for gate, method, judge in BY_HAND:
        found += rates({gate: _until_kept(judge)}, method, runs, seed, False, corpora)
    return found


def _until_kept(judge: Callable[[History], bool]) -> Callable[[History], bool]:
    return lambda history: judge(history.until_kept())


def table(runs: int, seed: int = 0) -> list[str]:
    """The README's table, line by line: each gate on each corpus, and below what projects write by hand."""
    groups: defaultdict[tuple[str, str], list[Rate]] = defaultdict(list)
    for rate in [*measure(runs, seed), *controls(runs, seed)]:
        corpus = UNSEEN if rate.method.endswith(HELD_OUT) else FIRST
        method = rate.method.removesuffix(HELD_OUT)
        what = "`diagnose`" if rate.metric == "diagnose" else f"`assert_{rate.metric}`"
        if method not in (METHOD, DIAGNOSIS):
            what = f"instead of {what}: {method}"
        groups[what, corpus].append(rate)
    used = [*(f"`assert_{name}`" for name in NAMES.values()), "`diagnose`"]
    order = [*used, *dict.fromkeys(what for what, _ in groups if what not in used)]
    return [
        "| What | Corpus | Kinds: sound, bad | False alarms: mean, worst | Misses: mean, worst |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {what} | {corpus} | {_spread(groups[what, corpus])} |" for what in order for corpus in CORPORA),
    ]


def _spread(group: list[Rate]) -> str:
    """The number of kinds, and the mean and the worst rate of each error over them, in percent."""
    sides = [
        [100 * rate.false_fail for rate in group if not np.isnan(rate.false_fail)],
        [100 * rate.false_pass for rate in group if not np.isnan(rate.false_pass)],
    ]
    figures = [f"{np.mean(side):.1f}, {max(side):.1f}" if side else "" for side in sides]
    return " | ".join([f"{len(sides[0])}, {len(sides[1])}", *figures])


def main() -> None:
    """Print the table, or the rates of each kind that are not 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="runs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", action="store_true", help="the rates of each kind instead, where they are not 0")
    options = parser.parse_args()
    if not options.kinds:
        print("\n".join(table(options.runs, options.seed)))
        return
    for rate in [*measure(options.runs, options.seed), *controls(options.runs, options.seed)]:
        if rate.false_pass > 0 or rate.false_fail > 0:
            print(f"{rate.metric:16} {rate.method:46} {rate.scenario:28} {rate.false_pass:6.1%} {rate.false_fail:6.1%}")


if __name__ == "__main__":
    main()
