"""The helpers: check, record, raise; and the verdict where it passes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import pytest_modelgate as mg
from pytest_modelgate import recording

draw = np.random.default_rng(8)
TARGET = draw.integers(0, 2, 200)
PROBABILITIES = np.clip(0.65 * TARGET + 0.35 * draw.random(200), 0, 1)
EVALUATION = mg.Evaluation.from_predictions(
    target=TARGET, preds=PROBABILITIES, outputs="probabilities", threshold=0.6, labels=("ok", "fraud")
)
DECIDED = PROBABILITIES >= 0.6
RARE = mg.ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
UNSURE = mg.ConfusionMatrix([[40, 2], [4, 36]])


class Listener:
    """Notes what it hears."""

    def __init__(self, confidence: float = 0.95, if_unsure: str = "estimate") -> None:
        self.confidence, self.if_unsure = confidence, if_unsure
        self.verdicts: list[mg.Verdict] = []

    def verdict(self, verdict: mg.Verdict, *evidence: mg.Evaluation, again: object = None) -> None:
        assert all(isinstance(one, (mg.Evaluation, mg.History, mg.DataAudit)) for one in evidence)
        assert bool(evidence) == (verdict.metric not in WIRING)
        self.verdicts.append(verdict)

    def evaluation(self, evaluation: mg.Evaluation) -> None: ...

    def history(self, history: mg.History) -> None: ...


@pytest.fixture
def heard() -> Iterator[Listener]:
    listener = Listener()
    recording.install(listener)
    yield listener
    recording.remove(listener)


AVERAGE_PRECISION = sk.average_precision_score(TARGET, PROBABILITIES)
# helper, its metric, scikit-learn's value of it, a bar below and one above
HELPERS: list[tuple[Any, str, float, float, float]] = [
    (mg.assert_recall_at_least, "recall", sk.recall_score(TARGET, DECIDED), 0.5, 1.0),
    (mg.assert_precision_at_least, "precision", sk.precision_score(TARGET, DECIDED), 0.5, 1.0),
    (mg.assert_accuracy_at_least, "accuracy", sk.accuracy_score(TARGET, DECIDED), 0.7, 1.0),
    (mg.assert_balanced_accuracy_at_least, "balanced_accuracy", sk.balanced_accuracy_score(TARGET, DECIDED), 0.5, 1.0),
    (mg.assert_f1_at_least, "f1", sk.f1_score(TARGET, DECIDED), 0.5, 1.0),
    (mg.assert_specificity_at_least, "specificity", sk.recall_score(1 - TARGET, 1 - DECIDED), 0.5, 1.0),
    (mg.assert_mcc_at_least, "mcc", sk.matthews_corrcoef(TARGET, DECIDED), 0.3, 1.0),
    (mg.assert_roc_auc_at_least, "roc_auc", sk.roc_auc_score(TARGET, PROBABILITIES), 0.5, 1.0),
    (mg.assert_average_precision_at_least, "average_precision", AVERAGE_PRECISION, 0.5, 1.0),
]  # fmt: skip
NOISY = mg.Evaluation.from_predictions(
    target=[0, 1, 1, 0, 1, 0] * 40, preds=[0.1, 0.9, 0.2, 0.3, 0.8, 0.85] * 40, outputs="probabilities"
)


@pytest.mark.parametrize(("helper", "metric", "value", "below", "above"), HELPERS, ids=[h[1] for h in HELPERS])
def test_the_helper_of_each_metric(
    heard: Listener, helper: Any, metric: str, value: float, below: float, above: float
) -> None:
    verdict = helper(EVALUATION, below)
    assert verdict.estimate == pytest.approx(value, abs=1e-12)
    assert (verdict.metric, verdict.bar, verdict.direction, verdict.passed) == (metric, below, "at_least", True)
    with pytest.raises(mg.GateFailure) as caught:
        helper(NOISY, above)
    assert caught.value.verdict.metric == metric
    assert heard.verdicts == [verdict, caught.value.verdict]
    assert helper.__name__ == f"assert_{metric}_at_least"
    assert helper.__doc__.startswith("Fail unless ")
    assert mg.assert_metric(EVALUATION, metric, at_least=below) == verdict


def test_the_helper_of_the_loss() -> None:
    import torch

    found = mg.evaluate(torch.nn.Identity(), (np.array([1.0, 2.0]), np.array([1.0, 3.0])), loss="mse_loss")
    assert mg.assert_loss_at_most(found, 0.5).estimate == 0.5
    with pytest.raises(mg.GateFailure, match=r"loss \(mse_loss\) = 0\.500, required <= 0\.400"):
        mg.assert_loss_at_most(found, 0.4)


def test_the_accuracy_paradox_fails_loudly() -> None:
    for failing in (
        lambda: mg.assert_recall_at_least(RARE, 0.9),
        lambda: mg.assert_beats_majority_class(RARE),
        lambda: mg.assert_every_class_recall_at_least(RARE, 0.5),
        lambda: mg.assert_balanced_accuracy_at_least(RARE, 0.9),
    ):
        with pytest.raises(mg.GateFailure):
            failing()
    with pytest.raises(mg.BarError, match="vacuous"):
        mg.assert_accuracy_at_least(RARE, 0.97)


def test_keywords_reach_the_gate() -> None:
    verdict = mg.assert_recall_at_least(RARE, 0.9, label="ok", confidence=0.99, if_unsure="fail")
    assert (verdict.label, verdict.confidence, verdict.if_unsure) == ("ok", 0.99, "fail")
    assert mg.assert_f1_at_least(RARE, 0.5, average="macro").average == "macro"
    assert mg.assert_accuracy_at_least(RARE, 0.5, allow_vacuous=True).passed
    assert mg.assert_metric(RARE, "fbeta", at_least=0.1, beta=2).parameters == (("beta", 2.0),)
    assert mg.assert_metric(RARE, "false_positive_rate", at_most=0.1).direction == "at_most"
    assert mg.assert_beats_majority_class(EVALUATION, confidence=0.99).confidence == 0.99


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda: mg.assert_recall_at_least(RARE, 90), mg.BarError),
        (lambda: mg.assert_recall_at_least(RARE, 0.9, label="fruad"), mg.MetricError),
        (lambda: mg.assert_recall_at_least(RARE, 0.9, confidence=95), mg.BarError),
        (lambda: mg.assert_metric(RARE, "recal", at_least=0.5), mg.MetricError),
        (lambda: mg.assert_metric(RARE, "recall"), mg.BarError),
        (lambda: mg.assert_metric(RARE, "recall", bar=0.9), mg.MetricError),
        (lambda: mg.assert_metric(RARE, "recall", at_least=0.9, treshold=0.5), mg.MetricError),
        (lambda: mg.assert_roc_auc_at_least(RARE, 0.9), mg.EvidenceError),
        (lambda: mg.assert_recall_at_least(0.9, RARE), mg.EvidenceError),
        (lambda: mg.assert_every_class_recall_at_least(RARE, 90), mg.BarError),
        (lambda: mg.assert_beats_majority_class(None), mg.EvidenceError),
        (lambda: mg.assert_recall_at_least(RARE, 0.9, lable="fraud"), mg.MetricError),
        (lambda: mg.assert_recall_at_least(RARE), TypeError),
    ],
)
def test_wrong_use_is_neither_a_failed_gate_nor_a_passed_one(heard: Listener, wrong: Any, error: type) -> None:
    with pytest.raises(error) as caught:
        wrong()
    assert not isinstance(caught.value, AssertionError)
    assert heard.verdicts == []


def test_the_listener_says_what_a_gate_does_not(heard: Listener) -> None:
    heard.confidence, heard.if_unsure = 0.9, "fail"
    with pytest.raises(mg.GateFailure) as caught:
        mg.assert_recall_at_least(UNSURE, 0.9)
    assert (caught.value.verdict.confidence, caught.value.verdict.if_unsure) == (0.9, "fail")
    assert mg.assert_recall_at_least(UNSURE, 0.9, if_unsure="estimate", confidence=0.8).confidence == 0.8
    with pytest.raises(mg.GateFailure):
        mg.assert_every_class_recall_at_least(UNSURE, 0.9)
    assert mg.assert_beats_majority_class(UNSURE).confidence == 0.9


WARNING = [
    lambda: mg.assert_recall_at_least(UNSURE, 0.95, if_unsure="warn"),
    lambda: mg.assert_metric(UNSURE, "recall", at_least=0.95, if_unsure="warn"),
    lambda: mg.assert_every_class_recall_at_least(UNSURE, 0.95, if_unsure="warn"),
]


@pytest.mark.parametrize("call", WARNING, ids=["helper", "assert_metric", "every class"])
def test_green_with_a_warning_at_the_callers_line(heard: Listener, call: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert call().passed
    (warning,) = caught
    assert warning.category is mg.ModelgateWarning
    assert str(warning.message).startswith("INCONCLUSIVE (leans fail)")
    assert warning.filename == __file__
    assert warning.lineno == inspect.getsourcelines(call)[1]
    assert len(heard.verdicts) == 1


def test_no_warning_where_it_is_proved() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mg.assert_recall_at_least(UNSURE, 0.5, if_unsure="warn").outcome is mg.Outcome.PASS


def test_a_red_verdict_is_recorded_before_it_is_raised(heard: Listener) -> None:
    with pytest.raises(mg.GateFailure):
        mg.assert_recall_at_least(RARE, 0.9)
    assert [verdict.passed for verdict in heard.verdicts] == [False]


FIRST = {
    "assert_over_seeds": "evaluations",
    "assert_generalization_gap_at_most": "train_evaluation",
    "assert_training_reproducible": "factory",
    "assert_no_leakage": "train",
    "assert_same_distribution": "train",
    "assert_no_label_leakage": "features",
    "assert_chance_on_shuffled_labels": "train_fn",
}
WIRING = (
    *("all_parameters_train", "checkpoint_round_trip", "deterministic", "export_parity", "finite_gradients"),
    *("fits_one_batch", "initial_loss_sane", "learns_from_input", "no_batch_mixing", "same_on_devices", "check_model"),
)
OF_HISTORIES = (
    "assert_converged",
    "assert_loss_decreases",
    "assert_metric_improves",
    "assert_no_overfitting",
    "assert_training_stable",
)


def test_every_helper_is_an_assertion_of_one_signature() -> None:
    names = [name for name in mg.__all__ if name.startswith("assert_")]
    assert len(names) == 38
    for name in names:
        helper = getattr(mg, name)
        assert callable(helper)
        assert helper.__name__ == name
        first = FIRST.get(name, "history" if name in OF_HISTORIES else "evidence")
        first = "model" if name.removeprefix("assert_") in WIRING else first
        assert next(iter(inspect.signature(helper).parameters)) == first


IDS = range(len(TARGET))
RARE_SCORES = mg.Evaluation.from_predictions(
    target=[0, 1] * 50, preds=[0.4] * 100, outputs="probabilities", threshold=0.6, labels=("ok", "fraud")
)
CANDIDATE = mg.Evaluation.from_predictions(target=TARGET, preds=1 - PROBABILITIES, outputs="probabilities", ids=IDS)
BASELINE = mg.Evaluation.from_predictions(target=TARGET, preds=PROBABILITIES, outputs="probabilities", ids=IDS)


def curve(*losses: float) -> mg.History:
    history = mg.History(loss="mse_loss")
    for loss in losses:
        history.log(train_loss=loss, val_loss=1.1)
    return history


STUCK = curve(*[1.0, 1.001, 0.999] * 10)
MEMORISED = curve(*[0.3 + 0.9 * 0.8**epoch for epoch in range(30)])
COUNTER = iter(range(10_000))


def drifting() -> Any:
    """A model whose first weight differs each time, whatever the seed."""
    import torch

    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.bias, next(COUNTER))
    return model


def adam(parameters: Any) -> Any:
    import torch

    return torch.optim.Adam(parameters)


FEW = np.random.default_rng(0).normal(size=(8, 2)), np.arange(8) % 2
SHORT: dict[str, Any] = {"loss": "cross_entropy", "optimizer": adam, "epochs": 1, "device": "cpu"}


def blind() -> Any:
    """A model whose first layer never learns."""
    import torch

    class Blind(torch.nn.Sequential):
        def forward(self, x: Any) -> Any:
            return self[1](self[0](x).detach())

    return Blind(torch.nn.Linear(2, 4), torch.nn.Linear(4, 2))


def torch_batch() -> Any:
    import torch

    return torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


def cheating(features: Any, target: Any) -> mg.Evaluation:
    return mg.Evaluation.from_predictions(target=target, preds=target, outputs="labels")


TABLE = np.random.default_rng(3).normal(size=(60, 2))
HALVES = np.arange(60) % 2
REGIONS = mg.Evaluation.from_predictions(
    target=np.tile([0, 1], 200),
    preds=np.tile([0, 1], 200) ^ (np.arange(400) > 300),
    outputs="labels",
    slices={"region": np.repeat(["north", "south"], 200)},
)
RED = [
    lambda: mg.assert_metric(RARE, "recall", at_least=0.9),
    lambda: mg.assert_recall_at_least(RARE, 0.9),
    lambda: mg.assert_beats_majority_class(RARE),
    lambda: mg.assert_every_class_recall_at_least(RARE, 0.9),
    lambda: mg.assert_no_regression(CANDIDATE, BASELINE, "accuracy"),
    lambda: mg.assert_over_seeds([RARE] * 3, mg.Gate("recall", at_least=0.9)),
    lambda: mg.assert_generalization_gap_at_most(EVALUATION, RARE_SCORES, "recall", 0.1),
    lambda: mg.assert_recall_at_least(REGIONS, 0.7, slice="south"),
    lambda: mg.assert_recall_at_least(REGIONS, 0.7, by_slice="region"),
    lambda: mg.assert_gap_at_most(REGIONS, "recall", by="region", at_most=0.1),
    lambda: mg.assert_loss_decreases(STUCK),
    lambda: mg.assert_no_overfitting(MEMORISED),
    lambda: mg.assert_metric_improves(STUCK, "val_loss"),
    lambda: mg.assert_training_reproducible(drifting, FEW, **SHORT),
    lambda: mg.assert_no_leakage((TABLE, HALVES), (TABLE[:5], HALVES[:5])),
    lambda: mg.assert_no_label_leakage(np.c_[TABLE, HALVES], HALVES),
    lambda: mg.assert_same_distribution((TABLE, HALVES), (TABLE + 9, HALVES)),
    lambda: mg.assert_chance_on_shuffled_labels(cheating, TABLE, HALVES),
    lambda: mg.assert_all_parameters_train(blind(), torch_batch(), loss="cross_entropy"),
    lambda: mg.check_model(blind(), torch_batch(), "cross_entropy"),
]
WRONG = [
    lambda: mg.assert_metric(RARE, "recal", at_least=0.9),
    lambda: mg.assert_recall_at_least(RARE, 90),
    lambda: mg.assert_beats_majority_class(None),
    lambda: mg.assert_every_class_recall_at_least(RARE, 90),
    lambda: mg.assert_no_regression(CANDIDATE, BASELINE, "accuracy", 5),
    lambda: mg.assert_over_seeds([RARE] * 2, mg.Gate("recall", at_least=0.9)),
    lambda: mg.assert_generalization_gap_at_most(EVALUATION, EVALUATION, "recall", 0.1),
    lambda: mg.assert_recall_at_least(REGIONS, 0.7, slice="sauth"),
    lambda: mg.assert_recall_at_least(REGIONS, 0.7, by_slice="regoin"),
    lambda: mg.assert_gap_at_most(REGIONS, "recall", by="regoin", at_most=0.1),
    lambda: mg.assert_loss_decreases(mg.History()),
    lambda: mg.assert_no_overfitting(None),
    lambda: mg.assert_metric_improves(STUCK, "val_los"),
    lambda: mg.assert_training_reproducible(None, FEW, **SHORT),
    lambda: mg.assert_no_leakage((TABLE, HALVES), (TABLE[:5, :1], HALVES[:5])),
    lambda: mg.assert_no_label_leakage(TABLE[:, :0], HALVES),
    lambda: mg.assert_same_distribution((TABLE, HALVES), (TABLE[:, :1], HALVES)),
    lambda: mg.assert_chance_on_shuffled_labels(None, TABLE, HALVES),
    lambda: mg.assert_all_parameters_train(blind(), None, loss="cross_entropy"),
    lambda: mg.check_model(blind(), torch_batch(), "cross_entropi"),
]
KINDS = [
    *("assert_metric", "helper", "majority", "every class", "no regression", "over seeds", "gap", "slice", "by slice"),
    *(
        "gap of slices",
        "loss decreases",
        "no overfitting",
        "metric improves",
        "reproducible",
        "leakage",
        "label leakage",
        "distribution",
        "shuffled",
    ),
    *("parameters", "check_model"),
]


@pytest.mark.parametrize("call", [*RED, *WRONG], ids=[*(f"red {k}" for k in KINDS), *(f"wrong {k}" for k in KINDS)])
def test_tracebacks_end_at_the_callers_line(call: Any) -> None:
    """What pytest shows: the frames that do not hide themselves."""
    with pytest.raises((mg.GateFailure, mg.ModelgateError)) as caught:
        call()
    shown = caught.traceback.filter(caught)
    assert [str(entry.path) for entry in shown] == [__file__] * 2
    assert shown[-1].lineno + 1 == inspect.getsourcelines(call)[1]
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("call", RED, ids=KINDS)
def test_a_failure_carries_its_verdict(heard: Listener, call: Any) -> None:
    with pytest.raises(mg.GateFailure) as caught:
        call()
    assert heard.verdicts == [caught.value.verdict]
    assert not caught.value.verdict.passed
    assert str(caught.value) == str(caught.value.verdict)


@pytest.mark.parametrize("call", WRONG, ids=KINDS)
def test_wrong_use_of_each_helper_records_nothing(heard: Listener, call: Any) -> None:
    with pytest.raises(mg.ModelgateError):
        call()
    assert heard.verdicts == []


def test_the_listener_says_what_a_comparison_does_not(heard: Listener) -> None:
    heard.confidence, heard.if_unsure = 0.9, "fail"
    with pytest.raises(mg.GateFailure) as caught:
        mg.assert_no_regression(BASELINE, BASELINE, "accuracy")
    assert (caught.value.verdict.confidence, caught.value.verdict.if_unsure) == (0.9, "fail")
    assert mg.assert_no_regression(BASELINE, BASELINE, "accuracy", if_unsure="estimate").passed
    few = curve(1.0, 0.9)
    with pytest.raises(mg.GateFailure):
        mg.assert_no_overfitting(few)


def test_threads_reach_the_listener(heard: Listener) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda bar: mg.assert_recall_at_least(EVALUATION, bar / 100), range(1, 41))]
    assert len(heard.verdicts) == len(found) == 40


def test_what_the_listener_says_is_warned_of_at_the_callers_line(heard: Listener, monkeypatch: Any) -> None:
    monkeypatch.setattr(heard, "verdict", lambda verdict, *evidence, again: "judged too often")
    calls: list[Any] = [
        lambda: mg.assert_recall_at_least(EVALUATION, 0.1),
        lambda: mg.assert_metric(EVALUATION, "mcc", at_least=0.1),
        lambda: mg.assert_no_regression(BASELINE, CANDIDATE, "accuracy"),
        lambda: mg.assert_over_seeds([EVALUATION] * 3, mg.Gate("recall", at_least=0.1)),
    ]
    for call in calls:
        with pytest.warns(mg.ModelgateWarning, match="judged too often") as caught:
            call()
        assert (caught[0].filename, caught[0].lineno) == (__file__, inspect.getsourcelines(call)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(mg.ModelgateWarning):
            calls[0]()
        with pytest.raises(mg.GateFailure):  # a red gate goes first
            RED[0]()
