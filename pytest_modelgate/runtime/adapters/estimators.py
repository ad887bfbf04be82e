"""Estimators and pipelines of scikit-learn, and of what follows its interface (XGBoost, LightGBM, CatBoost)."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.labels import check_labels, class_indices
from pytest_modelgate.runtime.adapters.foreign import Foreign

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label

_METHODS = {
    "probabilities": "predict_proba",
    "logits": "decision_function",
    "labels": "predict",
    "values": "predict",
}


class Estimator(Foreign):
    """A fitted estimator: `predict_proba`, `decision_function` or `predict`, as `outputs` says.

    Class names are those of `classes_`, in their order; with `labels=` in the order of the labels.
    """

    batch_size = 1 << 14

    def bind(self, *, outputs: str, labels: Sequence[Label] | None, task: str | None) -> tuple[Label, ...] | None:
        super().bind(outputs=outputs, labels=labels, task=task)
        method = _METHODS.get(outputs)
        if method is not None and not hasattr(self.model, method):
            there = [f"outputs={kind!r}" for kind, other in _METHODS.items() if hasattr(self.model, other)]
            raise EvidenceError(f"{self.name} has no {method} for outputs={outputs!r}; give {' or '.join(there)}")
        self._multilabel = task == "multilabel"
        if outputs == "values" or method is None or self._multilabel:
            return self.labels
        found = getattr(self.model, "classes_", None)
        if found is None:
            raise EvidenceError(f"{self.name} has no classes_: fit it first, or give outputs='values' for a regression")
        if isinstance(found, list) or np.ndim(found) != 1:
            raise EvidenceError(f"{self.name} predicts several targets a sample; give task='multilabel'")
        self._names = _plain_names(found, self.name)
        if self.labels is None:
            self.labels = check_labels(self._names)
        self._positions = self._places(self.labels)
        return self.labels

    def answer(self, inputs: Any) -> torch.Tensor:
        found = getattr(self.model, _METHODS[self.outputs])(inputs)
        if self.outputs == "values":
            return self.tensor(found)
        if self._multilabel:
            return self.tensor(self._one_a_label(found))
        if self.outputs == "labels":
            indices = class_indices(np.asarray(found).reshape(-1), self._names, "preds")
            labels = np.array(self.labels, dtype=object)
            return self.tensor(labels[self._positions[indices]])
        return self.tensor(self._in_order(np.asarray(found)))

    def _places(self, labels: tuple[Label, ...]) -> NDArray[np.intp]:
        """Where each of the estimator's classes stands among the labels."""
        names = self._names
        if not set(names) <= set(labels):
            indices = all(isinstance(name, int) and 0 <= name < len(labels) for name in names)
            if not indices or any(isinstance(label, int) for label in labels):
                odd = next(name for name in names if name not in labels)
                raise EvidenceError(
                    f"{self.name} tells the classes {list(names)!r} apart, and labels={list(labels)!r} lacks {odd!r}"
                    f"{did_you_mean(odd, labels)}"
                )
            return np.array(names, dtype=np.intp)
        if self.outputs == "logits" and len(names) < len(labels):
            odd = next(label for label in labels if label not in names)
            raise EvidenceError(f"{self.name} was fitted without the class {odd!r}, for which it has no score")
        return np.array([labels.index(name) for name in names], dtype=np.intp)

    def _in_order(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The scores in the order of the labels; of a class that was not in the training the probability is 0."""
        assert self.labels is not None
        if self.outputs == "logits" and scores.ndim == 1 and len(self.labels) == 2:
            return scores if self._positions[1] == 1 else -scores
        pairwise = self.outputs == "logits" and getattr(self.model, "decision_function_shape", "ovr") == "ovo"
        if scores.ndim != 2 or scores.shape[1] != len(self._names) or pairwise:
            raise EvidenceError(
                f"{self.name}.{_METHODS[self.outputs]} gave scores of shape {list(scores.shape)} for "
                f"{len(self._names)} classes; one a class is needed (of SVC: decision_function_shape='ovr')"
            )
        if len(self.labels) == 2:
            return scores[:, int(np.argmax(self._positions))]
        if np.array_equal(self._positions, np.arange(len(self.labels))):
            return scores
        ordered = np.zeros((len(scores), len(self.labels)), dtype=scores.dtype)
        ordered[:, self._positions] = scores
        return ordered

    def _one_a_label(self, found: Any) -> NDArray[Any]:
        """Scores [N, L] of a multilabel estimator, which may give a list of L tables [N, 2]."""
        if not isinstance(found, list):
            return np.asarray(found)
        tables = [np.asarray(table) for table in found]
        classes = getattr(self.model, "classes_", [(0, 1)] * len(tables))
        both = [
            table.ndim == 2 and table.shape[1] == 2 and list(of) == [0, 1]
            for table, of in zip(tables, classes, strict=True)
        ]
        odd = next((place for place, ok in enumerate(both) if not ok), None)
        if odd is not None:
            raise EvidenceError(f"{self.name} was not fitted with both 0 and 1 for label {odd}")
        return np.stack([table[:, 1] for table in tables], axis=1)


def _plain_names(classes: Any, who: str) -> tuple[Label, ...]:
    """Names of classes as str and int: bools and whole floats as ints."""
    names: list[Label] = []
    for name in np.asarray(classes).tolist():
        if isinstance(name, float) and name.is_integer():
            name = int(name)
        if not isinstance(name, (str, int)):
            raise EvidenceError(f"{who} has a class {name!r}; classes are called by strings or whole numbers")
        names.append(int(name) if isinstance(name, int) else name)
    return tuple(names)
