"""What the reports say in words about a run, an evaluation and a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_modelgate.reports import facts

if TYPE_CHECKING:
    from types import SimpleNamespace

    from pytest_modelgate.reports.report import Report


def test_a_run_is_told_in_a_few_words(report: Report) -> None:
    assert facts.run_facts(report) == [
        "22 tests: 18 passed, 4 failed", "22 gates", "seed 0", "device cpu", "8.2 s", "commit 0123456789",
    ]  # fmt: skip


def test_every_outcome_of_a_test_is_counted_in_words(make: SimpleNamespace) -> None:
    outcomes = dict(zip("abcdef", ["passed", "failed", "error", "skipped", "xfailed", "xpassed"], strict=True))
    (tests, *_) = facts.run_facts(make.build([], order=list("abcdefg"), outcomes=outcomes))
    assert tests == (
        "7 tests: 1 passed, 1 failed, 1 ended in an error, 1 skipped, 1 failed as marked, "
        "1 passed though marked to fail, 1 did not run"
    )


@pytest.mark.parametrize(("bounds", "known"), [([], None), ([0.95], 0.95), ([0.95, 0.95], 0.95), ([0.95, 0.99], None)])
def test_the_confidence_is_named_once_where_all_bounds_share_it(
    make: SimpleNamespace, bounds: list[float], known: float | None
) -> None:
    entries = [make.entry("t", "verdict", make.verdict(confidence=0.5))]
    entries += [make.entry("t", "verdict", make.verdict(confidence=one, lower=0.1, upper=0.9)) for one in bounds]
    assert facts.confidence(make.build(entries)) == known


def test_an_evaluation_is_named_by_its_model_and_its_steps(make: SimpleNamespace) -> None:
    steps = ["at_threshold(0.3)", "slices['north']"]
    title = facts.evaluation_title(make.evaluation("e", model="Net", derivation=steps))
    assert title == "Net.at_threshold(0.3).slices['north']"
    assert facts.evaluation_title(make.evaluation("e")) == "evaluation"
    assert facts.evaluation_title(make.evaluation("e", kind="confusion_matrix")) == "confusion matrix"


def test_the_facts_of_an_evaluation_leave_out_what_it_has_not(make: SimpleNamespace) -> None:
    loss = {"name": "cross_entropy", "mean": "inf"}
    full = make.evaluation("e", n=1204, counts=[[80, 5], [3, 12]], loss=loss)
    assert facts.evaluation_facts(full) == [
        ("task", "binary"), ("samples", "1,204"), ("accuracy", "0.920"), ("cross entropy", "inf"), ("threshold", "0.5"),
    ]  # fmt: skip
    bare = make.evaluation("e", task="regression", labels=[], counts=None, threshold=None)
    assert facts.evaluation_facts(bare) == [("task", "regression"), ("samples", "100")]


def test_what_was_logged_is_gathered_by_name_with_losses_first(make: SimpleNamespace) -> None:
    epochs = [
        {"epoch": 1, "lr": 0.1, "val_recall": 0.5, "train_loss": 3.0},
        {"epoch": 2, "train_loss": "nan", "val_recall": 0.8},
        {"epoch": 4, "train_loss": 1.0},
    ]
    loss, rate, recall = facts.courses(make.history("h", epochs))

    assert [(one.name, one.group, one.part) for one in (loss, rate, recall)] == [
        ("train_loss", "loss", "train"), ("lr", "lr", ""), ("val_recall", "recall", "val"),
    ]  # fmt: skip
    assert (loss.first, loss.last, loss.lowest, loss.highest) == (3.0, 1.0, (4, 1.0), (1, 3.0))
    assert loss.broken == [(2, "nan")]
    assert recall.points == [(1, 0.5), (2, 0.8), (4, None)]
    assert recall.last == 0.8


def test_a_training_without_epochs_has_no_values(make: SimpleNamespace) -> None:
    row = make.history("h", [], model=None, loss=None, seed=None, device=None, threads=2)
    assert facts.courses(row) == []
    assert facts.history_title(row) == "training"
    assert facts.history_facts(row) == [("epochs", "0"), ("threads", "2")]


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (None, ""),
        ("Holm over 10 classes", "corrected for 10 classes (Holm)"),
        ("Holm over 3 slices of 'age'", "corrected for 3 slices of 'age' (Holm)"),
        ("by hand", "corrected: by hand"),
    ],
)
def test_a_correction_is_told_in_words(make: SimpleNamespace, family: str | None, words: str) -> None:
    assert facts.corrected(make.verdict(family=family)) == words
    older = make.verdict()
    del older["family"]
    assert facts.corrected(older) == ""


def test_the_method_does_not_say_the_correction_again(make: SimpleNamespace) -> None:
    family = "Holm over 10 classes"
    assert facts.method(make.verdict(method=f"Clopper-Pearson, {family}", family=family)) == "Clopper-Pearson"
    assert facts.method(make.verdict(method="Clopper-Pearson, approximate")) == "Clopper-Pearson, approximate"
    assert facts.method(make.verdict()) == ""


def test_the_seeds_are_listed(make: SimpleNamespace) -> None:
    details = tuple((f"seed {index}", 0.5 + index / 1000) for index in range(23))
    gate = "over_seeds(recall >= 0.9)"

    assert facts.seeds_text(make.verdict(gate=gate, details=details[:3])) == "seeds: 0.500, 0.501, 0.502"
    assert facts.seeds_text(make.verdict(gate=gate, details=details)).endswith(", 0.519 and 3 more")
    assert facts.seeds_text(make.verdict(details=details)) == ""
    assert facts.seeds_text(make.verdict(gate=gate)) == ""


CHURN = "36 of 400 decisions changed: 20 fixes, 16 breaks"


def test_the_churn_is_told_as_the_notes_tell_it(make: SimpleNamespace) -> None:
    changes: dict[str, object] = {"gate": "no_regression(recall, margin=0)", "notes": ("the data allow", CHURN)}
    assert facts.churn(make.verdict(details=(("changed", 36), ("of", 400)), **changes)) == CHURN
    assert facts.churn(make.verdict(**changes)) == ""
    assert facts.churn(make.verdict(notes=("something else",), details=(("changed", 1),))) == ""


def test_what_would_settle_a_verdict_stands_after_its_notes(make: SimpleNamespace) -> None:
    assert facts.lines({**make.verdict(notes=("one", "two")), "settle": ["three"]}) == ["one", "two", "three"]
    assert facts.lines(make.verdict(notes=("one",))) == ["one"]


def test_tables_are_told_from_sentences(make: SimpleNamespace) -> None:
    table = ["     predicted a   predicted b", "actual a   1   2"]
    row = {**make.verdict(notes=("one", *table, "two")), "settle": ["three"]}
    assert facts.parts(row) == [(False, ["one"]), (True, table), (False, ["two", "three"])]
    assert facts.parts(make.verdict()) == []


def test_what_a_training_says_of_itself(make: SimpleNamespace) -> None:
    diagnosis = {"kind": "overfitting", "evidence": "the gap grew", "advice": "more data"}
    row = make.history("h", [{"epoch": 1, "train_loss": 1.0}], diagnosis=diagnosis, kept=3, nondeterministic=["a", "b"])
    assert facts.history_title(row) == "Net: overfitting"
    assert facts.history_notes(row) == [
        "the gap grew",
        "try: more data",
        "the weights of epoch 3 were kept",
        "may differ from run to run, since these are not deterministic: a, b",
    ]


STORED = {"key": "ab12cd34ef56", "trained_at": "2026-11-20T08:10:00+00:00", "changed": [], "reason": None}


@pytest.mark.parametrize(
    ("training", "notes"),
    [
        (None, []),
        (STORED | {"state": "trained"}, []),
        (STORED | {"state": "trained", "changed": ["train_data", "config.yaml"]},
         ["trained anew, since this changed: train_data, config.yaml"]),
        (STORED | {"state": "cached"}, ["from the cache: ab12cd34ef56, trained 2026-11-20 08:10:00 UTC"]),
        (STORED | {"state": "not cached", "reason": "train_data is a generator"},
         ["trained, and not cached: train_data is a generator"]),
    ],
)  # fmt: skip
def test_where_a_model_came_from(make: SimpleNamespace, training: object, notes: list[str]) -> None:
    assert facts.history_notes(make.history("h", [], training=training)) == notes
    shown = ("model", "from the cache, ab12cd34ef56, trained 2026-11-20 08:10:00 UTC")
    assert (shown in facts.evaluation_facts(make.evaluation("e", training=training))) == (
        training is not None and training["state"] == "cached"  # type: ignore[index]
    )


def test_stored_models_of_a_verdict(make: SimpleNamespace) -> None:
    one, other = ({"key": key, "trained_at": "2026-11-20T08:10:00+00:00"} for key in ("ab", "cd"))
    assert facts.cached(make.verdict()) == ""
    assert facts.cached(make.verdict() | {"cached": [one, one]}) == "cached model ab, trained 2026-11-20 08:10:00 UTC"
    assert facts.cached(make.verdict() | {"cached": [one, other]}).endswith("UTC and 1 more")


def test_what_was_measured_and_its_limit(make: SimpleNamespace) -> None:
    """Of a gate on a history the text names neither; of every other gate it has the bar, or there are bounds."""

    def rule(gate: str, **changes: object) -> str:
        return facts.rule(make.verdict() | {"gate": gate, "metric": "loss_rise", "lower": None, "bar": 0.2} | changes)

    assert rule("loss_decreases", direction="at_most") == "loss rise, required <= 0.200"
    assert rule("loss_decreases", direction="above") == "loss rise, required > 0.200"
    assert rule("loss_decreases", bar=None) == rule("loss_decreases", lower=0.1) == rule("recall >= 0.9") == ""
