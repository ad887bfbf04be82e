"""Models that are no torch modules: called on the CPU, with rows of the inputs as they came."""

from __future__ import annotations

__tracebackhide__ = True

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.metrics.labels import check_labels, class_indices
from pytest_modelgate.runtime.data import DEFAULT_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.runtime.adapters.rows import RowBatches


class Foreign(ABC):
    """A model of another library in one evaluation; to `evaluate` a module without parameters.

    Attributes:
        name: what the report calls it.
        batch_size: rows a call where the user says nothing.
        outputs, labels: what `bind` was told, and the class names in the order of the scores; None where not known.
    """

    batch_size = DEFAULT_BATCH

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name
        self.outputs = ""
        self.labels: tuple[Label, ...] | None = None

    def bind(self, *, outputs: str, labels: Sequence[Label] | None, task: str | None) -> tuple[Label, ...] | None:
        """Settle what the model is asked for; called once, before the first batch. Gives the class names."""
        self.outputs = outputs
        self.labels = None if labels is None else check_labels(labels)
        return self.labels

    @abstractmethod
    def answer(self, inputs: Any) -> torch.Tensor:
        """The outputs for a batch of inputs, on the CPU."""

    def batches(self, data: Any, batch_size: int | None) -> RowBatches:
        """The data in batches, with inputs as they came and targets as tensors that the collector takes."""
        from pytest_modelgate.runtime.adapters.rows import RowBatches

        return RowBatches(data, batch_size=self.batch_size if batch_size is None else batch_size, encode=self.target)

    def target(self, values: Any) -> torch.Tensor:
        """Targets as the collector takes them: class names become indices."""
        import torch

        array = to_numpy(values)
        if self.outputs != "values" and array.ndim and array.size == len(array):
            array = self._classes(array.reshape(len(array)), "target")
        return torch.from_numpy(_numbers(array, "targets"))

    def tensor(self, found: Any) -> torch.Tensor:
        """What the model gave as a tensor, predicted class names as indices.

        Raises:
            EvidenceError: it is no array, tensor or list of numbers (or, where labels are told, of class names).
        """
        import torch

        if not hasattr(found, "shape") and not isinstance(found, list):
            raise EvidenceError(f"{self.name} gave {type(found).__name__}; it must return an array or a tensor")
        array = to_numpy(found)
        if self.outputs == "labels" and array.ndim:
            array = self._classes(array.reshape(len(array)) if array.size == len(array) else array, "preds")
        return torch.from_numpy(_numbers(array, f"what {self.name} gave"))

    def _classes(self, array: NDArray[Any], what: str) -> NDArray[Any]:
        """Classes as indices; as integer names where decided labels are integers, as the collector looks those up."""
        indices = class_indices(array, self.labels, what)
        named = self.labels is not None and all(isinstance(label, int) for label in self.labels)
        if self.outputs == "labels" and named and self.labels != tuple(range(len(self.labels or ()))):
            return np.asarray(np.asarray(self.labels, dtype=np.int64)[indices])
        return indices

    def parameters(self) -> Iterator[Any]:
        """None; nor are there buffers or submodules."""
        return iter(())

    buffers = modules = parameters

    def named_modules(self) -> Iterator[Any]:
        """Whoever wants to look into the model is told that torch cannot."""
        raise EvidenceError(f"{self.name} is no torch module")

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}


def as_foreign(model: Any) -> Foreign | None:
    """An adapter of a model that is no torch module; None for those that are, and for what is no model at all."""
    import torch

    from pytest_modelgate.runtime.modules import TrainedModel

    if isinstance(model, (torch.nn.Module, TrainedModel, type)):
        return None
    if hasattr(model, "predict") and hasattr(model, "get_params"):
        from pytest_modelgate.runtime.adapters.estimators import Estimator

        return Estimator(model, type(model).__name__)
    if callable(model):
        from pytest_modelgate.runtime.adapters.functions import Function

        return Function(model, _called(model))
    return None


def name_of(module: torch.nn.Module | Foreign) -> str:
    """What the report calls a model: the name of its class, or of a function."""
    return module.name if isinstance(module, Foreign) else type(module).__name__


def _called(function: Any) -> str:
    name = getattr(getattr(function, "func", function), "__name__", None)
    return name if isinstance(name, str) and name != "<lambda>" else type(function).__name__


def _numbers(array: NDArray[Any], what: str) -> NDArray[Any]:
    """An array that torch can share: of numbers, contiguous, writeable, of the machine's byte order."""
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array.ravel().tolist()}
        if not kinds <= {bool, int, float}:
            odd = ", ".join(sorted(kind.__name__ for kind in kinds - {bool, int, float}))
            raise EvidenceError(f"{what} must be numbers, but hold {odd}")
        array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise EvidenceError(f"{what} must be numbers, but their type is {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C", "W"])
