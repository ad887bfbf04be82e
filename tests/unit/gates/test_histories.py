"""Gates on histories: outcomes, colours, and what must never pass."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import BarError, EvidenceError, History, Outcome, Verdict
from pytest_modelgate.gates.histories import (
    Converged,
    LossDecreases,
    MetricImproves,
    NoOverfitting,
    TrainingStable,
    higher_is_better,
)

TRAIN = (1.2, 0.9, 0.7, 0.55, 0.45, 0.4, 0.35, 0.32, 0.3, 0.3)
GATES: dict[str, Callable[..., Any]] = {
    "loss_decreases": LossDecreases,
    "training_stable": TrainingStable,
    "no_overfitting": NoOverfitting,
    "converged": Converged,
    "metric_improves(val_recall)": lambda **rest: MetricImproves("val_recall", **rest),
}


def history(train: Sequence[float], val: Sequence[float] = (), keep: int | None = None, **about: Any) -> History:
    made = History("cross_entropy", **about)
    for i, loss in enumerate(train):
        made.log(epoch=i + 1, train_loss=loss, **({"val_loss": val[i]} if i < len(val) else {}))
    if keep is not None:
        made.keep(keep)
    return made


def metric(values: Sequence[float], name: str = "val_recall") -> History:
    made = History()
    for value in values:
        made.log(**{name: value})
    return made


def falling(epochs: int, floor: float = 0.1, pace: float = 6) -> list[float]:
    return (floor + (1 - floor) * np.exp(-pace * np.arange(epochs) / epochs)).tolist()


def judged(name: str, made: History, **rest: Any) -> Verdict:
    verdict = GATES[name](**rest).check(made)
    assert verdict.gate == name
    assert verdict.explanation.startswith(str(verdict.outcome))
    assert Verdict.from_json(verdict.to_json()) == verdict
    return verdict


UP_AGAIN = [*falling(20), *np.linspace(0.1, 0.8, 10).tolist()]
AND_DOWN = [*UP_AGAIN, *np.linspace(0.8, 0.05, 30).tolist()]
SWINGS = [loss + 0.2 * (-1) ** i for i, loss in enumerate(falling(40))]
STRAIGHT = np.linspace(2, 1, 20).tolist()
LEVEL = [2.3] * 10


@pytest.mark.parametrize(
    ("name", "train", "val", "outcome", "deciding"),
    [
        ("loss_decreases", falling(30), [], Outcome.PASS, "fall"),
        ("loss_decreases", LEVEL, [], Outcome.FAIL, "fall"),
        ("loss_decreases", falling(30)[::-1], [], Outcome.FAIL, "rise_since_best"),
        ("loss_decreases", SWINGS, [], Outcome.FAIL, "jaggedness"),
        ("loss_decreases", AND_DOWN, [], Outcome.FAIL, "setback"),
        ("training_stable", falling(30), [], Outcome.PASS, "rise_since_best"),
        ("training_stable", STRAIGHT, [], Outcome.PASS, "rise_since_best"),
        ("training_stable", SWINGS, [], Outcome.FAIL, "jaggedness"),
        ("training_stable", UP_AGAIN, [], Outcome.FAIL, "rise_since_best"),
        ("training_stable", LEVEL, [], Outcome.INCONCLUSIVE, "jaggedness"),
        ("no_overfitting", falling(30), falling(30, 0.3), Outcome.PASS, "gap_share"),
        ("no_overfitting", TRAIN, [1.1] * 10, Outcome.FAIL, "gap_share"),
        ("no_overfitting", falling(30), UP_AGAIN, Outcome.FAIL, "give_back"),
        ("no_overfitting", LEVEL, LEVEL, Outcome.INCONCLUSIVE, "gap_share"),
        ("converged", falling(30), falling(30, 0.2), Outcome.PASS, "pace"),
        ("converged", STRAIGHT, STRAIGHT, Outcome.FAIL, "pace"),
        ("converged", STRAIGHT, [], Outcome.FAIL, "pace"),
        ("converged", STRAIGHT, UP_AGAIN[:20], Outcome.PASS, "pace"),
        ("converged", LEVEL, [], Outcome.FAIL, "fall"),
    ],
)
@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (1000, 0), (1e-3, 0), (1, 5), (1, -5), (1, 1e6)])
def test_outcomes(
    name: str, train: list[float], val: list[float], outcome: Outcome, deciding: str, factor: float, shift: float
) -> None:
    """Each on every scale and with every shift."""
    made = history([factor * x + shift for x in train], [factor * x + shift for x in val])
    verdict = judged(name, made)
    assert (verdict.outcome, verdict.metric) == (outcome, deciding)
    assert verdict.passed == (outcome in (Outcome.PASS, Outcome.INCONCLUSIVE))
    assert verdict.method == "heuristic with measured rates"
    assert (verdict.lower, verdict.upper) == (None, None)
    assert verdict.support == len(train)
    if outcome is Outcome.INCONCLUSIVE:
        assert (verdict.estimate, verdict.bar) == (None, None)
    else:
        assert verdict.bar is not None
        assert verdict.estimate is not None
        above, meets = verdict.estimate > verdict.bar, verdict.direction == "above"
        assert (above == meets) == (outcome is Outcome.PASS)


def test_a_training_that_broke_off_before_its_first_validation_is_red() -> None:
    verdict = judged("no_overfitting", history([math.nan], []))
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
    assert str(verdict).startswith("FAIL: training loss is nan at epoch 1")


@pytest.mark.parametrize(
    ("train", "chance", "why"),
    [
        (LEVEL, None, "stayed at 2.30, without a change"),
        (falling(30)[::-1], None, "which is no fall"),
        ([5.0, 2.4, *[2.3] * 8], 2.31, "fell from 5.00 to 2.30, hardly better than knowing nothing (2.31)"),
        ([5.0, 2.4, *[2.3] * 8], 2.2, "fell from 5.00 to 2.30, no better than knowing nothing (2.20)"),
        ([2.0 - 0.001 * i for i in range(10)], None, "little beside what lay between the two losses from the start"),
    ],
)
def test_why_there_is_nothing_to_judge(train: list[float], chance: float | None, why: str) -> None:
    made = history(train, [3.0] * len(train))
    made.chance_loss = chance
    verdict = judged("no_overfitting", made)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert why in str(verdict)
    assert "nothing to judge yet" in str(verdict)


def test_the_sentence_has_the_numbers() -> None:
    verdict = judged("no_overfitting", history(TRAIN, [1.1] * 10))
    assert str(verdict).startswith(
        "FAIL: 0.889 of what training learned did not carry over to validation (training loss fell from 1.20 to 0.30, "
        "validation loss stayed at 1.10), required <= 0.5"
    )
    assert "what to try: " in str(verdict)
    assert dict(verdict.details)["gap_share"] == pytest.approx(0.8 / 0.9)


@pytest.mark.parametrize(("if_unsure", "passed"), [("estimate", True), ("warn", True), ("fail", False)])
@pytest.mark.parametrize("name", ["no_overfitting", "training_stable"])
def test_colour_where_nothing_was_learned(name: str, if_unsure: str, passed: bool) -> None:
    verdict = judged(name, history(LEVEL, LEVEL), if_unsure=if_unsure)
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.INCONCLUSIVE, passed, None)
    assert any("assert_loss_decreases" in note for note in verdict.notes)


@pytest.mark.parametrize(("if_unsure", "passed"), [("estimate", False), ("warn", True), ("fail", False)])
def test_a_metric_within_its_noise_leans_to_fail(if_unsure: str, passed: bool) -> None:
    verdict = judged(
        "metric_improves(val_recall)", metric([0.5, 0.55, 0.48, 0.53, 0.49, 0.56, 0.51]), if_unsure=if_unsure
    )
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, passed)
    assert verdict.explanation.startswith("INCONCLUSIVE (leans fail): val_recall improved by")


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("if_unsure", ["estimate", "fail", "warn"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["train_loss", "val_loss", "val_recall"])
def test_what_is_not_finite_never_passes(name: str, if_unsure: str, bad: float, where: str) -> None:
    made = History()
    for i, loss in enumerate(falling(20)):
        row = {"train_loss": loss, "val_loss": loss, "val_recall": 1 - loss}
        made.log(epoch=i, **(row | ({where: bad} if i == 12 else {})))
    verdict = judged(name, made, if_unsure=if_unsure)
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
    assert f"is {bad:g} at epoch 12" in verdict.explanation


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
@pytest.mark.parametrize("if_unsure", ["estimate", "fail", "warn"])
def test_too_few_epochs_never_pass(name: str, epochs: int, if_unsure: str) -> None:
    made = History()
    for loss in falling(epochs):
        made.log(train_loss=loss, val_loss=loss, val_recall=1 - loss)
    verdict = judged(name, made, if_unsure=if_unsure)
    assert (verdict.outcome, verdict.passed, verdict.support) == (Outcome.UNDEFINED, False, epochs)
    assert f"{epochs} epoch" in verdict.explanation
    assert "this rule needs 5" in verdict.explanation


@settings(deadline=None, max_examples=150)
@given(
    train=st.lists(st.floats(-1e3, 1e3) | st.sampled_from([math.nan, math.inf, 1e300, 0.0]), min_size=1, max_size=30),
    if_unsure=st.sampled_from(["estimate", "fail", "warn"]),
    chance=st.none() | st.floats(-10, 10),
)
def test_every_curve_gets_a_verdict_that_json_can_hold(train: list[float], if_unsure: str, chance: float) -> None:
    made = History(chance_loss=chance)
    for loss in train:
        made.log(train_loss=loss, val_loss=loss, val_recall=loss)
    for name in GATES:
        verdict = judged(name, made, if_unsure=if_unsure)
        json.dumps(verdict.to_dict(), allow_nan=False)
        finite = all(abs(loss) < 1e100 for loss in train)
        assert verdict.passed <= (finite and len(train) >= 5)
    made.diagnose()


def test_kept_weights_are_what_is_judged() -> None:
    assert not judged("no_overfitting", history(falling(30), UP_AGAIN)).passed
    verdict = judged("no_overfitting", history(falling(30), UP_AGAIN, keep=20))
    assert verdict.outcome is Outcome.PASS
    assert verdict.support == 20
    assert "(up to epoch 20, whose weights were kept)" in verdict.explanation
    short = judged("no_overfitting", history(falling(30), UP_AGAIN, keep=4))
    assert (short.outcome, short.support) == (Outcome.UNDEFINED, 4)
    # That the loss rose after the kept epoch is what shows that training went on for long enough.
    best = [*np.linspace(1, 0.2, 12).tolist(), *np.linspace(0.2, 0.5, 8).tolist()]
    assert judged("converged", history(np.linspace(1, 0.1, 20).tolist(), best, keep=12)).passed


def test_chance_loss() -> None:
    chance = math.log(10)
    collapsed = [chance + 0.5 * 0.3**i for i in range(20)]
    assert judged("loss_decreases", history(collapsed)).passed
    for name in ("loss_decreases", "converged"):
        verdict = judged(name, history(collapsed, collapsed, chance_loss=chance))
        assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
        assert verdict.metric == "train_loss"
    hardly = [0.995 * loss for loss in collapsed]
    verdict = judged("loss_decreases", history(hardly, chance_loss=chance))
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
    assert judged("loss_decreases", history(hardly, chance_loss=chance), if_unsure="warn").passed
    learned = [chance * loss for loss in falling(20)]
    assert judged("loss_decreases", history(learned, chance_loss=chance)).passed
    assert judged("no_overfitting", history(collapsed, LEVEL * 2, chance_loss=chance)).outcome is Outcome.INCONCLUSIVE


def test_a_gap_that_was_there_from_the_start_is_not_learned() -> None:
    """Training falls by a thousandth of what lies between the two losses."""
    train = [2.3 - 0.0001 * i for i in range(20)]
    verdict = judged("no_overfitting", history(train, [2.5] * 20))
    assert (verdict.outcome, verdict.estimate) == (Outcome.INCONCLUSIVE, None)


def test_the_metric_alone_may_stand_still() -> None:
    made = History()
    for i, loss in enumerate(falling(20)):
        made.log(train_loss=loss, val_loss=loss, val_accuracy=0.9 + 0.004 * (-1) ** i)
    assert LossDecreases().check(made).passed
    assert not MetricImproves("val_accuracy").check(made).passed


@pytest.mark.parametrize(
    ("name", "values", "asked", "outcome"),
    [
        ("val_recall", [0.2, 0.5, 0.6, 0.7, 0.75, 0.78], None, Outcome.PASS),
        ("val_recall", [0.78, 0.75, 0.7, 0.6, 0.5, 0.2], None, Outcome.FAIL),
        ("val_recall", [0.78, 0.75, 0.7, 0.6, 0.5, 0.2], False, Outcome.PASS),
        ("val_recall", [0.5] * 8, None, Outcome.FAIL),
        ("val_mae", [9, 5, 3, 2, 1.5, 1.2], None, Outcome.PASS),
        ("val_mae", [9, 5, 3, 2, 1.5, 1.2], True, Outcome.FAIL),
        ("aux_loss", [9, 5, 3, 2, 1.5, 1.2], None, Outcome.PASS),
    ],
)
def test_the_metrics_good_direction(name: str, values: list[float], asked: bool | None, outcome: Outcome) -> None:
    verdict = MetricImproves(name, higher_is_better=asked).check(metric(values, name))
    assert (verdict.outcome, verdict.metric, verdict.direction) == (outcome, name, "above")
    if outcome is Outcome.PASS:
        assert verdict.estimate == pytest.approx(abs(values[0] - values[-1]))


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("accuracy", True),
        ("val_acc", True),
        ("val/recall", True),
        ("val_recall[fraud]", True),
        ("train_false_positive_rate", False),
        ("val_fpr", False),
        ("validation_rmse", False),
        ("val_huber_loss", False),
        ("word_error_rate", False),
        ("reward", True),
    ],
)
def test_directions_by_name(name: str, higher: bool) -> None:
    assert higher_is_better(name) is higher


def test_wrong_use() -> None:
    whole = history(falling(20), falling(20))
    with pytest.raises(EvidenceError, match=r"needs the validation loss, and the history holds train_loss: log it"):
        NoOverfitting().check(history(falling(20)))
    with pytest.raises(EvidenceError, match="needs the training loss, and the history is empty"):
        LossDecreases().check(History())
    with pytest.raises(EvidenceError, match="needs the training loss, and the history holds val_recall"):
        TrainingStable().check(metric([0.1, 0.2]))
    with pytest.raises(EvidenceError, match="different ones: cross_entropy and mse"):
        NoOverfitting().check(history(falling(20), falling(20), validation_loss="mse"))
    with pytest.raises(EvidenceError, match=r"has no 'val_los'; did you mean 'val_loss'\? \(it holds train_loss, val"):
        MetricImproves("val_los").check(whole)
    with pytest.raises(EvidenceError, match="give a History or a TrainedModel, not dict"):
        LossDecreases().check({"train_loss": [1, 2]})
    with pytest.raises(EvidenceError, match="not list; give them one by one"):
        LossDecreases().check([whole])
    with pytest.raises(EvidenceError, match="name of a metric"):
        MetricImproves("")
    with pytest.raises(BarError, match="higher_is_better='yes'"):
        MetricImproves("val_loss", higher_is_better="yes")  # type: ignore[arg-type]
    for gate in GATES.values():
        with pytest.raises(BarError, match=r"if_unsure='warm' .* did you mean 'warn'"):
            gate(if_unsure="warm")
    with pytest.raises(EvidenceError, match="chance_loss=nan"):
        LossDecreases().check(history(falling(20), chance_loss=math.nan))


def test_losses_of_another_name_are_not_compared() -> None:
    """The validation loss still falls, and it is another loss: only the training loss counts."""
    made = history(falling(20), STRAIGHT, validation_loss="mse")
    assert Converged().check(made).passed
    assert not Converged().check(history(falling(20), STRAIGHT)).passed


def test_what_has_a_history_is_judged_by_it() -> None:
    made = history(falling(20), falling(20))
    for gate in (LossDecreases(), NoOverfitting()):
        assert gate.check(SimpleNamespace(history=made)) == gate.check(made)
    assert bool(LossDecreases().check(made)) is True


@pytest.mark.parametrize("name", ["loss_decreases", "training_stable", "no_overfitting", "converged"])
def test_what_is_not_finite_after_the_kept_epoch_never_passes(name: str) -> None:
    verdict = judged(name, history([*falling(20), math.nan], falling(21), keep=15))
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)


def test_a_level_loss_has_no_fall_to_show() -> None:
    """Rounding to float32 is no fall, and no noise either."""
    verdict = judged("loss_decreases", history([2.3, 2.3 + 2e-7, 2.3, 2.3 - 2e-7, 2.3, 2.3 - 2e-7]))
    assert (verdict.estimate, verdict.bar, verdict.outcome) == (0.0, 0.0, Outcome.FAIL)


def test_memorising_is_told_by_its_gap() -> None:
    """Validation gained a little, and gave it back many times: no epoch to stop at would help."""
    val = [1.2, 1.1, 1.15, 1.25, 1.3, 1.35, 1.4, 1.45, 1.5, 1.5]
    verdict = judged("no_overfitting", history(TRAIN, val))
    assert (verdict.outcome, verdict.metric) == (Outcome.FAIL, "gap_share")
    assert "stop at epoch" not in str(verdict)


def test_a_pace_within_its_noise_is_no_fall() -> None:
    rng = np.random.default_rng(3)
    train = falling(40)
    red = sum(
        not judged("converged", history(train, (np.array(train) + 0.15 * rng.standard_normal(40)).tolist())).passed
        for _ in range(60)
    )
    assert red <= 3
