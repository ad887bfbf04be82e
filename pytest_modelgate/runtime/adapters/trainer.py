"""What a Hugging Face `Trainer` predicted, as evidence."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.exceptions import EvidenceError, at_the_caller
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Outputs
    from pytest_modelgate.metrics.labels import Label

IGNORED = -100


@at_the_caller
def from_trainer_output(
    output: Any,
    *,
    outputs: Outputs = "logits",
    task: str | None = None,
    labels: Sequence[Label] | None = None,
    threshold: float = 0.5,
    ids: Any = None,
    slices: Any = None,
    groups: Any = None,
    weights: Any = None,
    ignore_index: int | None = IGNORED,
    keep: str = "auto",
) -> Evaluation:
    """The evidence of what `Trainer.predict` gave.

    Args:
        output: a `PredictionOutput`, or the `EvalPrediction` that `compute_metrics` gets. Its `predictions` are [N, K]
            for whole sequences and [N, T, K] for tokens, with `label_ids` [N] and [N, T]; of a tuple the first is
            taken, which is the logits in the library's own models. Predictions of a causal language model must be
            shifted against their labels first.
        outputs: "logits"; "labels" where `preprocess_logits_for_metrics` took the argmax; "values" for a regression.
        ignore_index: the label of tokens that do not count, such as padding.
        task, labels, threshold, ids, slices, groups, weights, keep: as for `Evaluation.from_predictions`, one entry a
            sequence. The tokens of one sequence hang together, which their bounds know.

    Raises:
        EvidenceError: it holds no labels, or several sets of them; or as for `Evaluation.from_predictions`.
    """
    if not hasattr(output, "predictions") or not hasattr(output, "label_ids"):
        raise EvidenceError(
            f"{type(output).__name__} has no predictions and label_ids; give what trainer.predict(dataset) returned"
        )
    if output.label_ids is None:
        raise EvidenceError("the predictions have no label_ids: predict a data set that has labels")
    if isinstance(output.label_ids, (tuple, list)):
        raise EvidenceError(
            f"the predictions have {len(output.label_ids)} sets of label_ids; give each to Evaluation.from_predictions"
        )
    found = output.predictions
    preds = to_numpy(found[0] if isinstance(found, (tuple, list)) else found)
    target = to_numpy(output.label_ids)
    counted = ignore_index if outputs != "values" and task != "multilabel" else None
    if target.ndim == 2 and preds.ndim == 3 and preds.shape[1:] == (target.shape[1],) * 2 and counted is not None:
        preds, target = _with_padding(preds, target, counted)
    return Evaluation.from_predictions(
        target=target,
        preds=preds,
        outputs=outputs,
        task=task,
        labels=labels,
        threshold=threshold,
        ids=ids,
        slices=slices,
        groups=groups,
        weights=weights,
        ignore_index=counted,
        keep=keep,
    )


def _with_padding(preds: NDArray[Any], target: NDArray[Any], ignored: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """One more token a sequence, which does not count: as many tokens as classes would not tell which is which."""
    longer = np.concatenate([preds, preds[:, :1]], axis=1)
    return longer, np.concatenate([target, np.full_like(target[:, :1], ignored)], axis=1)
