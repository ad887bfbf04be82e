"""Samples put away and brought back: the same comparison as with the whole evaluation, or a word on what differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import Evaluation, EvidenceError, NoRegression
from pytest_modelgate.baselines.samples import pack, unpack
from pytest_modelgate.baselines.storing import restore, store
from pytest_modelgate.gates.slices import BySlice

LABELS = ["stays", "churns"]


def two(seed: int = 0, n: int = 400, dtype: Any = np.float64, noise: float = 1.0, **changes: Any) -> Evaluation:
    """Scores of two classes; the same targets, ids, groups and weights whatever the seed."""
    data, model = np.random.default_rng(7), np.random.default_rng(seed)
    target = data.integers(0, 2, n)
    groups, weights = data.integers(0, 60, n), data.uniform(0.5, 2, n)
    score = 1 / (1 + np.exp(-(2.0 * target - 1 + model.normal(0, noise, n))))
    given: dict[str, Any] = {"ids": [f"id-{i}" for i in range(n)], "labels": LABELS, "outputs": "probabilities"}
    if changes.pop("designed", False):
        given |= {"groups": groups, "weights": weights}
    return Evaluation.from_predictions(**{**given, "target": target, "preds": score.astype(dtype), **changes})


def many(seed: int = 0, n: int = 300, classes: int = 5, **changes: Any) -> Evaluation:
    data, model = np.random.default_rng(7), np.random.default_rng(seed)
    target = data.integers(0, classes, n)
    logits = model.normal(size=(n, classes)) + 2 * np.eye(classes)[target]
    given = {"target": target, "preds": logits, "outputs": "logits", "ids": np.arange(n), "keep": "scores"}
    return Evaluation.from_predictions(**{**given, **changes})


def values(seed: int = 0, n: int = 300, offset: float = 0.0, **changes: Any) -> Evaluation:
    data, model = np.random.default_rng(7), np.random.default_rng(seed)
    actual = data.normal(size=n) + offset
    given = {"target": actual, "preds": actual + model.normal(size=n), "outputs": "values", "ids": np.arange(n)}
    return Evaluation.from_predictions(**{**given, **changes})


def through_a_file(evaluation: Evaluation, metric: str) -> Any:
    stored = store(evaluation, metric)
    return unpack(pack({stored.key: stored}))[stored.key]


CASES = [
    *((two, metric, {}) for metric in ("recall", "precision", "accuracy", "f1", "mcc", "roc_auc", "brier", "log_loss")),
    (two, "recall", {"designed": True}),
    (two, "f1", {"designed": True}),
    (two, "roc_auc", {"designed": True}),
    (many, "accuracy", {}),
    (many, "f1", {"average": "macro"}),
    (many, "top_k_accuracy", {"parameters": {"k": 2}}),
    (many, "roc_auc", {"label": 3}),
    (many, "log_loss", {}),
    (values, "mae", {}),
    (values, "rmse", {}),
    (values, "r2", {}),
]


def _asked(make: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    designed = {"designed": True} if options.get("designed") else {}
    rest = {name: value for name, value in options.items() if name != "designed"}
    return (lambda seed: make(seed, **designed)), rest


@pytest.mark.parametrize(("make", "metric", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_verdict_is_that_of_the_whole_evaluation(make: Any, metric: str, options: dict[str, Any]) -> None:
    make, options = _asked(make, options)
    before, now = make(1), make(2)
    gate = NoRegression(metric, margin=0.05, **options)
    whole, kept = gate.check(now, before), gate.check(now, restore(through_a_file(before, metric), now))
    assert (kept.outcome, kept.support, kept.method) == (whole.outcome, whole.support, whole.method)
    assert (kept.estimate, kept.lower, kept.upper) == pytest.approx(
        (whole.estimate, whole.lower, whole.upper), rel=1e-4, abs=1e-6
    )
    if "changed" in dict(whole.details):
        assert kept.details == whole.details


@pytest.mark.parametrize(("make", "metric", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_model_that_did_not_change_shows_no_difference(make: Any, metric: str, options: dict[str, Any]) -> None:
    make, options = _asked(make, options)
    evaluation = make(1)
    restored = restore(through_a_file(evaluation, metric), evaluation)
    verdict = NoRegression(metric, **options).check(evaluation, restored)
    assert verdict.estimate == 0.0
    assert verdict.passed
    assert dict(verdict.details).get("changed", 0) == 0


def test_the_loss_too() -> None:
    torch = pytest.importorskip("torch")
    from pytest_modelgate.runtime.evaluation import evaluate

    torch.manual_seed(0)
    inputs, target = torch.randn(200, 4), torch.randint(0, 3, (200,))
    models = [torch.nn.Linear(4, 3) for _ in range(2)]
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))
    before, now = (evaluate(model, (inputs, target), loss=loss, ids=range(200)) for model in models)
    gate = NoRegression("loss", margin=0.1)
    whole, kept = gate.check(now, before), gate.check(now, restore(through_a_file(before, "loss"), now))
    assert (kept.outcome, kept.estimate) == (whole.outcome, whole.estimate)
    assert (kept.lower, kept.upper) == pytest.approx((whole.lower, whole.upper))
    assert gate.check(now, restore(through_a_file(now, "loss"), now)).estimate == 0
    other = evaluate(models[1], (inputs, target), loss=torch.nn.CrossEntropyLoss(), ids=range(200))
    with pytest.raises(EvidenceError, match=r"else: loss cross_entropy\(weight=.*\), here cross_entropy; judge"):
        restore(store(now, "loss"), other)
    assert restore(store(now, "recall"), other).n == 200  # of no matter where the loss is not compared


@given(order=st.permutations(range(12)), other=st.permutations(range(12)))
@settings(max_examples=25)
def test_the_order_of_the_samples_does_not_matter(order: list[int], other: list[int]) -> None:
    def made(rows: list[int], scores: np.ndarray) -> Evaluation:
        target, ids = np.arange(12) % 2, np.arange(12)
        return Evaluation.from_predictions(
            target=target[rows], preds=scores[rows], outputs="probabilities", ids=ids[rows], labels=LABELS
        )

    before, now = np.linspace(0.1, 0.9, 12), np.linspace(0.8, 0.3, 12)
    straight = list(range(12))
    assert store(made(order, before), "roc_auc").key == store(made(straight, before), "roc_auc").key
    restored = restore(store(made(order, before), "recall"), made(other, now))
    assert restored.confusion_matrix == made(straight, before).confusion_matrix


def test_one_bit_or_a_few_bytes_a_sample() -> None:
    evaluation = two(n=8000)
    assert {name: column.nbytes for name, column in store(evaluation, "recall").columns.items()} == {
        "target": 1000,
        "misses": 1000,
    }
    assert store(evaluation, "roc_auc").columns["scores"].nbytes == 32_000
    assert store(many(classes=5), "accuracy").columns["misses"].dtype == np.uint8


def test_metrics_of_decisions_share_their_samples() -> None:
    assert store(two(), "recall") == store(two(), "f1")


def test_no_id_is_in_the_file() -> None:
    evaluation = two()
    content = pack({"k": store(evaluation, "recall")})
    assert evaluation.samples is not None
    assert evaluation.samples.ids is not None
    assert not any(one.tobytes() in content for one in evaluation.samples.ids[:50])


def test_probabilities_that_four_bytes_would_make_certain_keep_eight() -> None:
    scores = np.array([1e-50, 1 - 1e-10, 0.3, 0.6] * 10)
    evaluation = two(n=40, preds=scores)
    assert store(evaluation, "log_loss").columns["scores"].dtype == np.float64
    kept = restore(store(evaluation, "log_loss"), two(3, n=40)).metric("log_loss")
    assert kept == evaluation.metric("log_loss")


def test_errors_of_large_values_keep_their_digits() -> None:
    before, now = values(1, offset=1.7e9), values(2, offset=1.7e9)
    restored = restore(through_a_file(before, "mae"), now)
    assert restored.metric("mae") == pytest.approx(before.metric("mae"), rel=1e-6)


def test_copies_of_one_input_are_fine_where_they_fare_alike() -> None:
    given = {"outputs": "probabilities", "labels": LABELS, "ids": [1, 1, 2, 3]}
    before = Evaluation.from_predictions(target=[0, 0, 1, 1], preds=[0.2, 0.2, 0.7, 0.4], **given)
    now = Evaluation.from_predictions(target=[0, 0, 1, 1], preds=[0.6, 0.6, 0.7, 0.9], **given)
    assert restore(store(before, "accuracy"), now).metric("accuracy") == 0.75
    unlike = Evaluation.from_predictions(target=[0, 0, 1, 1], preds=[0.2, 0.9, 0.7, 0.4], **given)
    for make in (lambda: store(unlike, "accuracy"), lambda: restore(store(before, "accuracy"), unlike)):
        with pytest.raises(EvidenceError, match="1 times an id stands for another sample"):
            make()


SAME = {"n": 50}
DIFFERENT = [
    ({"threshold": 0.4}, r"threshold 0\.5, here 0\.4"),
    ({"labels": ["stays", "leaves"]}, r"labels \['stays', 'churns'\], here \['stays', 'leaves'\]"),
    ({"outputs": "logits", "preds": np.linspace(-3, 3, 50)}, "outputs probabilities, here logits"),
    ({"n": 40}, "50 samples, here 40"),
    ({"ids": range(50)}, r"50 samples of which not all are the same as here \(their ids differ\)"),
    ({"target": 1 - np.random.default_rng(7).integers(0, 2, 50)}, "50 of 50 samples had another target"),
    ({"designed": True}, "no weights, here some; no groups, here some"),
]


@pytest.mark.parametrize(("changes", "words"), DIFFERENT, ids=lambda value: value if isinstance(value, str) else "")
def test_something_else_that_was_measured_is_named(changes: dict[str, Any], words: str) -> None:
    stored = store(two(1, **SAME), "recall")
    with pytest.raises(EvidenceError, match=f"^the baseline measured something else: {words}; .*update-baseline$"):
        restore(stored, two(2, **{**SAME, **changes}))


def test_all_that_differs_is_listed() -> None:
    with pytest.raises(EvidenceError, match=r"threshold 0\.5, here 0\.4; 50 samples, here 40; judge the same thing"):
        restore(store(two(n=50), "recall"), two(n=40, threshold=0.4))


def test_the_design_is_part_of_what_was_measured() -> None:
    stored = store(two(1, designed=True, n=50), "recall")
    with pytest.raises(EvidenceError, match="else: weights, here none; groups, here none"):
        restore(stored, two(2, n=50))
    with pytest.raises(EvidenceError, match="else: other weights"):
        restore(stored, two(2, n=50, designed=True, weights=np.ones(50)))


def test_other_true_values_are_something_else() -> None:
    with pytest.raises(EvidenceError, match="other true values"):
        restore(store(values(1), "mae"), values(1, offset=1e-9))


def test_other_tasks_are_something_else() -> None:
    with pytest.raises(EvidenceError, match="task binary, here multiclass"):
        restore(store(two(n=300), "accuracy"), many())


def test_scores_that_are_not_there_now() -> None:
    decided = two(n=50, preds=np.arange(50) % 2, outputs="labels")
    with pytest.raises(EvidenceError, match="outputs probabilities, here labels"):
        restore(store(two(n=50), "roc_auc"), decided)
    with pytest.raises(EvidenceError, match="scores, here none"):
        restore(store(many(), "log_loss"), many(keep="auto"))


def test_without_ids_nothing_is_stored_or_compared() -> None:
    for act in (lambda: store(two(ids=None), "recall"), lambda: restore(store(two(), "recall"), two(ids=None))):
        with pytest.raises(EvidenceError, match="has no ids"):
            act()


def test_what_the_metric_needs_must_have_been_kept() -> None:
    with pytest.raises(EvidenceError, match="no loss was measured"):
        store(two(), "loss")
    with pytest.raises(EvidenceError, match="roc_auc needs scores"):
        store(two(preds=np.zeros(400, int), outputs="labels"), "roc_auc")


def test_slices_are_the_candidates() -> None:
    region = np.array(["north", "south"])[np.arange(400) % 2]
    before, now = two(1), two(2, slices={"region": region})
    restored = restore(through_a_file(before, "recall"), now)
    assert restored.slices.columns == ("region",)
    sliced = two(1, slices={"region": region})
    for name in ("region=north", "region=south"):
        assert restored.slices[name].confusion_matrix == sliced.slices[name].confusion_matrix
    verdict = BySlice(NoRegression("recall", 0.05), "region").check(now, restored)
    whole = BySlice(NoRegression("recall", 0.05), "region").check(now, sliced)
    assert (verdict.outcome, verdict.estimate, verdict.slice) == (whole.outcome, whole.estimate, whole.slice)
    one = restore(through_a_file(sliced.slices["region=north"], "f1"), now.slices["region=north"])
    assert one.confusion_matrix == sliced.slices["region=north"].confusion_matrix


def test_several_labels_a_sample_are_compared_label_by_label() -> None:
    data = np.random.default_rng(0)
    target = data.integers(0, 2, (60, 3))
    given: dict[str, Any] = {"target": target, "outputs": "probabilities", "task": "multilabel", "ids": range(60)}
    before, now = (
        Evaluation.from_predictions(**given, preds=data.uniform(size=(60, 3)), labels=["cat", "dog", "eel"])
        for _ in range(2)
    )
    with pytest.raises(EvidenceError, match=r"label by label: .*evaluation\.multilabel\['cat'\]"):
        store(before, "recall")
    cats = before.multilabel["cat"], now.multilabel["cat"]
    assert restore(through_a_file(cats[0], "recall"), cats[1]).confusion_matrix == cats[0].confusion_matrix


def test_tokens_of_a_sample_are_told_apart() -> None:
    data = np.random.default_rng(0)
    target = np.where(data.random((30, 4)) < 0.2, -100, data.integers(0, 3, (30, 4)))
    given: dict[str, Any] = {"target": target, "outputs": "logits", "ids": range(30), "ignore_index": -100}
    before, now = (Evaluation.from_predictions(**given, preds=data.normal(size=(30, 3, 4))) for _ in range(2))
    gate = NoRegression("accuracy", 0.2)
    whole, kept = gate.check(now, before), gate.check(now, restore(through_a_file(before, "accuracy"), now))
    assert (kept.outcome, kept.estimate, kept.lower) == (whole.outcome, whole.estimate, whole.lower)
    assert kept.support == before.n == np.count_nonzero(target >= 0)
