"""The evidence of predictions that any framework made."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation


def from_predictions(
    *, file: Any = None, chunk_rows: int | None = None, target: Any, preds: Any, ids: Any, **settings: Any
) -> Evaluation:
    """See `Evaluation.from_predictions`; `settings` are the collector's."""
    if file is not None:
        from pytest_modelgate.evidence.tables.predictions import read_predictions

        return read_predictions(file, chunk_rows=chunk_rows, target=target, preds=preds, ids=ids, **settings)
    for name, value in (("target", target), ("preds", preds)):
        if isinstance(value, str):
            raise EvidenceError(f"{name}={value!r} is the name of a column: say file=..., the file that has it")
    if chunk_rows is not None:
        raise EvidenceError(f"chunk_rows={chunk_rows!r} is for predictions in a file: give file=...")
    if isinstance(ids, str):
        raise EvidenceError(f"ids={ids!r}: predictions come without inputs; give a name for each sample")
    collector = Collector(ids=ids, **settings)
    outputs, actual = to_numpy(preds), to_numpy(target)
    if collector.cuts_batches:
        collector.cut(outputs, actual, len(actual))
    collector.add(outputs, collector.encode_target(target))
    return collector.finish()
