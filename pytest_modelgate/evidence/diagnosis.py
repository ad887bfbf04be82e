"""What the curves of a training show, in words: a diagnosis with its evidence and what to try next."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.curves import BLOWN, FEWEST, JAGGEDNESS, PACE, RISE, Curve, Pair, above

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_modelgate.evidence.history import History

KINDS = (
    "healthy",
    "overfitting",
    "memorising",
    "underfitting",
    "stuck",
    "oscillating",
    "diverging",
    "not finite",
    "too short to tell",
)

_FOLLOWED = 0.25
"""Validation that gained less than this share of what training learned learned nothing that carries over."""

_HIGH = 0.75
"""A training loss above this share of the loss of knowing nothing is high."""

BELOW_CHANCE = 0.01
"""A loss within this share of the loss of knowing nothing is hardly better."""

ADVICE = {
    "healthy": "nothing that the losses show; judge the model on data that it has not seen",
    "overfitting": "stop at epoch {best} and keep its weights (early_stopping=), regularise, or train on more data",
    "memorising": (
        "check that training and validation data are of one kind and labelled alike; then more data, regularisation "
        "(weight decay, dropout, augmentation) or a smaller model"
    ),
    "gap": "train on more data, regularise (weight decay, dropout, augmentation), or take a smaller model",
    "unfinished": "train for more epochs, or raise the learning rate",
    "high": "take a larger model or better features, train with a higher learning rate, or regularise less",
    "stuck": (
        "check that the parameters get gradients and the labels belong to their inputs; then try a learning rate ten "
        "times lower and ten times higher"
    ),
    "oscillating": "lower the learning rate, take larger batches, or clip the gradients",
    "diverging": "lower the learning rate, warm it up, or clip the gradients",
    "not finite": (
        "look for the first bad batch (inputs that are not finite, log or division by zero), lower the learning rate, "
        "clip the gradients"
    ),
    "too short to tell": "log more epochs, or several times in each",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a training's curves show.

    The rules are heuristics with measured error rates, which the README lists; they know the losses alone.

    Attributes:
        kind: one of "healthy", "overfitting", "memorising", "underfitting", "stuck", "oscillating", "diverging",
            "not finite" and "too short to tell".
        evidence: one sentence with the numbers that it rests on.
        advice: what to try next.
        facts: figures by name, and the limits that they were held against.
    """

    kind: str
    evidence: str
    advice: str
    facts: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}\n  what to try: {self.advice}"


def diagnose(history: History) -> Diagnosis:
    """What a history's losses show; see `Diagnosis`.

    Where the weights of an earlier epoch were kept it judges the epochs up to that one, and says so. Without validation
    losses, or where their name is another than the training loss's, it tells what the training loss alone can.

    Raises:
        EvidenceError: the history's `chance_loss` is no finite number.

    >>> from pytest_modelgate import History
    >>> history = History()
    >>> for train in (1.2, 0.9, 0.7, 0.55, 0.45, 0.4, 0.35, 0.32, 0.3, 0.3):
    ...     history.log(train_loss=train, val_loss=1.1)
    >>> print(diagnose(history))
    memorising: training loss fell from 1.20 to 0.30 while validation loss stayed at 1.10: 0.89 of what was learned \
did not carry over
      what to try: check that training and validation data are of one kind and labelled alike; then more data, \
regularisation (weight decay, dropout, augmentation) or a smaller model
    """
    broken = first_not_finite(history)
    if broken is not None:
        return Diagnosis("not finite", broken, ADVICE["not finite"])
    judged = history.until_kept()
    name = "train_loss" if judged.train_loss else "val_loss"
    epochs, (values,) = columns(judged, name)
    if len(values) < FEWEST:
        lacking = f"{too_few(judged, name)}; it takes {FEWEST}" if values else "no loss was logged"
        return Diagnosis("too short to tell", lacking, ADVICE["too short to tell"], {"epochs": len(values)})
    curve = Curve.of(values)
    facts = curve_facts(curve)
    found = _of_one(history, curve, name, epochs, facts)
    if found is None and not why_not_compared(judged):
        found = _of_both(judged, facts)
    if found is None:
        found = _still_falling(history, facts)
    if found is None:
        sentence = f"{WORDS[name]} {course(curve)} over {len(values)} epochs"
        if not why_not_compared(judged):
            pair, _ = compared(judged)
            sentence += f", validation loss {course(pair.val)}"
        elif name == "train_loss":
            sentence += f"; {why_not_compared(judged)}, so overfitting could not be seen"
        found = Diagnosis("healthy", sentence, ADVICE["healthy"], facts)
    return Diagnosis(found.kind, found.evidence + kept_text(history), found.advice, finite_facts(found.facts))


