"""Estimators and pipelines of scikit-learn, judged as modules are, on inputs as they came."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn import metrics as sk
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC, LinearSVC
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import EvidenceError, evaluate

draw = np.random.default_rng(0)
N = 300
X = draw.normal(size=(N, 4))
SCORE = X[:, 0] + 0.5 * draw.normal(size=N)
TWO = (SCORE > 0.3).astype(np.int64)
THREE = np.digitize(SCORE, [-0.5, 0.5])
NAMES = np.array(["stays", "churns"])
COLOURS = np.array(["red", "green", "blue"])


def logistic(target: Any, inputs: Any = X) -> LogisticRegression:
    return LogisticRegression().fit(inputs, target)


def counts(model: Any, target: Any, labels: Any) -> list[list[int]]:
    return sk.confusion_matrix(target, model.predict(X), labels=labels).tolist()


@pytest.mark.parametrize("outputs", ["probabilities", "logits", "labels"])
@pytest.mark.parametrize(
    "target",
    [TWO, TWO.astype(bool), TWO.astype(float), TWO * 2 + 3, NAMES[TWO], NAMES[TWO].tolist()],
    ids=["0 and 1", "bools", "floats", "3 and 5", "names", "list of names"],
)
def test_two_classes_by_every_method_and_kind_of_name(outputs: str, target: Any) -> None:
    model = logistic(np.asarray(target))
    found = evaluate(model, (X, target), outputs=outputs)
    assert found.confusion_matrix.counts.tolist() == counts(model, target, model.classes_)
    assert found.labels == tuple(model.classes_.tolist())
    assert found.metric("recall", label=found.labels[1]) == pytest.approx(
        sk.recall_score(target, model.predict(X), pos_label=model.classes_[1])
    )
    if outputs != "labels":
        assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(target, model.predict_proba(X)[:, 1]))


@pytest.mark.parametrize("outputs", ["probabilities", "logits", "labels"])
@pytest.mark.parametrize("names", [COLOURS, np.array([7, 5, 9]), np.array([0, 1, 2])], ids=["text", "numbers", "0 on"])
def test_many_classes(outputs: str, names: Any) -> None:
    target = names[THREE]
    model = logistic(target)
    found = evaluate(model, (X, target), outputs=outputs, keep="scores")
    assert found.confusion_matrix.counts.tolist() == counts(model, target, model.classes_)
    if outputs != "labels":
        expected = sk.roc_auc_score(target, model.predict_proba(X), multi_class="ovr")
        tolerance = (
            1e-9 if outputs == "probabilities" else 0.05
        )  # the softmax of one class against the rest ranks alike
        assert found.metric("roc_auc", average="macro") == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("outputs", ["probabilities", "logits", "labels"])
@pytest.mark.parametrize("order", [["churns", "stays"], ["stays", "churns"]])
def test_the_order_of_the_labels_counts_and_not_that_of_the_estimator(outputs: str, order: list[str]) -> None:
    model = logistic(NAMES[TWO])
    found = evaluate(model, (X, NAMES[TWO]), outputs=outputs, labels=order)
    assert found.labels == tuple(order)
    assert found.confusion_matrix.counts.tolist() == counts(model, NAMES[TWO], order)
    recall = sk.recall_score(NAMES[TWO], model.predict(X), pos_label=order[-1])
    assert found.metric("recall") == pytest.approx(recall)
    if outputs != "labels":
        scores = model.predict_proba(X)[:, list(model.classes_).index(order[-1])]
        assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(NAMES[TWO] == order[-1], scores))


@pytest.mark.parametrize("outputs", ["probabilities", "logits", "labels"])
def test_three_classes_in_another_order(outputs: str) -> None:
    order, target = ["red", "blue", "green"], COLOURS[THREE]
    model = logistic(target)
    found = evaluate(model, (X, target), outputs=outputs, labels=order)
    assert found.confusion_matrix.counts.tolist() == counts(model, target, order)


@pytest.mark.parametrize("outputs", ["probabilities", "logits", "labels"])
def test_labels_name_whole_numbers(outputs: str) -> None:
    """An estimator fitted on 0 and 1, names for them, and targets as either."""
    model = logistic(TWO)
    for target in (TWO, NAMES[TWO]):
        found = evaluate(model, (X, target), outputs=outputs, labels=["stays", "churns"])
        assert found.labels == ("stays", "churns")
        assert found.confusion_matrix.counts.tolist() == counts(model, TWO, [0, 1])


@pytest.mark.parametrize("outputs", ["probabilities", "labels"])
@pytest.mark.parametrize("labels", [["red", "green", "blue"], ["black", "green", "red"]])
def test_a_class_that_the_training_lacked_is_never_predicted(outputs: str, labels: list[str]) -> None:
    model = logistic(np.where(TWO, "green", "red"))
    target = np.array(labels)[THREE]
    found = evaluate(model, (X, target), outputs=outputs, labels=labels)
    assert found.confusion_matrix.counts.tolist() == counts(model, target, labels)


@pytest.mark.parametrize("outputs", ["probabilities", "labels"])
def test_a_number_that_the_training_lacked(outputs: str) -> None:
    """Classes 0 and 2 of three that have names."""
    model = logistic(TWO * 2)
    found = evaluate(model, (X, THREE), outputs=outputs, labels=COLOURS)
    assert found.confusion_matrix.counts.tolist() == counts(model, THREE, [0, 1, 2])


def test_two_labels_of_which_the_training_had_one_more() -> None:
    with pytest.raises(EvidenceError, match="lacks 'green'"):
        evaluate(logistic(COLOURS[THREE]), (X, NAMES[TWO]), outputs="labels", labels=["red", "blue"])


def test_values() -> None:
    model = LinearRegression().fit(X, SCORE)
    found = evaluate(model, (X, SCORE), outputs="values", loss="mse_loss")
    assert found.loss == pytest.approx(sk.mean_squared_error(SCORE, model.predict(X)))
    assert found.metric("mae") == pytest.approx(sk.mean_absolute_error(SCORE, model.predict(X)))


def test_the_loss_of_probabilities() -> None:
    model = logistic(NAMES[TWO])
    found = evaluate(model, (X, NAMES[TWO]), loss=nn.BCELoss())
    assert found.loss == pytest.approx(sk.log_loss(NAMES[TWO], model.predict_proba(X)))
    assert evaluate(model, (X, NAMES[TWO]), loss=nn.BCEWithLogitsLoss()).loss == pytest.approx(found.loss)


def frame() -> tuple[Any, Any]:
    pd: Any = pytest.importorskip("pandas")
    table = pd.DataFrame({"colour": COLOURS[THREE], "age": X[:, 1], "index": np.arange(N)}).set_index("index")
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["colour"]), ("passthrough", ["age"])), LogisticRegression()
    )
    return table, model.fit(table, NAMES[TWO])


def texts() -> tuple[list[str], Any]:
    words = [f"{colour} number{number % 7}" for number, colour in enumerate(COLOURS[THREE])]
    return words, make_pipeline(CountVectorizer(), LogisticRegression()).fit(words, NAMES[TWO])


def sparse() -> tuple[Any, Any]:
    return csr_matrix(X), logistic(NAMES[TWO], csr_matrix(X))


@pytest.mark.parametrize("make", [frame, texts, sparse])
@pytest.mark.parametrize("size", [None, 31, 10_000])
def test_inputs_as_they_came_in_batches_of_any_size(make: Callable[[], tuple[Any, Any]], size: int | None) -> None:
    inputs, model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as scikit-learn's of lost feature names
        found = evaluate(model, (inputs, NAMES[TWO]), outputs="probabilities", batch_size=size)
    assert found.n == N
    predicted = model.predict(inputs)
    assert found.metric("accuracy") == pytest.approx(sk.accuracy_score(NAMES[TWO], predicted))
    positive = model.predict_proba(inputs)[:, 1]
    assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(NAMES[TWO] == "stays", positive))


def test_batches_data_sets_and_loaders() -> None:
    model = logistic(TWO)
    expected = evaluate(model, (X, TWO), outputs="probabilities")
    rows = TensorDataset(torch.tensor(X), torch.tensor(TWO))
    for data in (
        [(X[:100], TWO[:100]), (X[100:], TWO[100:])],
        ((X[i : i + 50], TWO[i : i + 50].tolist()) for i in range(0, N, 50)),
        rows,
        DataLoader(rows, batch_size=64, shuffle=True),
        [torch.tensor(X), torch.tensor(TWO)],
    ):
        assert evaluate(model, data, outputs="probabilities") == expected


def test_targets_of_pandas() -> None:
    pd: Any = pytest.importorskip("pandas")
    model = logistic(NAMES[TWO])
    expected = evaluate(model, (X, NAMES[TWO]), outputs="probabilities")
    series = pd.Series(NAMES[TWO], index=np.arange(N) + 7)
    for target in (series, series.astype("category"), series.astype("string"), series.to_frame()):
        assert evaluate(model, (X, target), outputs="probabilities") == expected
    with pytest.raises(EvidenceError, match="the first is nan at position 1"):
        evaluate(model, (X, series.where(series.index != 8)), outputs="probabilities")


def test_slices_by_the_columns_of_a_frame() -> None:
    table, model = frame()
    slices = {"colour": table["colour"], "old": lambda inputs, targets: inputs["age"] > 0}
    found = evaluate(model, (table, NAMES[TWO]), outputs="probabilities", slices=slices, batch_size=64)
    assert found.slices["colour=red"].n == np.sum(COLOURS[THREE] == "red")
    assert found.slices["old"].n == np.sum(X[:, 1] > 0)


def test_what_goes_with_the_samples() -> None:
    table, model = frame()
    found = evaluate(
        model,
        (table, NAMES[TWO]),
        outputs="probabilities",
        ids=[f"p{row}" for row in range(N)],
        groups=np.arange(N) // 2,
        weights=np.ones(N),
        device="cpu",
    )
    assert found.samples is not None
    assert found.samples.num_groups == N // 2
    assert found.origin.model == "Pipeline"


def test_ids_by_content_of_numbers() -> None:
    model = logistic(TWO)
    found = evaluate(model, (X, TWO), outputs="probabilities", ids="content")
    assert found.samples is not None
    assert found.samples.ids is not None
    assert len(np.unique(found.samples.ids)) == N
    table, model = frame()
    with pytest.raises(EvidenceError, match="give ids= as a list"):
        evaluate(model, (table, NAMES[TWO]), outputs="probabilities", ids="content")


def test_a_forest() -> None:
    model = RandomForestClassifier(10, random_state=0).fit(X[:150], NAMES[TWO][:150])
    found = evaluate(model, (X[150:], NAMES[TWO][150:]), outputs="probabilities", labels=["stays", "churns"])
    expected = sk.average_precision_score(TWO[150:], model.predict_proba(X[150:])[:, 0])
    assert found.metric("average_precision") == pytest.approx(expected)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(5), OneVsRestClassifier(LogisticRegression())])
def test_several_labels_a_sample(estimator: Any) -> None:
    target = np.stack([TWO, THREE == 1], axis=1).astype(np.int64)
    model = estimator.fit(X, target)
    found = evaluate(model, (X, target), outputs="probabilities", task="multilabel", labels=["late", "odd"])
    recall = sk.recall_score(target[:, 1], np.asarray(model.predict(X))[:, 1])
    assert found.metric("recall", label="odd") == pytest.approx(recall)


BAD: list[tuple[Callable[[], Any], Any, dict[str, Any], str]] = [
    (lambda: logistic(TWO), (X, TWO), {}, "it is not known what the model gives"),
    (lambda: LogisticRegression(), (X, TWO), {"outputs": "probabilities"}, "has no classes_: fit it first"),
    (
        lambda: LinearSVC().fit(X, TWO),
        (X, TWO),
        {"outputs": "probabilities"},
        "no predict_proba .*give outputs='logits'",
    ),
    (lambda: LinearRegression().fit(X, SCORE), (X, TWO), {"outputs": "labels"}, "no classes_.*outputs='values'"),
    (
        lambda: SVC(decision_function_shape="ovo").fit(X, THREE),
        (X, THREE),
        {"outputs": "logits"},
        "one a class is needed",
    ),
    (
        lambda: logistic(NAMES[TWO]),
        (X, NAMES[TWO]),
        {"outputs": "probabilities", "labels": ["stay", "churns"]},
        "lacks 'stays'; did you mean 'stay'",
    ),
    (
        lambda: logistic(np.where(TWO, "green", "red")),
        (X, COLOURS[THREE]),
        {"outputs": "logits", "labels": COLOURS},
        "fitted without the class 'blue'",
    ),
    (
        lambda: logistic(NAMES[TWO]),
        (X, COLOURS[THREE]),
        {"outputs": "probabilities"},
        "target must be names of classes",
    ),
    (lambda: logistic(TWO), (X, TWO[:-1]), {"outputs": "labels"}, "300 inputs and 299 targets"),
    (lambda: logistic(TWO), (X[:0], TWO[:0]), {"outputs": "labels"}, "the data set is empty"),
    (lambda: logistic(TWO), X, {"outputs": "labels"}, "data of type ndarray cannot be read"),
    (lambda: logistic(TWO), {"X": X}, {"outputs": "labels"}, "data of type dict cannot be read"),
    (lambda: logistic(TWO), [(X, TWO, TWO)], {"outputs": "labels"}, "batch 0 is a tuple of 3 parts"),
    (lambda: logistic(TWO), (object(), TWO), {"outputs": "labels"}, "cannot be cut by rows"),
    (lambda: logistic(TWO), (X, TWO), {"outputs": "labels", "batch_size": 0}, "batch_size=0 is not"),
    (lambda: logistic(TWO), (X, np.full(N, None)), {"outputs": "labels"}, "whole numbers"),
    (lambda: logistic(TWO), (X, TWO), {"outputs": "guesses"}, "'guesses' is not one of"),
    (lambda: LogisticRegression, (X, TWO), {"outputs": "labels"}, r"give an instance, LogisticRegression\(\)"),
    (
        lambda: RandomForestClassifier(2).fit(X, np.stack([TWO, TWO + 1], 1)),
        (X, np.stack([TWO, TWO], 1)),
        {"outputs": "probabilities", "task": "multilabel"},
        "was not fitted with both 0 and 1 for label 1",
    ),
    (
        lambda: RandomForestClassifier(2).fit(X, np.stack([TWO, TWO], 1)),
        (X, TWO),
        {"outputs": "labels"},
        "task='multilabel'",
    ),
]


@pytest.mark.parametrize(("make", "data", "options", "message"), BAD)
def test_bad_input(make: Callable[[], Any], data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        evaluate(make(), data, **options)


def test_under_mutation_its_answers_get_faults() -> None:
    from pytest_modelgate.checks.mutation.twins import Mutator
    from pytest_modelgate.runtime.observing import install, remove

    observer = Mutator()
    install(observer)
    try:
        found = evaluate(logistic(NAMES[TWO]), (X, NAMES[TWO]), outputs="probabilities")
    finally:
        remove(observer)
    twins: Any = found.origin.derivation.twins  # type: ignore[union-attr]
    assert twins.model == "LogisticRegression"
    assert twins.reason is None
    assert "no torch module" in twins.partly
    assert {twin.fault.kind for twin in twins.faults} >= {"classes swapped", "majority class", "threshold shifted"}
