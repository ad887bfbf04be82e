"""What an evaluation remembers: the same bounds are worked out once, and never given for another question."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from pytest_modelgate import ConfusionMatrix, Evaluation, EvidenceError, Gate, MetricError, custom_metric
from pytest_modelgate.evidence.memory import Memory, as_key
from pytest_modelgate.metrics.registry import METRICS


def evaluation(seed: int = 0, n: int = 200, **design: object) -> Evaluation:
    rng = np.random.default_rng(seed)
    target = np.arange(n) % 3
    scores = np.exp(1.5 * np.eye(3)[target] + rng.normal(size=(n, 3)))
    return Evaluation.from_predictions(
        target=target,
        preds=scores / scores.sum(axis=1, keepdims=True),
        outputs="probabilities",
        labels=["a", "b", "c"],
        ids=np.arange(n),
        slices={"half": ["left" if row % 2 else "right" for row in range(n)]},
        **design,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each metric of which bounds were worked out."""
    calls: list[str] = []
    original = type(METRICS["recall"]).find_bounds

    def find_bounds(self, *arguments, **keywords):
        calls.append(self.name)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(type(METRICS["recall"]), "find_bounds", find_bounds)
    return calls


def test_once_for_the_same_question(asked):
    evidence = evaluation()
    verdicts = [Gate("mcc", at_least=bar).check(evidence) for bar in (0.1, 0.2, 0.3)]
    assert asked == ["mcc"]
    assert len({(verdict.lower, verdict.upper) for verdict in verdicts}) == 1
    assert evidence.interval("mcc") == evidence.interval("mcc", confidence=0.95)
    assert asked == ["mcc"]


QUESTIONS = [
    {"name": "f1", "label": "a"},
    {"name": "f1", "label": "b"},
    {"name": "f1", "average": "macro"},
    {"name": "f1", "average": "micro"},
    {"name": "f1", "average": "macro", "confidence": 0.9},
    {"name": "fbeta", "average": "macro", "beta": 2.0},
    {"name": "fbeta", "average": "macro", "beta": 0.5},
    {"name": "recall", "label": "a"},
    {"name": "top_k_accuracy", "k": 1},
    {"name": "top_k_accuracy", "k": 2},
    {"name": "mcc"},
]


def test_questions_are_told_apart():
    """One evaluation that is asked everything says what as many fresh ones say."""
    evidence = evaluation()
    for _ in range(2):
        assert [evidence.bounds(**question) for question in QUESTIONS] == [
            evaluation().bounds(**question) for question in QUESTIONS
        ]


def test_what_measure_found_is_part_of_the_question():
    evidence = evaluation()
    plain = evidence.bounds("accuracy")
    found = replace(evidence.measure("accuracy"), hits=100, value=0.5)
    assert evidence.bounds("accuracy", found=found) != plain
    assert evidence.bounds("accuracy") == plain


def test_values_that_are_equal_and_of_another_type():
    evidence = evaluation()
    found = evidence.measure("top_k_accuracy", k=1)
    evidence.bounds("top_k_accuracy", k=1, found=found)
    with pytest.raises(MetricError, match="True"):
        evidence.bounds("top_k_accuracy", k=True, found=found)


@pytest.mark.parametrize("weights", [None, np.arange(200) % 7 + 0.5], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    "derive",
    [
        lambda one: replace(one, matrix=one.matrix + one.matrix, n=2 * one.n, samples=(one + one_more(one)).samples),
        lambda one: one + one_more(one),
        lambda one: one.slices["left"],
    ],
    ids=["replaced", "added", "slice"],
)
def test_derived_evaluations_know_nothing_of_it(derive, weights):
    design = {} if weights is None else {"weights": weights}
    used, fresh = evaluation(**design), evaluation(**design)
    wrong = [(used.metric(name), used.bounds(name)) for name in ("accuracy", "mcc")]
    again, expected = derive(used), derive(fresh)
    for name, before in zip(("accuracy", "mcc"), wrong, strict=True):
        assert again.metric(name) == expected.metric(name)
        assert again.bounds(name) == expected.bounds(name) != before[1]


def one_more(one: Evaluation) -> Evaluation:
    """Other samples of the same kind."""
    design = {} if one.samples.weights is None else {"weights": np.ones(200)}
    other = evaluation(seed=1, **design)
    return replace(other, samples=replace(other.samples, ids=other.samples.ids + np.uint64(1)))


@pytest.mark.parametrize(
    "carry",
    [
        lambda one: Evaluation.from_json(one.to_json()),
        lambda one: pickle.loads(pickle.dumps(one)),
        copy.deepcopy,
        lambda one: replace(one),
    ],
    ids=["json", "pickle", "deepcopy", "replace"],
)
def test_is_not_carried_over(asked, carry):
    evidence = evaluation()
    loss = custom_metric(lambda counts: float(np.trace(counts) / counts.sum()), name="share right")
    before = evidence.bounds("mcc"), evidence.bounds(loss)
    text, shown = evidence.to_json(), repr(evidence)
    carried = carry(evidence)
    assert carried == evidence == evaluation()
    assert (carried.bounds("mcc"), carried.bounds(loss)) == before
    assert asked == ["mcc", "share right"] * 2
    assert (text, shown) == (evaluation().to_json(), repr(evaluation()))


def test_custom_metrics_of_one_name():
    """Known by themselves, not by their names."""
    evidence = evaluation()
    right = custom_metric(lambda counts: np.trace(counts) / counts.sum(), name="mine")
    first = custom_metric(lambda counts: counts[0, 0] / counts.sum(), name="mine")
    found = evidence.measure(right)
    assert evidence.bounds(right, found=found).interval.upper > evidence.bounds(first, found=found).interval.lower + 0.2


def test_errors_are_raised_each_time():
    evidence = Evaluation.from_confusion_matrix(ConfusionMatrix([[5, 1], [2, 7]]))
    for _ in range(2):
        with pytest.raises(EvidenceError, match="scores"):
            evidence.bounds("roc_auc")
    assert evidence.bounds("recall") == evidence.bounds("recall", label=1)


def test_unhashable_questions_are_not_kept():
    memory, calls = Memory(), []
    for _ in range(2):
        memory.get((["a"],), lambda: calls.append(1))
    assert calls == [1, 1]


def test_keys():
    assert as_key({"k": 1, "label": None}) == as_key({"label": None, "k": 1})
    assert as_key({"k": 1}) != as_key({"k": 1.0})
    assert as_key({"k": 1}) != as_key({"k": 2})
    assert hash(as_key({"k": 1}))