def _of_one(
    history: History, curve: Curve, name: str, epochs: Sequence[int], facts: dict[str, float]
) -> Diagnosis | None:
    """What one loss alone shows, if it is stuck, oscillating or diverging."""
    what = WORDS[name]
    if curve.flat:
        sentence = f"{what} is {shown(curve.end, abs(curve.end))} in all {len(epochs)} epochs"
        return Diagnosis("stuck", sentence, ADVICE["stuck"], facts)
    if curve.diverged:
        best, last = shown(curve.best, curve.drop), shown(curve.last, curve.drop)
        sentence = f"{what} was at its best, {best} around epoch {epochs[curve.best_at]}, and ended at {last}"
        return Diagnosis("diverging", sentence, ADVICE["diverging"], facts)
    chance = chance_of(history)
    learned = curve.fell and (chance is None or below_chance(curve, chance) is True)
    if curve.jagged and (learned or swings(history, curve)):
        sentence = (
            f"{what} jumps about by {curve.jaggedness:.2f} of all that it fell, {JAGGEDNESS:g} or less is usual "
            f"({course(curve)})"
        )
        return Diagnosis("oscillating", sentence, ADVICE["oscillating"], facts)
    if learned:
        return None
    why = f"{what} {course(curve)} over {len(epochs)} epochs, {why_unlearned(history, curve)}"
    return Diagnosis("stuck", why, ADVICE["stuck"], facts)


def _of_both(history: History, facts: dict[str, float]) -> Diagnosis | None:
    """What the two losses together show, if it is overfitting or memorising."""
    pair, epochs = compared(history)
    if nothing_to_follow(history, pair):
        return None
    facts |= pair_facts(pair)
    best = epochs[pair.val.best_at]
    facts["best_epoch"] = best
    if not (pair.gap_is_large or pair.gives_back):
        return None
    sentence = seen(pair, epochs)
    if memorises(pair):
        return Diagnosis("memorising", sentence, ADVICE["memorising"], facts)
    advice = ADVICE["overfitting"].format(best=best) if pair.gives_back else ADVICE["gap"]
    return Diagnosis("overfitting", sentence, advice, facts)


def _still_falling(history: History, facts: dict[str, float]) -> Diagnosis | None:
    """Whether training stopped too soon or the loss stayed high: underfitting."""
    name = falling_name(history)
    _, (values,) = columns(history, name)
    train_name = "train_loss" if history.train_loss else name
    _, (train,) = columns(history, train_name)
    curve, scale = Curve.of(values), Curve.of(train)
    pace = pace_of(curve, scale)
    facts |= {"pace": pace, "pace_limit": PACE}
    if falls_fast(curve, scale):
        sentence = (
            f"{WORDS[name]} ({course(curve)}) was still falling at {pace:.2f} of the average pace when training stopped"
        )
        return Diagnosis("underfitting", sentence, ADVICE["unfinished"], facts)
    chance = chance_of(history)
    if chance and scale.end > chance - (1 - _HIGH) * abs(chance):
        sentence = (
            f"{WORDS[train_name]} {course(scale)} and stays there, where knowing nothing gives "
            f"{shown(chance, abs(chance))}"
        )
        return Diagnosis("underfitting", sentence, ADVICE["high"], facts)
    return None


# What the gates on histories ask too.

WORDS = {"train_loss": "training loss", "val_loss": "validation loss"}


