"""One pass of a model over data: `evaluate`."""

from __future__ import annotations

__tracebackhide__ = True

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.evidence.origin import Call
from pytest_modelgate.exceptions import EvidenceError, at_the_caller
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.runtime.accelerator import DeviceSink
from pytest_modelgate.runtime.adapters.datamodules import read_datamodule
from pytest_modelgate.runtime.adapters.foreign import as_foreign, name_of
from pytest_modelgate.runtime.data import DEFAULT_BATCH, Batches, call, model_dtype, move, refuse_shuffled
from pytest_modelgate.runtime.devices import device_of, resolve_device
from pytest_modelgate.runtime.losses import Loss, read_loss
from pytest_modelgate.runtime.modules import evaluating, module_and_loss, placed, training_of
from pytest_modelgate.runtime.observing import observing
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    import torch

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.runtime.adapters.rows import RowBatches

    Sink: TypeAlias = "HostSink | DeviceSink"


@at_the_caller
def evaluate(
    model: Any,
    data: Any,
    *,
    loss: Any = None,
    outputs: str | None = None,
    task: str | None = None,
    threshold: float = 0.5,
    labels: Sequence[Label] | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    slices: Any = None,
    ids: Any = None,
    groups: Any = None,
    weights: Any = None,
    ignore_index: int | None = None,
    keep: str = "auto",
) -> Evaluation:
    """Run a model once over data, in evaluation mode and without gradients, and keep the evidence.

    Metrics are exact over the whole data set and do not depend on the batch size. The model's mode, its device and
    the random state are restored.

    Args:
        model: a `torch.nn.Module`, or what `train_model` gave; or a fitted scikit-learn estimator or pipeline, or any
            function of the inputs. Those two run on the CPU and get inputs as they came, data frames and lists too.
        data: a DataLoader, a Dataset, a pair (inputs, targets) of tensors or arrays, an iterable of batches, or a
            LightningDataModule. Inputs that are a tuple are spread as arguments, a dict as keywords.
        loss: a torch loss (module, function or name) or any `loss(outputs, targets)`; default the training's for a
            `TrainedModel`. Its mean is over samples, whatever its own reduction.
        outputs: "logits", "probabilities", "labels" or "values"; default what the loss is known to take.
        task: "binary", "multiclass", "multilabel" or "regression"; default by the shape of the outputs: [N], [N, 1]
            and [N, 2] are binary, [N, K] multiclass. "multilabel" is outputs [N, L] and targets [N, L] of 0 and 1.
            For a class at each token or pixel targets are [N, *D], outputs [N, K, *D] or [N, *D, K].
        threshold: for two classes: positive iff probability >= threshold.
        labels: the class names, in the order of the indices. Where they are integers, integer targets are names.
        device: where to run; default where the model is.
        batch_size: for a Dataset or a pair; default 256.
        slices: what the samples can be cut by: each column's name with the value of each sample, [N] strings, whole
            numbers or bools in the order of the data; or with a function `(inputs, targets) -> values` of a batch, [n].
            See `Evaluation.slices`.
        ids: a name for each sample, in the order of the data: strings or whole numbers, [N]; or "content", which hashes
            each input. A comparison with a baseline needs them.
        groups: the group of each sample, such as its patient, [N]: samples of one group hang together.
        weights: how much each sample counts, [N]: finite, none negative, not all zero.
        ignore_index: targets that are left out, such as padding; default what the loss leaves out.
        keep: "counts", "auto" (ranks, losses, and scores of two classes) or "scores" (of many classes too).

    Raises:
        EvidenceError: data, outputs or targets that are empty, not finite, out of range, or do not fit together.
        DeviceError: a device that this machine does not have.
    """
    import torch

    data, foreign = read_datamodule(data), as_foreign(model)
    module, loss = module_and_loss(model, loss) if foreign is None else (cast("torch.nn.Module", foreign), loss)
    read = None if loss is None else read_loss(loss)
    outputs = _outputs(outputs, read)
    if foreign is not None:
        labels = foreign.bind(outputs=outputs, labels=labels, task=task)
    collector = Collector(
        outputs=outputs,
        task=task,
        labels=labels,
        threshold=threshold,
        keep=keep,
        loss=None if read is None else read.name,
        log_probabilities=read is not None and read.kind == "nll_loss",
        model=name_of(module),
        ids=ids,
        slices=slices,
        groups=groups,
        weights=weights,
        ignore_index=_left_out(ignore_index, read, task),
        classes_first=read is not None and read.classes_first,
    )
    in_order = {"ids": None if collector.needs_content else ids, "groups": groups, "weights": weights}
    in_order["slices"] = next((one for one in (slices or {}).values() if not callable(one)), None)
    refuse_shuffled(data, [name for name, each in in_order.items() if each is not None])
    home = device_of(module)
    place = home if device is None or foreign is not None else resolve_device(device)
    read = None if read is None else read.on(place)
    source: Batches | RowBatches
    answer: Callable[[Any], Any]
    if foreign is None:
        size = DEFAULT_BATCH if batch_size is None else batch_size
        source, answer = Batches(data, batch_size=size, dtype=model_dtype(module)), functools.partial(call, module)
    else:
        source, answer = foreign.batches(data, batch_size), foreign.answer
    batches: Iterable[tuple[Any, torch.Tensor]] = _cut(collector, source) if collector.cuts_batches else source
    if collector.named_by_integers and foreign is None:
        batches = ((inputs, torch.from_numpy(collector.encode_target(targets))) for inputs, targets in batches)
    observer, watch = observing(), None
    with placed(module, home, place), evaluating(module), seeded(None, place), torch.inference_mode():
        identified = not collector.needs_content and _identified(collector, source.at_hand())
        if observer is not None:
            watch = observer.begin(module, collector=collector.twin(), loss=read, place=place)
            collector.preds = []
        sink = make_sink(collector, read, place)
        for inputs, targets in batches:
            if not identified:
                _identify(collector, inputs, targets)
            if place.type != "cpu":
                inputs = move(inputs, place)
            if watch is not None:
                watch.before(inputs)
            given = _checked(answer(inputs))
            sink.add(given, targets, place)
            if watch is not None:
                watch.after(given, targets)
        sink.finish()
    found = collector.finish()
    made = Call(None if watch is None else watch.finish(found, collector.preds or []))
    return replace(found, origin=replace(found.origin, training=training_of(model), derivation=made))


