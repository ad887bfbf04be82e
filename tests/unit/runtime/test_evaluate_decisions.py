"""`evaluate` of several labels a sample, and of a class at each token or pixel: torch says what the loss is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from torch import nn

from pytest_modelgate import Evaluation, EvidenceError, evaluate
from pytest_modelgate.checks.mutation.twins import Mutator
from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.evidence.origin import Call, replay
from pytest_modelgate.runtime import observing
from pytest_modelgate.runtime.accelerator import DeviceSink
from pytest_modelgate.runtime.losses import read_loss

draw = torch.Generator().manual_seed(2)
TOKENS = torch.randint(4, (33, 6), generator=draw)
PADDED = TOKENS.masked_fill(torch.rand(33, 6, generator=draw) < 0.4, -100)
PADDED[7] = -100  # a sample of which nothing is left
LOGITS = torch.randn(33, 4, 6, generator=draw) + 2 * F.one_hot(TOKENS, 4).movedim(-1, 1)
MASK = torch.randint(2, (20, 1, 3, 3), generator=draw)
PIXELS = torch.randn(20, 1, 3, 3, generator=draw)
GIVEN = torch.randint(2, (41, 3), generator=draw)
LABELS = torch.randn(41, 3, generator=draw) + GIVEN
WEIGHTS = torch.tensor([1.0, 3.0, 0.5, 2.0])


def run(given: torch.Tensor, actual: torch.Tensor, **how: Any) -> Evaluation:
    return evaluate(nn.Identity(), (given, actual), **how)


def by_sink(outputs: torch.Tensor, targets: torch.Tensor, loss: Any, size: int, **how: Any) -> Evaluation:
    """As `evaluate` does for a device that is not the CPU."""
    read = read_loss(loss)
    collector = Collector(
        outputs=read.outputs or "logits",
        loss=read.name,
        model="Identity",
        **{"ignore_index": read.left_out, "classes_first": read.classes_first} | how,
    )
    sink = DeviceSink(collector, read)
    for start in range(0, len(outputs), size):
        rows = slice(start, start + size)
        sink.add(outputs[rows], targets[rows], torch.device("cpu"))
    sink.finish()
    return collector.finish()


CASES: dict[str, tuple[torch.Tensor, torch.Tensor, Any, dict[str, Any]]] = {
    "tokens": (LOGITS, TOKENS, nn.CrossEntropyLoss(), {}),
    "padded tokens": (LOGITS, PADDED, nn.CrossEntropyLoss(), {}),
    "weights": (LOGITS, PADDED, nn.CrossEntropyLoss(weight=WEIGHTS), {}),
    "smoothing": (LOGITS, PADDED, nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2), {}),
    "a class": (LOGITS, TOKENS, nn.CrossEntropyLoss(ignore_index=3), {}),
    "nll": (LOGITS.log_softmax(1), PADDED, nn.NLLLoss(), {}),
    "by name": (LOGITS, PADDED, "cross_entropy", {}),
    "pixels": (PIXELS, MASK.float(), nn.BCEWithLogitsLoss(), {}),
    "pixels without a channel": (PIXELS, MASK[:, 0].float()[:, None], nn.BCEWithLogitsLoss(pos_weight=WEIGHTS[1]), {}),
    "pixels of one shape": (PIXELS[:, 0], MASK[:, 0].float(), nn.BCEWithLogitsLoss(), {"task": "binary"}),
    "labels": (LABELS, GIVEN.float(), nn.BCEWithLogitsLoss(), {"task": "multilabel"}),
    "labels, weighed": (LABELS, GIVEN.float(), nn.BCEWithLogitsLoss(pos_weight=WEIGHTS[:3]), {"task": "multilabel"}),
    "soft margin": (LABELS, GIVEN.float(), nn.MultiLabelSoftMarginLoss(), {"task": "multilabel"}),
    "soft margin, weighed": (
        LABELS,
        GIVEN.float(),
        nn.MultiLabelSoftMarginLoss(weight=WEIGHTS[:3]),
        {"task": "multilabel"},
    ),
    "probabilities": (LABELS.sigmoid(), GIVEN.float(), nn.BCELoss(), {"task": "multilabel"}),
}


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_torchs_over_one_batch(case: str, size: int) -> None:
    outputs, targets, loss, how = CASES[case]
    found = run(outputs, targets, loss=loss, batch_size=size, **how)
    torchs = F.cross_entropy if isinstance(loss, str) else loss
    assert found.loss == pytest.approx(float(torchs(outputs, targets)), abs=1e-6)
    if found.multilabel is None:
        rows = outputs.movedim(1, -1).reshape(-1, outputs.shape[1]) if outputs.ndim > targets.ndim else outputs
        kept = (targets.ravel() != -100) & (targets.ravel() != (3 if case == "a class" else -100))
        preds = rows.argmax(-1) if outputs.ndim > targets.ndim else (outputs >= 0).long().ravel()
        size_ = len(found.labels)
        expected = sk.confusion_matrix(targets.ravel()[kept], preds[kept], labels=range(size_))
        assert found.confusion_matrix.counts.tolist() == expected.tolist()
    else:
        decided = LABELS >= 0
        assert found.metric("exact_match") == sk.accuracy_score(GIVEN, decided)
        assert found.metric("f1", average="micro") == pytest.approx(sk.f1_score(GIVEN, decided, average="micro"))


@pytest.mark.parametrize("case", CASES)
def test_another_device_gives_the_same(case: str) -> None:
    outputs, targets, loss, how = CASES[case]
    here, there = run(outputs, targets, loss=loss, batch_size=8, **how), by_sink(outputs, targets, loss, 8, **how)
    assert there.loss == pytest.approx(here.loss, abs=1e-6)
    assert (there.matrix, there.ranks, there.scores, there.multilabel) == (
        here.matrix,
        here.ranks,
        here.scores,
        here.multilabel,
    )


def test_bounds_of_the_loss_know_the_samples() -> None:
    found = run(LOGITS, PADDED, loss="cross_entropy")
    assert found.samples is not None
    assert found.samples.losses is not None
    assert len(found.samples.losses) == found.n == int((PADDED != -100).sum())
    assert found.samples.num_groups == 32  # one of 33 has nothing left
    assert "32 groups" in found.bounds("loss", max_loss=20.0).method


def test_batches_of_other_lengths() -> None:
    batches = [(LOGITS[:10, :, :5], TOKENS[:10, :5]), (LOGITS[10:, :, :4], TOKENS[10:, :4])]
    found = evaluate(nn.Identity(), batches, loss="cross_entropy")
    assert found.n == 10 * 5 + 23 * 4
    last = [(outputs.movedim(1, -1), targets) for outputs, targets in batches]
    assert evaluate(nn.Identity(), last, outputs="logits").confusion_matrix == found.confusion_matrix
    with pytest.raises(EvidenceError, match="may be"):  # four classes, four tokens: the first batch does not tell
        evaluate(nn.Identity(), last[::-1], outputs="logits")
    assert evaluate(nn.Identity(), batches[::-1], loss="cross_entropy").confusion_matrix == found.confusion_matrix
    with pytest.raises(EvidenceError, match="one shape"):
        evaluate(nn.Identity(), [batches[0], (last[0][0], last[0][1])], outputs="logits")


def test_a_first_batch_without_anything_to_ignore() -> None:
    targets = torch.tensor([0, 1, 2, 1, -100, 3])
    outputs, weights = LOGITS[:6, :, 0], np.array([1.0, 2, 3, 4, 5, 6])
    found = run(outputs, targets, loss="cross_entropy", batch_size=2, weights=weights, ids=range(6))
    kept = targets != -100
    each = F.cross_entropy(outputs[kept], targets[kept], reduction="none")
    assert found.loss == pytest.approx(np.average(each, weights=weights[kept.numpy()]), rel=1e-6)
    assert found.n == 5


@pytest.mark.parametrize("size", [7, 33])
def test_a_loss_of_the_users_gets_batches_as_they_came(size: int) -> None:
    def mean(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets)

    def of_samples(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets, reduction="none")  # [n, D]: a mean over each sample

    how: dict[str, Any] = {"outputs": "logits", "batch_size": size}
    found = run(LOGITS, PADDED, loss=mean, ignore_index=-100, **how)
    assert found.loss == pytest.approx(float(mean(LOGITS, PADDED)), abs=1e-6)
    found = run(LOGITS, TOKENS, loss=of_samples, **how)
    assert found.loss == pytest.approx(float(mean(LOGITS, TOKENS)), abs=1e-6)
    assert found.samples is not None
    assert found.samples.losses is None


def test_content_names_each_decision_once() -> None:
    one, other = (run(LOGITS, PADDED, loss="cross_entropy", ids="content", batch_size=size) for size in (5, 33))
    assert one.samples is not None
    assert len(np.unique(one.samples.ids)) == one.n
    assert one.fingerprint == other.fingerprint
    model = nn.Conv1d(4, 4, 1)
    assert evaluate(model, (LOGITS, PADDED), loss="cross_entropy", ids="content").fingerprint == one.fingerprint


@pytest.mark.parametrize(
    ("outputs", "targets", "how", "message"),
    [
        (LOGITS, PADDED, {"loss": nn.CrossEntropyLoss(ignore_index=2), "ignore_index": 1}, "leaves out 2"),
        (LOGITS, torch.full_like(TOKENS, -100), {"loss": "cross_entropy"}, "all targets are -100"),
        (LOGITS, PADDED, {"outputs": "logits"}, "-100"),
        (LABELS, GIVEN, {"loss": nn.BCEWithLogitsLoss()}, "task='multilabel'"),
        (LABELS, GIVEN, {"loss": "cross_entropy", "task": "multilabel"}, "do not fit"),
        (LABELS, GIVEN[:, :2], {"outputs": "logits", "task": "multilabel"}, "one shape"),
    ],
)
def test_bad_input(outputs: torch.Tensor, targets: torch.Tensor, how: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        run(outputs, targets, **how)


@pytest.mark.parametrize(
    ("model", "inputs", "targets", "how"),
    [
        (nn.Conv1d(4, 4, 1), LOGITS, PADDED, {"loss": "cross_entropy"}),
        (nn.Linear(3, 3), LABELS, GIVEN.float(), {"loss": nn.BCEWithLogitsLoss(), "task": "multilabel"}),
    ],
    ids=["tokens", "labels"],
)
def test_faulted_twins(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, how: dict[str, Any]) -> None:
    mutator = Mutator()
    observing.install(mutator)
    try:
        found = evaluate(model, (inputs, targets), batch_size=10, **how)
    finally:
        observing.remove(mutator)
    made = found.origin.derivation
    assert isinstance(made, Call)
    assert made.twins.reason is None
    judged = [twin for twin in made.twins.faults if twin.evaluation is not None]
    assert judged
    assert all(twin.evaluation.n == found.n and 0 <= twin.changed <= 1 for twin in judged)
    if found.multilabel is not None:
        again = replay(found.multilabel[0].origin.derivation, lambda call: judged[0].evaluation)  # type: ignore[arg-type]
        assert again.n == found.n


def test_the_data_keep_their_name() -> None:
    one, other = (run(LOGITS, PADDED, loss="cross_entropy", batch_size=size) for size in (5, 33))
    assert one.fingerprint is not None
    assert one.fingerprint == other.fingerprint
