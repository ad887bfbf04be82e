"""One pass of a model over data: `evaluate`."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.evidence.origin import Call
from pytest_modelgate.exceptions import EvidenceError, at_the_caller
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.runtime.accelerator import DeviceSink
from pytest_modelgate.runtime.data import DEFAULT_BATCH, Batches, call, model_dtype, move, refuse_shuffled
from pytest_modelgate.runtime.devices import device_of, resolve_device
from pytest_modelgate.runtime.losses import Loss, read_loss
from pytest_modelgate.runtime.modules import evaluating, module_and_loss, placed, training_of
from pytest_modelgate.runtime.observing import observing
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    import torch

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.runtime.modules import TrainedModel

    Sink: TypeAlias = "HostSink | DeviceSink"


@at_the_caller
def evaluate(
    model: torch.nn.Module | TrainedModel,
    data: Any,
    *,
    loss: Any = None,
    outputs: str | None = None,
    task: str | None = None,
    threshold: float = 0.5,
    labels: Sequence[Label] | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    ids: Any = None,
    groups: Any = None,
    weights: Any = None,
    keep: str = "auto",
) -> Evaluation:
    """Run a model once over data, in evaluation mode and without gradients, and keep the evidence.

    Metrics are exact over the whole data set and do not depend on the batch size. The model's mode, its device and
    the random state are restored.

    Args:
        model: a `torch.nn.Module`, or what `train_model` gave.
        data: a DataLoader, a Dataset, a pair (inputs, targets) of tensors or arrays, or an iterable of batches.
            Inputs that are a tuple are spread as arguments, a dict as keywords.
        loss: a torch loss (module, function or name) or any `loss(outputs, targets)`; default the training's for a
            `TrainedModel`. Its mean is over samples, whatever its own reduction.
        outputs: "logits", "probabilities", "labels" or "values"; default what the loss is known to take.
        task: "binary", "multiclass" or "regression"; default by the shape of the outputs: [N], [N, 1] and [N, 2] are
            binary, [N, K] multiclass.
        threshold: for two classes: positive iff probability >= threshold.
        labels: the class names, in the order of the indices. Where they are integers, integer targets are names.
        device: where to run; default where the model is.
        batch_size: for a Dataset or a pair; default 256.
        ids: a name for each sample, in the order of the data: strings or whole numbers, [N]; or "content", which hashes
            each input. A comparison with a baseline needs them.
        groups: the group of each sample, such as its patient, [N]: samples of one group hang together.
        weights: how much each sample counts, [N]: finite, none negative, not all zero.
        keep: "counts", "auto" (ranks, losses, and scores of two classes) or "scores" (of many classes too).

    Raises:
        EvidenceError: data, outputs or targets that are empty, not finite, out of range, or do not fit together.
        DeviceError: a device that this machine does not have.
    """
    import torch

    module, loss = module_and_loss(model, loss)
    read = None if loss is None else read_loss(loss)
    collector = Collector(
        outputs=_outputs(outputs, read),
        task=task,
        labels=labels,
        threshold=threshold,
        keep=keep,
        loss=None if read is None else read.name,
        log_probabilities=read is not None and read.kind == "nll_loss",
        model=type(module).__name__,
        ids=ids,
        groups=groups,
        weights=weights,
    )
    in_order = {"ids": None if collector.needs_content else ids, "groups": groups, "weights": weights}
    refuse_shuffled(data, [name for name, each in in_order.items() if each is not None])
    home = device_of(module)
    place = home if device is None else resolve_device(device)
    read = None if read is None else read.on(place)
    source = Batches(data, batch_size=DEFAULT_BATCH if batch_size is None else batch_size, dtype=model_dtype(module))
    batches: Iterable[tuple[Any, torch.Tensor]] = source
    if collector.named_by_integers:
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
            given = _checked(call(module, inputs))
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
        self._collector.add(to_numpy(outputs), to_numpy(targets))
        if self._loss is not None:
            self._loss.add_to(self._collector, outputs, self._loss.cast(outputs, targets))

    def finish(self) -> None:
        """Nothing is left to do."""


def make_sink(collector: Collector, loss: Loss | None, place: torch.device) -> Sink:
    """What takes a pass's outputs on a device."""
    return HostSink(collector, loss) if place.type == "cpu" else DeviceSink(collector, loss)


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


def _checked(outputs: Any) -> torch.Tensor:
    import torch

    if not isinstance(outputs, torch.Tensor):
        raise EvidenceError(
            f"the model gave {type(outputs).__name__}, not a tensor; wrap it in a module that returns its scores"
        )
    return outputs
