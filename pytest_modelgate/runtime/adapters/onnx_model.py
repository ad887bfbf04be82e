"""A model in an ONNX file, run by onnxruntime on the CPU."""

from __future__ import annotations

__tracebackhide__ = True

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch  # noqa: TID253 - imported where a file is loaded

from pytest_modelgate.exceptions import CheckpointError, EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from typing_extensions import Self

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxModel(torch.nn.Module):
    """A model that `load_model` read from an ONNX file; to be evaluated as any module.

    Several inputs come as a tuple in the file's order, or as a dict by name; numbers are cast to the type that the file
    declares. A file with a fixed batch size is run in batches of that size, the last one filled up.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._session = _session(path)
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._outputs = [one.name for one in self._session.get_outputs()]
        self._chosen: str | None = self._outputs[0] if len(self._outputs) == 1 else None
        sizes = {one.shape[0] for one in self._inputs.values() if one.shape and isinstance(one.shape[0], int)}
        self._batch: int | None = sizes.pop() if len(sizes) == 1 else None
        self.eval()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self._inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(self._outputs)

    def output(self, name: str) -> Self:
        """The same model, giving another of its outputs.

        Raises:
            EvidenceError: there is no such output.
        """
        if name not in self._outputs:
            raise EvidenceError(
                f"{self.path} has no output {name!r}{did_you_mean(name, self._outputs)} "
                f"(the outputs are {', '.join(self._outputs)})"
            )
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._chosen = name
        return other

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        """The chosen output for a batch.

        Raises:
            EvidenceError: inputs that the file does not have or that do not fit, or several outputs and none chosen.
        """
        if self._chosen is None:
            raise EvidenceError(
                f"{self.path} gives {', '.join(self._outputs)}: choose one, as in "
                f"load_model({self.path.name!r}).output({self._outputs[-1]!r})"
            )
        feed = {name: _cast(value, self._inputs[name].type) for name, value in self._by_name(inputs, named).items()}
        found = self._in_batches(feed)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
            what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
            raise EvidenceError(
                f"the output {self._chosen!r} of {self.path} holds {what}, not numbers; choose another of "
                f"{', '.join(self._outputs)} (of scikit-learn's exporter: options={{'zipmap': False}})"
            )
        place = next((value.device for value in (*inputs, *named.values()) if isinstance(value, torch.Tensor)), None)
        return torch.from_numpy(found.copy()).to(place)

    def _by_name(self, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """All inputs by their names in the file."""
        if len(inputs) > len(self._inputs):
            raise EvidenceError(f"{self.path} takes {len(self._inputs)} inputs ({', '.join(self._inputs)})")
        given = {**dict(zip(self._inputs, inputs, strict=False)), **named}
        for name in given:
            if name not in self._inputs:
                takes = ", ".join(self._inputs)
                raise EvidenceError(
                    f"{self.path} has no input {name!r}{did_you_mean(name, self._inputs)} (the inputs are {takes})"
                )
        missing = [name for name in self._inputs if name not in given]
        if missing:
            raise EvidenceError(f"{self.path} also takes {', '.join(map(repr, missing))}")
        return given

    def _in_batches(self, feed: dict[str, NDArray[Any]]) -> Any:
        rows = len(next(iter(feed.values()))) if feed else 0
        if self._batch is None or rows == self._batch or any(len(value) != rows for value in feed.values()):
            return self._run(feed)
        parts = []
        for start in range(0, rows, self._batch):
            part = {name: value[start : start + self._batch] for name, value in feed.items()}
            there = min(self._batch, rows - start)
            if there < self._batch:
                part = {name: np.resize(value, (self._batch, *value.shape[1:])) for name, value in part.items()}
            parts.append(self._run(part)[:there])
        return np.concatenate(parts)

    def _run(self, feed: dict[str, NDArray[Any]]) -> Any:
        try:
            return self._session.run([self._chosen], feed)[0]
        except Exception as error:
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in feed.items())
            raise EvidenceError(f"{self.path} cannot be run on {shapes}: {_short(error)}") from error


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise CheckpointError(f"{path} needs onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise CheckpointError(f"{path} cannot be read as an ONNX model: {_short(error)}") from error


def _cast(value: Any, declared: str) -> Any:
    """An input as the file declares it, where that loses nothing but precision: floats stay floats."""
    array = to_numpy(value)
    kind = _TYPES.get(declared)
    if kind is None or array.dtype == kind or (array.dtype.kind == "f" and np.dtype(kind).kind != "f"):
        return array
    return array.astype(kind)


def _short(error: BaseException) -> str:
    """What onnxruntime says, without where in its source."""
    return str(error).strip().splitlines()[0].split(" : ")[-1][:300]
