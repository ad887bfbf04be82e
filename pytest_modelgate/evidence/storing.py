"""An evaluation as JSON text, and back without loss."""

from __future__ import annotations

__tracebackhide__ = True

import base64
import json
from typing import Any

import numpy as np

from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.multilabel import Multilabel
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.slicing import checked_column

SCHEMA = 2
_READ = (1, 2)


def to_json(evaluation: Evaluation) -> str:
    """The whole evaluation as JSON text, kept samples included."""
    scores, samples = evaluation.scores, evaluation.samples
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task": evaluation.task,
        "n": evaluation.n,
        "outputs": evaluation.outputs,
        "threshold": evaluation.threshold,
        "matrix": evaluation.matrix and evaluation.matrix.to_dict(),
        "mean_loss": evaluation.mean_loss and evaluation.mean_loss.to_dict(),
        "ranks": None if evaluation.ranks is None else evaluation.ranks.counts.tolist(),
        "scores": scores and {"values": _pack(scores.values), "target": _pack(scores.target)},
        "samples": samples and {name: _pack(column) for name, column in samples.columns()},
        "slices": samples
        and samples.slices
        and [{"name": one.name, "codes": _pack(one.codes), "values": one.values} for one in samples.slices],
        "multilabel": evaluation.multilabel and evaluation.multilabel.to_dict(),
        "fingerprint": evaluation.fingerprint,
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Evaluation:
    """The evaluation that `to_json` was called on; an `EvidenceError` where the text is none."""
    try:
        document = json.loads(text)
        schema = document["schema"]
        if schema not in _READ:
            raise EvidenceError(f"this evaluation has schema {schema!r}, this version reads {SCHEMA}; upgrade it")
        scores, samples = document["scores"], document.get("samples")
        kept = None
        if samples is not None:
            slices = [
                checked_column(one["name"], _unpack(one["codes"]), one["values"])
                for one in document.get("slices") or ()
            ]
            columns = {name: _unpack(column) for name, column in samples.items()}
            kept = Samples(**columns, slices=tuple(slices) or None)
        if kept and kept.n != document["n"]:
            raise EvidenceError(f"this evaluation is of {document['n']:,} samples, but {kept.n:,} are kept")
        return Evaluation(
            task=document["task"],
            n=document["n"],
            outputs=document["outputs"],
            threshold=document["threshold"],
            matrix=document["matrix"] and ConfusionMatrix.from_dict(document["matrix"]),
            mean_loss=document["mean_loss"] and MeanLoss.from_dict(document["mean_loss"]),
            ranks=document["ranks"] and RankCounts(document["ranks"]),
            scores=scores and Scores(_unpack(scores["values"]), _unpack(scores["target"])),
            samples=kept,
            multilabel=document.get("multilabel") and Multilabel.from_dict(document["multilabel"]),
            fingerprint=document.get("fingerprint"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"this text is not an evaluation that to_json wrote: {error!r}") from error


def _pack(array: Any) -> dict[str, Any]:
    contiguous = np.ascontiguousarray(array)
    data = base64.b64encode(contiguous.astype(contiguous.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    return {"dtype": contiguous.dtype.name, "shape": list(contiguous.shape), "data": data}


def _unpack(packed: dict[str, Any]) -> Any:
    kind = np.dtype(packed["dtype"]).newbyteorder("<")
    array = np.frombuffer(base64.b64decode(packed["data"]), dtype=kind).reshape(packed["shape"])
    return array.astype(packed["dtype"])
