"""Assertions on data: that no set leaks into another, that no feature tells the label, that two sets are alike."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.gates.distribution import TOLERATED, SameDistribution
from pytest_modelgate.gates.label_leakage import NoLabelLeakage
from pytest_modelgate.gates.leakage import NoLeakage
from pytest_modelgate.gates.shuffled import ChanceOnShuffledLabels
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.verdict import Verdict

    Train = Callable[[Any, Any], Evaluation | list[Evaluation] | tuple[Evaluation, ...]]


def assert_no_leakage(
    train: Any,
    test: Any,
    *,
    groups: Any = None,
    time: Any = None,
    near: bool = False,
    evaluation: Evaluation | None = None,
    confidence: float | None = None,
) -> Verdict:
    """Fail where rows of `test` leak from `train`: equal or near rows, rows of one group, or of an earlier time.

    Two rows are equal where their inputs are, number by number: 0.0 and -0.0 are one, and so is every NaN; where types
    differ, floats are compared in the smaller type and integers as floats. Targets do not count: rows that are equal
    and have another label, and rows that repeat within one set, are told apart. Give the data as they are before
    random augmentation.

    Args:
        train, test: any two sets that must not overlap, such as training and validation data: a pair
            (inputs, targets), a Dataset, a DataLoader or an iterable of batches; or inputs alone, as one array
            [N, ...] or a dict of arrays. A pair of arrays is always inputs and targets.
        groups: a pair, one entry for each row of each set: names or whole numbers, such as patients. No group may be
            on both sides.
        time: a pair, one entry for each row of each set: numbers, datetime64, dates, or ISO strings without a time
            zone. No test row may be earlier than the last training row; at the same time is fine, and told.
        near: look for near-duplicates too: rows nearer to a training row than a quarter of the usual distance between
            training rows, where they are more frequent than within the training set, and single rows that are nearer
            than luck explains. Data that repeat by nature do not alarm, and so hide near-duplicates.
        evaluation: an `Evaluation` of `test` with ids: the verdict then says what its metrics are without the leaking
            rows. By ids="content", or in the order of the data.
        confidence: near-duplicates are judged at this, and at 0.99 at least.

    Raises:
        GateFailure: a row leaks, or near-duplicates cannot be judged.
        EvidenceError: wrong use, such as sets of different features, an empty set, or groups of another length.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.data.leakage import audit_leakage

        level = listener().confidence if confidence is None else confidence
        gate = NoLeakage(confidence=level)
        audit = audit_leakage(train, test, groups=groups, time=time, near=near, evaluation=evaluation, confidence=level)
        return Judged(gate.check(audit), [audit])

    return settled(judged)


def assert_no_label_leakage(
    features: Any,
    target: Any,
    *,
    names: Sequence[str] | None = None,
    at: float = 0.99,
    task: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
) -> Verdict:
    """Fail where one feature alone all but decides the target. See `NoLabelLeakage`.

    Each feature is judged by its order (ROC-AUC; of more than two classes the least of neighbouring pairs), and by
    which value it has, cross-fitted: a code, a folded feature or missing values leak too, an identifier that never
    repeats does not. Of a regression it is the rank correlation. A feature that tells one class of several:
    `target == that_class`.

    Args:
        features: [N, D], or a mapping of names to columns [N]; texts are categories, NaN is one more value.
        target: classes or numbers [N]; rows without one are left out.
        names: of the D features.
        at: the figure that counts as deciding, above 0.5 and below 1.
        task: "classification" or "regression"; by default numbers with fractions are a regression, all else classes.
        confidence, if_unsure: as in `assert_metric`.

    Raises:
        GateFailure: a feature decides the target, or there is one class only.
        ModelgateError: wrong use, such as different lengths, or a target that may be classes or amounts.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.data.label_leakage import audit_label_leakage

        sure = listener().confidence if confidence is None else confidence
        gate = NoLabelLeakage(at, confidence=sure, if_unsure=listener().if_unsure if if_unsure is None else if_unsure)
        audit = audit_label_leakage(features, target, names=names, task=task, confidence=sure)
        return Judged(gate.check(audit), [audit])

    return settled(judged)


def assert_same_distribution(
    train: Any,
    test: Any,
    *,
    at_most: float = TOLERATED,
    names: Sequence[str] | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
) -> Verdict:
    """Fail where class shares or a feature differ between two data sets by more than is tolerated.

    See `SameDistribution`.

    Args:
        train, test: data in any form that `evaluate` takes, such as pairs (inputs, targets).
        at_most: the difference of shares that is tolerated: 0.05 is 5 of 100 samples.
        names: of the features of one array [N, D].
        confidence, if_unsure: as in `assert_metric`.

    Raises:
        GateFailure: a difference is proved.
        ModelgateError: wrong use, such as sets of different widths.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.data.distribution import audit_distribution

        sure = listener().confidence if confidence is None else confidence
        gate = SameDistribution(
            at_most, confidence=sure, if_unsure=listener().if_unsure if if_unsure is None else if_unsure
        )
        audit = audit_distribution(train, test, names=names, confidence=sure)
        return Judged(gate.check(audit), [audit])

    return settled(judged)


def assert_chance_on_shuffled_labels(
    train_fn: Train,
    features: Any,
    target: Any,
    *,
    shuffles: int = 5,
    seed: int = 0,
    confidence: float | None = None,
    if_unsure: str | None = None,
) -> Verdict:
    """Fail where a pipeline that was given shuffled labels is better than chance on held-out data.

    Labels are shuffled before the split, so a pipeline that keeps held-out rows apart can know nothing of them. See
    `ChanceOnShuffledLabels`.

    Args:
        train_fn: `train_fn(features, shuffled_target)` runs the whole pipeline (selection, encoding, split, training)
            and returns the `Evaluation` of held-out data, or a list of them.
        features: what `train_fn` takes; it gets a copy.
        target: [N], of classes or numbers; a tensor and a list stay such, all else becomes an array.
        shuffles: how many trainings, 3 or more.
        seed: of the first; random state is restored at the end.
        confidence, if_unsure: as in `assert_metric`.

    Raises:
        GateFailure: better than chance is proved, or all targets are the same.
        ModelgateError: wrong use, such as a `train_fn` that returns no `Evaluation`.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.data.shuffled import audit_shuffled_labels

        sure = listener().confidence if confidence is None else confidence
        gate = ChanceOnShuffledLabels(
            confidence=sure, if_unsure=listener().if_unsure if if_unsure is None else if_unsure
        )
        audit = audit_shuffled_labels(train_fn, features, target, shuffles=shuffles, seed=seed, confidence=sure)
        return Judged(gate.check(audit), [audit])

    return settled(judged)