def columns(history: History, *names: str) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """The epochs that logged all of the names, and their values by name."""
    rows = [row for row in history.summary()["epochs"] if all(name in row for name in names)]
    return tuple(row["epoch"] for row in rows), tuple(tuple(float(row[name]) for row in rows) for name in names)


def first_not_finite(history: History) -> str | None:
    """Which value is the first that is NaN, infinite or beyond 1e100, of all that was logged; None where none is."""
    names = history.names
    for row in history.summary()["epochs"]:
        for name in names:
            value = float(row.get(name, 0.0))
            if not abs(value) < BLOWN:
                return f"{WORDS.get(name, name)} is {value:g} at epoch {row['epoch']}"
    return None


def why_not_compared(history: History) -> str | None:
    """Why the training and the validation loss of a history cannot be compared; None where they can."""
    if not history.train_loss or not history.val_loss:
        return f"no {'validation' if history.train_loss else 'training'} loss was logged"
    if history.validation_loss is not None and history.validation_loss != history.loss:
        return f"the losses are different ones (training {history.loss}, validation {history.validation_loss})"
    if len(columns(history, "train_loss", "val_loss")[0]) < FEWEST:
        return f"fewer than {FEWEST} epochs logged both losses"
    return None


def compared(history: History) -> tuple[Pair, tuple[int, ...]]:
    """Both losses of the epochs that logged both, at least 5, and those epochs."""
    epochs, (train, val) = columns(history, "train_loss", "val_loss")
    return Pair(Curve.of(train), Curve.of(val)), epochs


def too_few(history: History, *names: str) -> str:
    """How many epochs there are to judge, in words."""
    count = len(columns(history, *names)[0])
    what = " and ".join(WORDS.get(name, name) for name in names)
    return f"{count} epoch{'' if count == 1 else 's'} of {what}{kept_text(history)}"


def kept_text(history: History) -> str:
    """That later epochs were left out, where the model has the weights of an earlier one."""
    if history.kept is None:
        return ""
    return f" (up to epoch {history.kept}, whose weights were kept)"


def chance_of(history: History) -> float | None:
    """The loss of knowing nothing; an `EvidenceError` where it is no finite number."""
    chance = history.chance_loss
    if chance is not None and not abs(chance) < BLOWN:
        raise EvidenceError(f"chance_loss={chance!r} is no loss; give that of a model that knows nothing, or None")
    return chance


def below_chance(curve: Curve, chance: float) -> bool | None:
    """Whether a loss ends below that of knowing nothing; None where it is by less than 1% of it."""
    if not curve.end < chance:
        return False
    return True if curve.end < chance - BELOW_CHANCE * abs(chance) else None


def why_unlearned(history: History, curve: Curve) -> str:
    """Why a course from here to there is no learning, in words."""
    chance = chance_of(history)
    if curve.fall < -6 * curve.noise:
        return "which is no fall"
    if not curve.fell:
        return f"which is within 6 standard deviations of its noise (each {shown(curve.noise, curve.noise)})"
    if chance is not None and below_chance(curve, chance) is not True:
        better = "hardly" if curve.end < chance else "no"
        return f"{better} better than knowing nothing ({shown(chance, curve.drop)})"
    return "which is little beside what lay between the two losses from the start"


def falling_name(history: History) -> str:
    """Which loss tells whether there is more to learn: the validation loss where it can be compared."""
    if history.train_loss and why_not_compared(history):
        return "train_loss"
    return "val_loss"


def pace_of(curve: Curve, scale: Curve) -> float:
    """How fast a loss still falls, over the average pace of the training loss; 1 for a straight line."""
    falls, _ = curve.slope
    return falls * (len(scale.values) - 1) / scale.drop if scale.drop > 0 else math.inf


def pace_limit(curve: Curve, scale: Curve) -> float:
    """Half of the average pace, or 3 standard errors of the slope where that is more."""
    _, error = curve.slope
    return max(PACE, 3 * error * (len(scale.values) - 1) / scale.drop) if scale.drop > 0 else PACE


def falls_fast(curve: Curve, scale: Curve) -> bool:
    """Whether a loss still falls at over half of the average pace, and by more than 3 standard errors."""
    return above(pace_of(curve, scale), pace_limit(curve, scale))


