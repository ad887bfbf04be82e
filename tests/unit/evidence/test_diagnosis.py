"""What a diagnosis says of curves whose kind is plain to see."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pytest_modelgate import EvidenceError, History
from pytest_modelgate.evidence.diagnosis import KINDS, Diagnosis, diagnose, shown

TRAIN = (1.2, 0.9, 0.7, 0.55, 0.45, 0.4, 0.35, 0.32, 0.3, 0.3)


def history(train: Sequence[float] = (), val: Sequence[float] = (), keep: int | None = None, **about: Any) -> History:
    made = History("cross_entropy", **about)
    for i in range(max(len(train), len(val))):
        row = {name: values[i] for name, values in (("train_loss", train), ("val_loss", val)) if i < len(values)}
        made.log(epoch=i + 1, **row)
    if keep is not None:
        made.keep(keep)
    return made


def falling(epochs: int, floor: float = 0.1, pace: float = 6) -> list[float]:
    return (floor + (1 - floor) * np.exp(-pace * np.arange(epochs) / epochs)).tolist()


def turning(epochs: int, turn: int, end: float = 0.9) -> list[float]:
    first = falling(epochs, 0.2, 12)[:turn]
    return [*first, *np.linspace(first[-1], end, epochs - turn).tolist()]


def swinging(epochs: int) -> list[float]:
    return [loss + 0.2 * (-1) ** i for i, loss in enumerate(falling(epochs))]


CASES = {
    "healthy": history(falling(30), falling(30, 0.2)),
    "overfitting": history(falling(30), turning(30, 12)),
    "memorising": history(TRAIN, [1.1] * 10),
    "underfitting": history(np.linspace(2, 1, 20).tolist(), np.linspace(2, 1.1, 20).tolist()),
    "stuck": history([2.3] * 10, [2.3] * 10),
    "oscillating": history(swinging(40), falling(40)),
    "diverging": history(turning(30, 12, 5), falling(30)),
    "not finite": history([*falling(9), math.nan], falling(10)),
    "too short to tell": history([1, 0.5, 0.3], [1, 0.6, 0.5]),
}


def test_validation_that_is_best_before_anything_was_learned_is_memorising() -> None:
    """Labels at random: to stop at epoch 1 would be no advice."""
    found = history(falling(80), [2.4, 2.5, *np.linspace(3, 8, 78).tolist()]).diagnose()
    assert found.kind == "memorising"
    assert "epoch 1" not in found.advice
    assert history(falling(80), turning(80, 8, 8)).diagnose().kind == "overfitting"


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str) -> None:
    found = CASES[kind].diagnose()
    assert found.kind == kind
    assert found.evidence
    assert found.advice
    assert len(str(found).splitlines()) == 2
    json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "not finite"])
@pytest.mark.parametrize(("factor", "shift"), [(1000, 0), (1e-3, 0), (1, 5), (1, -5), (1, 1e6)])
def test_scale_and_shift_change_no_kind(kind: str, factor: float, shift: float) -> None:
    case = CASES[kind]
    moved = history([factor * x + shift for x in case.train_loss], [factor * x + shift for x in case.val_loss])
    assert diagnose(moved).kind == kind


def test_memorising_in_words() -> None:
    found = diagnose(CASES["memorising"])
    assert found.evidence == (
        "training loss fell from 1.20 to 0.30 while validation loss stayed at 1.10: "
        "0.89 of what was learned did not carry over"
    )
    assert found.facts["gap_share"] == pytest.approx(0.8 / 0.9)
    assert found.facts["gap_share_limit"] > 0.5


def test_overfitting_names_the_epoch_to_stop_at() -> None:
    found = diagnose(CASES["overfitting"])
    assert 11 <= found.facts["best_epoch"] <= 13
    assert f"stop at epoch {found.facts['best_epoch']:g}" in found.advice
    assert f"around epoch {found.facts['best_epoch']:g}" in found.evidence
    assert "given back" in found.evidence


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e150])
@pytest.mark.parametrize(("name", "words"), [("train_loss", "training loss"), ("val_loss", "validation loss")])
def test_not_finite_names_epoch_and_curve(bad: float, name: str, words: str) -> None:
    made = History()
    for epoch, loss in enumerate(falling(10), 3):
        made.log(epoch=epoch, **({"train_loss": loss, "val_loss": loss} | ({name: bad} if epoch == 7 else {})))
    assert diagnose(made).evidence == f"{words} is {bad:g} at epoch 7"


def test_a_metric_that_is_not_finite_is_named_too() -> None:
    made = history(falling(10), falling(10))
    made.log(epoch=11, val_recall=math.nan)
    assert diagnose(made) == Diagnosis("not finite", "val_recall is nan at epoch 11", diagnose(made).advice)


def test_after_early_stopping_the_kept_epoch_counts() -> None:
    whole = history(falling(30), turning(30, 12))
    kept = history(falling(30), turning(30, 12), keep=12)
    assert diagnose(whole).kind == "overfitting"
    found = diagnose(kept)
    assert found.kind == "healthy"
    assert found.evidence.endswith("(up to epoch 12, whose weights were kept)")
    early = diagnose(history(falling(30), turning(30, 12), keep=3))
    assert early.kind == "too short to tell"
    assert early.evidence == "3 epochs of training loss (up to epoch 3, whose weights were kept); it takes 5"


def test_nan_after_the_kept_epoch_is_still_seen() -> None:
    assert diagnose(history([*falling(20), math.nan], falling(21), keep=15)).kind == "not finite"


def test_without_validation_the_training_loss_is_judged() -> None:
    found = diagnose(history(falling(30)))
    assert found.kind == "healthy"
    assert "overfitting could not be seen" in found.evidence
    assert diagnose(history([2.3] * 10)).kind == "stuck"
    assert diagnose(history(val=falling(30))).kind == "healthy"
    assert diagnose(history(np.linspace(2, 1, 20).tolist())).kind == "underfitting"


def test_losses_of_other_names_are_not_compared() -> None:
    found = diagnose(history(TRAIN, [1.1] * 10, validation_loss="mse"))
    assert found.kind == "healthy"
    assert "different ones (training cross_entropy, validation mse)" in found.evidence
    assert diagnose(history(TRAIN, [1.1] * 10, validation_loss="cross_entropy")).kind == "memorising"


def test_only_epochs_that_logged_both_are_compared() -> None:
    """Validation at every third epoch: the values belong to the epochs of their own rows."""
    made = History()
    for epoch, loss in enumerate(falling(30), 1):
        made.log(epoch=epoch, train_loss=loss)
        if epoch % 3 == 0:
            made.log(epoch=epoch, val_loss=1.0 + 0.001 * epoch)
    assert diagnose(made).kind == "memorising"
    assert diagnose(made).facts["epochs"] == 30
    rare = history(falling(30), [1.0] * 4)
    assert "fewer than 5 epochs logged both losses" in diagnose(rare).evidence


def test_chance_loss_shows_a_collapse() -> None:
    """Down to log K and no further: the training loss alone looks like learning."""
    course = [math.log(10) + 0.5 * 0.3**i for i in range(20)]
    assert diagnose(history(course, course)).kind == "healthy"
    found = diagnose(history(course, course, chance_loss=math.log(10)))
    assert found.kind == "stuck"
    assert "no better than knowing nothing (2.30)" in found.evidence
    high = [math.log(10) * x for x in falling(30, 0.85)]
    assert diagnose(history(high, high, chance_loss=math.log(10))).kind == "underfitting"


@pytest.mark.parametrize("chance", [math.nan, math.inf])
def test_a_chance_loss_that_is_none(chance: float) -> None:
    with pytest.raises(EvidenceError, match="chance_loss"):
        diagnose(history(falling(30), falling(30), chance_loss=chance))


def test_nothing_logged() -> None:
    assert diagnose(History()).kind == "too short to tell"
    metrics = History()
    metrics.log(val_recall=0.5)
    assert diagnose(metrics).evidence == "no loss was logged"


def test_numbers_tell_a_hundredth_of_the_fall() -> None:
    assert shown(1000001.234, 1) == "1000001.23"
    assert shown(0.0001234, 0.0001) == "0.000123"
    assert shown(3e12, 1e12) == "3.00e+12"
