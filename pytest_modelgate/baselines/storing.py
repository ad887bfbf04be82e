"""Samples of an evaluation put away for later runs, and brought back as the evidence of the same samples then."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.baselines.samples import StoredSamples, digest_of
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.pairing import in_order
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.registry import get_metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.metric import Metric
    from pytest_modelgate.metrics.samples import Samples

_REMEDY = "judge the same thing, or record a new baseline with --modelgate-update-baseline"
_OF_THE_DATA = ("weights", "groups", "actual", "loss_weights")
_OF_THE_MODEL = ("preds", "ranks", "predicted", "losses")


def store(evaluation: Evaluation, metric: str | Metric) -> StoredSamples:
    """What a later run needs to compare a metric sample by sample: a bit or a few bytes a sample.

    The actual class, and how far the predicted one is past it, are kept as bits or small whole numbers; scores, losses
    and the errors of a regression as float32, and only where the metric needs them. Ids, weights and groups are not
    kept, but digests that tell whether they are the same.

    Args:
        evaluation: with `ids`.
        metric: what will be compared.

    Raises:
        EvidenceError: no ids, an id that stands for two unlike samples, or what the metric needs was not kept.
        MetricError: an unknown metric.
    """
    metric = get_metric(metric)
    ordered, rows = _ordered(evaluation)
    metric_source = ordered.source(metric)  # raises where it was not kept
    columns: dict[str, NDArray[Any]] = {}
    if rows.target is not None and rows.preds is not None:
        classes = ordered.confusion_matrix.num_classes
        misses = (rows.preds.astype(np.int64) - rows.target) % classes
        columns = {"target": _packed(rows.target, classes), "misses": _packed(misses, classes)}
    if metric.needs == "ranks":
        ranks = _kept(rows.ranks, metric)
        columns["ranks"] = ranks.astype(np.min_scalar_type(int(ranks.max())))
    if metric.needs in ("scores", "forecasts"):
        assert ordered.scores is not None
        columns["scores"] = _narrow(ordered.scores.values, unit=ordered.outputs == "probabilities")
    if metric.needs == "errors":
        columns["errors"] = _narrow(_errors(metric_source))
    of_loss = metric.needs == "loss"
    if of_loss:
        columns["losses"] = _narrow(_kept(rows.losses, metric))
    loss = ordered.mean_loss if of_loss else None
    return StoredSamples(
        {
            **_facts(ordered),
            "digests": _digests(rows, of_loss=of_loss),
            "loss": loss and loss.to_dict(),
            "ranks": None if metric.needs != "ranks" or ordered.ranks is None else len(ordered.ranks.counts),
        },
        columns,
    )


def restore(stored: StoredSamples, candidate: Evaluation) -> Evaluation:
    """The baseline's evidence of the candidate's samples, to be compared with it by `NoRegression`.

    A number that was kept in four bytes, and that the candidate's rounds to, is taken for the candidate's own: a model
    that did not change shows no difference at all.

    Raises:
        EvidenceError: the baseline measured something else; the message lists all that differs.
    """
    ordered, rows = _ordered(candidate)
    differences = _differences(stored, ordered, rows)
    if differences:
        raise EvidenceError(f"the baseline measured something else: {'; '.join(differences)}; {_REMEDY}")
    about, columns = stored.about, stored.columns
    model: dict[str, Any] = dict.fromkeys(_OF_THE_MODEL)
    matrix = ranks = scores = None
    if "misses" in columns:
        assert rows.target is not None
        classes = ordered.confusion_matrix.num_classes
        model["preds"] = ((rows.target.astype(np.int64) + _unpacked(stored, "misses")) % classes).astype(np.int32)
        matrix = ConfusionMatrix(labels_to_counts(rows.target, model["preds"], classes), ordered.labels)
    if "ranks" in columns:
        model["ranks"] = columns["ranks"]
        ranks = RankCounts(np.bincount(columns["ranks"], minlength=about["ranks"]))
    if "scores" in columns:
        assert ordered.scores is not None
        scores = Scores(_own_where_alike(columns["scores"], ordered.scores.values), ordered.scores.target)
    if "errors" in columns:
        errors = _own_where_alike(columns["errors"], _errors(rows))
        assert rows.actual is not None
        assert rows.predicted is not None
        alike = errors == _errors(rows)
        model["predicted"] = np.where(alike, rows.predicted, (rows.actual + errors).astype(rows.predicted.dtype))
    if "losses" in columns:
        assert rows.losses is not None
        model["losses"] = _own_where_alike(columns["losses"], rows.losses)
    return replace(
        ordered,
        matrix=matrix,
        mean_loss=about["loss"] and MeanLoss.from_dict(about["loss"]),
        ranks=ranks,
        scores=scores,
        samples=replace(rows, **model, **({} if "losses" in columns else {"loss_weights": None})),
        origin=Origin(steps=("baseline",)),
    )


def _ordered(evaluation: Evaluation) -> tuple[Evaluation, Samples]:
    """The evaluation with its samples in the order of their ids."""
    if evaluation.multilabel is not None:
        raise EvidenceError(
            "samples with several labels are compared label by label: give one label's evidence, such as "
            f"evaluation.multilabel[{evaluation.labels[0]!r}]"
        )
    if evaluation.samples is None or evaluation.samples.ids is None:
        raise EvidenceError(
            "this evaluation has no ids, so a later run could not tell that it is of the same samples: evaluate with "
            "ids= (a name for each sample, or 'content')"
        )
    ordered, unlike = in_order(evaluation)
    if unlike:
        raise EvidenceError(
            f"{unlike:,} times an id stands for another sample that fared differently, so nobody can tell which is "
            "which: give each sample its own id"
        )
    assert ordered.samples is not None
    return ordered, ordered.samples


def _facts(evaluation: Evaluation) -> dict[str, Any]:
    assert evaluation.samples is not None
    assert evaluation.samples.ids is not None
    return {
        "task": evaluation.task,
        "labels": list(evaluation.labels),
        "outputs": evaluation.outputs,
        "threshold": evaluation.threshold,
        "n": evaluation.n,
        "ids": digest_of(evaluation.samples.ids),
    }


def _digests(rows: Samples, *, of_loss: bool) -> dict[str, str]:
    """Digests of the columns that belong to the data and are not kept."""
    found = {name: getattr(rows, name) for name in _OF_THE_DATA if of_loss or name != "loss_weights"}
    return {name: digest_of(column.astype(_WIDE[name])) for name, column in found.items() if column is not None}


_WIDE = {"weights": np.float64, "groups": np.uint64, "actual": np.float64, "loss_weights": np.float64}


def _differences(stored: StoredSamples, candidate: Evaluation, rows: Samples) -> list[str]:
    """What the baseline measured otherwise than the candidate does, a few words each."""
    was, now = stored.about, _facts(candidate)
    found = [f"{name} {_shown(was[name])}, here {_shown(now[name])}" for name in _FACTS if was[name] != now[name]]
    if was["n"] != now["n"]:
        found.append(f"{was['n']:,} samples, here {now['n']:,}")
    elif was["ids"] != now["ids"]:
        found.append(f"{was['n']:,} samples of which not all are the same as here (their ids differ)")
    if found:
        return found  # what follows would compare sample by sample, and these are not the same samples
    if "target" in stored.columns and rows.target is not None:
        unlike = int(np.count_nonzero(_unpacked(stored, "target") != rows.target))
        if unlike:
            found.append(f"{unlike:,} of {candidate.n:,} samples had another target")
    of_loss = "losses" in stored.columns
    if of_loss and (candidate.mean_loss is None or rows.losses is None):
        found.append(f"the loss of each sample ({was['loss']['name']}), here none")
        of_loss = False
    elif of_loss and candidate.mean_loss is not None and candidate.mean_loss.name != was["loss"]["name"]:
        found.append(f"loss {was['loss']['name']}, here {candidate.mean_loss.name}")
        of_loss = False
    here = _digests(rows, of_loss=of_loss)
    for name in _OF_THE_DATA if of_loss else _OF_THE_DATA[:-1]:
        before, after = was["digests"].get(name), here.get(name)
        if before != after:
            words = f"no {_NAMES[name]}, here some" if before is None else f"{_NAMES[name]}, here none"
            found.append(words if None in (before, after) else f"other {_NAMES[name]}")
    if "scores" in stored.columns:
        scores = candidate.scores
        if scores is None:
            found.append("scores, here none (evaluate with keep='scores')")
        elif scores.values.shape != stored.columns["scores"].shape:
            found.append("scores of another shape")
    return found


_FACTS = ("task", "labels", "outputs", "threshold")
_NAMES = {
    "weights": "weights",
    "groups": "groups",
    "actual": "true values",
    "loss_weights": "class weights of the loss",
}


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(repr, value[:10]))}{', ...' if len(value) > 10 else ''}]"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _kept(column: NDArray[Any] | None, metric: Metric) -> NDArray[Any]:
    if column is None:
        raise EvidenceError(f"{metric.name} needs each sample's {metric.needs}, which were not kept")
    return column


def _packed(column: NDArray[Any], classes: int) -> NDArray[Any]:
    """Class numbers [N] in small whole numbers; of two classes eight a byte."""
    return np.packbits(column.astype(np.bool_)) if classes == 2 else column.astype(np.min_scalar_type(classes - 1))


def _unpacked(stored: StoredSamples, name: str) -> NDArray[Any]:
    """Class numbers [N]."""
    column = stored.columns[name]
    return np.unpackbits(column, count=stored.n) if len(stored.about["labels"]) == 2 else column


def _errors(rows: Samples) -> NDArray[np.float64]:
    """Predicted less true values: rounded to four bytes they keep their digits, where large values would not."""
    assert rows.actual is not None
    assert rows.predicted is not None
    return rows.predicted.astype(np.float64) - rows.actual.astype(np.float64)


def _narrow(values: NDArray[Any], *, unit: bool = False) -> NDArray[Any]:
    """Numbers in four bytes, or in eight where some would become infinite, or certain as probabilities."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(np.float32)
    if values.dtype.itemsize <= narrow.dtype.itemsize:
        return narrow
    lost = np.isfinite(values) & ~np.isfinite(narrow)
    if unit:
        lost |= ((narrow == 0) | (narrow == 1)) & (narrow != values)
    return values if lost.any() else narrow


def _own_where_alike(stored: NDArray[Any], own: NDArray[Any]) -> NDArray[Any]:
    """The stored numbers, but the candidate's own where these round to them; in the candidate's type."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = own.astype(stored.dtype)
    alike = (rounded == stored) | (np.isnan(rounded) & np.isnan(stored))
    return np.where(alike, own, stored.astype(own.dtype))