def swings(history: History, curve: Curve) -> bool:
    """Whether a loss that learned nothing jumps about, and is not just stuck with the noise of its batches.

    Against the loss of knowing nothing where that is known. Else by its trend, 3 standard errors: swings as wide as the
    fall hide it in single epochs.
    """
    chance = chance_of(history)
    return curve.noise > JAGGEDNESS * abs(chance) if chance else curve.trend > 3


def nothing_to_follow(history: History, pair: Pair) -> bool:
    """Whether training learned nothing that validation could follow.

    It did not fall by more than its noise, not below the loss of knowing nothing, or by so little that what lies
    between the two losses was there from the start: under a tenth of it.
    """
    chance = chance_of(history)
    unlearned = chance is not None and below_chance(pair.train, chance) is not True
    return not pair.train.fell or unlearned or not pair.train.fall > pair.learned / 10


def memorises(pair: Pair) -> bool:
    """Whether validation hardly gained anything while training learned: from the losses up to its best, to that."""
    until = slice(pair.val.best_at + 1)
    highest = float(max(pair.train.values[until].max(), pair.val.values[until].max()))
    return min(highest - pair.val.best, pair.gained) < _FOLLOWED * pair.learned


def shown(value: float, unit: float) -> str:
    """A loss with as many decimals as show a hundredth of a unit, such as the drop.

    >>> shown(1.23456, 0.9), shown(1000005.25, 0.9), shown(1234.5, 900), shown(2e-8, 1e-8)
    ('1.23', '1000005.25', '1234', '2.00e-08')
    """
    if not 1e-7 < abs(unit) < 1e9:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - round(math.log10(abs(unit))))}f}"


def course(curve: Curve) -> str:
    """From where to where a loss went."""
    whole = max(abs(curve.drop), abs(curve.fall)) or abs(curve.end)
    unit = max(min(whole, 3 * abs(curve.end)), whole / 100)
    start, end = shown(curve.start, unit), shown(curve.end, unit)
    if start == end:
        return f"stayed at {end}"
    return f"{'fell' if curve.fall > 0 else 'rose'} from {start} to {end}"


def seen(pair: Pair, epochs: Sequence[int]) -> str:
    """What was learned, what did not carry over and what was given back, in one sentence."""
    val, unit = pair.val, pair.learned
    training = f"training loss {course(pair.train)}"
    if pair.gives_back and not memorises(pair):
        best = f"{shown(val.best, unit)} around epoch {epochs[val.best_at]}"
        return (
            f"{training} while validation loss rose from its best, {best}, to {shown(val.end, unit)}: "
            f"{pair.give_back:.2f} of what it had gained was given back"
        )
    return (
        f"{training} while validation loss {course(val)}: {pair.gap_share:.2f} of what was learned did not carry over"
    )


def curve_facts(curve: Curve) -> dict[str, float]:
    """The figures of one loss, and the limits of the rules about it."""
    return {
        "epochs": len(curve.values),
        "start": curve.start,
        "end": curve.end,
        "best": curve.best,
        "noise": curve.noise,
        "fall_limit": 6 * curve.noise,
        "jaggedness": curve.jaggedness,
        "jaggedness_limit": JAGGEDNESS,
        "rise_since_best": (curve.last - curve.best) / curve.drop if curve.drop > 0 else math.inf,
        "rise_limit": max(RISE, 6 * curve.noise / curve.drop) if curve.drop > 0 else RISE,
    }


def pair_facts(pair: Pair) -> dict[str, float]:
    """The figures of both losses, and the limits of the rules about them."""
    return {
        "gap_share": pair.gap_share,
        "gap_share_limit": pair.gap_limit,
        "give_back": pair.give_back,
        "give_back_limit": pair.give_back_limit,
        "validation_end": pair.val.end,
        "validation_best": pair.val.best,
        "validation_noise": pair.val.noise,
    }


def finite_facts(facts: Mapping[str, float]) -> dict[str, float]:
    """Figures that JSON can hold."""
    return {name: value for name, value in facts.items() if math.isfinite(value)}