class HostSink:
    """Takes batches of outputs on the CPU, and hands them to the collector at once."""

    def __init__(self, collector: Collector, loss: Loss | None) -> None:
        self._collector = collector
        self._loss = loss

    def add(self, outputs: torch.Tensor, targets: torch.Tensor, place: torch.device) -> None:
        """One batch; `place` is the CPU."""
        if self._loss is not None and self._collector.n == 0:
            self._loss.refuse_sum(outputs, targets)
        rows, decisions = outputs, targets
        given, actual = to_numpy(outputs), to_numpy(targets)
        if not self._collector.takes_rows(given, actual):
            rows, decisions = self._collector.flatten(outputs, targets)
            given, actual = to_numpy(rows), to_numpy(decisions)
        self._collector.add_rows(given, actual)
        if self._loss is None:
            return
        if rows is outputs or self._loss.kind is not None:
            self._loss.add_to(self._collector, rows, self._loss.cast(rows, decisions))
        else:
            self._loss.add_mean_of(self._collector, outputs, targets, len(decisions))

    def finish(self) -> None:
        """Nothing is left to do."""


def make_sink(collector: Collector, loss: Loss | None, place: torch.device) -> Sink:
    """What takes a pass's outputs on a device."""
    return HostSink(collector, loss) if place.type == "cpu" else DeviceSink(collector, loss)


def _cut(collector: Collector, batches: Iterable[tuple[Any, torch.Tensor]]) -> Iterator[tuple[Any, torch.Tensor]]:
    """The batches, each cut by the functions among the slices before a model may change its inputs in place."""
    for inputs, targets in batches:
        if targets.ndim:
            collector.cut(inputs, targets, len(targets))
        yield inputs, targets


def _identified(collector: Collector, slices: Iterable[tuple[Any, torch.Tensor]]) -> bool:
    """Whether the data are at hand and were told to the collector at once."""
    told = False
    for inputs, targets in slices:
        _identify(collector, inputs, targets)
        told = True
    return told


def _identify(collector: Collector, inputs: Any, targets: torch.Tensor) -> None:
    """Tell the collector what a batch is known by, before a model may change its inputs in place."""
    if targets.ndim and len(targets):
        collector.add_inputs(inputs, to_numpy(targets) if targets.device.type == "cpu" else None)


def _outputs(outputs: str | None, loss: Loss | None) -> str:
    known = None if loss is None else loss.outputs
    if outputs is None:
        if known is None:
            raise EvidenceError(
                "it is not known what the model gives: say outputs='logits', 'probabilities', 'labels' or 'values', "
                "or give a torch loss from which it follows, such as loss=torch.nn.CrossEntropyLoss()"
            )
        return known
    if loss is not None and known in ("logits", "probabilities") and outputs != known:
        raise EvidenceError(
            f"the loss {loss.name} takes {known}, but outputs={outputs!r}; give a loss that fits, or outputs={known!r}"
        )
    return outputs


def _left_out(ignore_index: int | None, loss: Loss | None, task: str | None) -> int | None:
    """Which targets are left out: as asked, or as the loss leaves them out."""
    if loss is None or loss.left_out is None or task in ("multilabel", "regression"):
        return ignore_index
    if ignore_index is not None and loss.ignored not in (None, ignore_index):
        raise EvidenceError(
            f"ignore_index={ignore_index}, but the loss {loss.name} leaves out {loss.ignored}; give both the same"
        )
    return loss.left_out if ignore_index is None else ignore_index


def _checked(outputs: Any) -> torch.Tensor:
    import torch

    if not isinstance(outputs, torch.Tensor):
        raise EvidenceError(
            f"the model gave {type(outputs).__name__}, not a tensor; wrap it in a module that returns its scores"
        )
    return outputs
