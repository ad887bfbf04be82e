"""Training: a plain, explicit loop, or the user's own."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import warnings
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.history import History
from pytest_modelgate.exceptions import ModelgateWarning, TrainingError, at_the_caller
from pytest_modelgate.runtime.data import Batches, model_dtype
from pytest_modelgate.runtime.determinism import deterministic, threads_pinned
from pytest_modelgate.runtime.devices import resolve_device
from pytest_modelgate.runtime.loop import Loop
from pytest_modelgate.runtime.losses import read_loss
from pytest_modelgate.runtime.measuring import check_metrics
from pytest_modelgate.runtime.modules import TrainedModel, make_module
from pytest_modelgate.runtime.observing import unobserved
from pytest_modelgate.runtime.recipe import Recipe
from pytest_modelgate.runtime.seeds import check_seed, check_seeds, generators_kept, seeded
from pytest_modelgate.runtime.weighing import weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    import torch

    from pytest_modelgate.runtime.cache.lookup import Cache

    Progress: TypeAlias = Callable[[History, int, int | None], None]
    ClassWeights: TypeAlias = str | float | Sequence[float] | torch.Tensor
    Metrics: TypeAlias = Sequence[str] | Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the user's own loop, `fit(model, run)`, gets.

    Attributes:
        device: where the model lies and the data should go.
        seed: what Python, numpy and torch were seeded with.
        train_data, validation_data: as they were given to `train_model`.
        history: log into it: `run.history.log(epoch=1, train_loss=..., val_loss=..., val_recall=...)`, and say
            `run.history.keep(epoch)` where the model gets the weights of an earlier epoch back.
    """

    device: torch.device
    seed: int
    train_data: Any
    validation_data: Any
    history: History
    _progress: Progress | None = field(default=None, repr=False, compare=False)

    def progress(self, done: int, total: int | None = None) -> None:
        """Show in the terminal that `done` of `total` epochs are over, with what the history logged last."""
        for name, value in (("done", done), ("total", total)):
            if (value is not None or name == "done") and (isinstance(value, bool) or not isinstance(value, int)):
                raise TrainingError(f"run.progress: {name}={value!r} is not a whole number of epochs")
        if self._progress is not None:
            self._progress(self.history, done, total)


@at_the_caller
def train_model(
    factory: Callable[[], torch.nn.Module],
    train_data: Any,
    *,
    validation_data: Any = None,
    loss: Any = None,
    optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer] | None = None,
    epochs: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    early_stopping: int | None = None,
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    schedule_every: str = "epoch",
    clip_norm: float | None = None,
    accumulate: int = 1,
    class_weights: ClassWeights | None = None,
    mixed_precision: bool = False,
    metrics: Metrics = (),
    on_nonfinite: str = "raise",
    fit: Callable[[torch.nn.Module, Run], Any] | None = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
    depends_on: Any = (),
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a model: forward, loss, backward, step; or with `fit`, by the user's own loop.

    Seeds are set before the model is made and restored after the training; torch takes its deterministic algorithms
    meanwhile, and the history names the operations that have none. The history logs `train_loss` and, with validation
    data, `val_loss` for each epoch: means over samples, the former as the weights moved.

    Args:
        factory: makes the model, such as its class: it is called after seeding, so that its weights are reproducible.
        train_data, validation_data: as for `evaluate`; pairs and Datasets are shuffled in each epoch of training.
        loss: a torch loss or any `loss(outputs, targets)` that gives a tensor to call `backward()` on.
        optimizer: makes the optimizer of the parameters, such as `lambda p: torch.optim.Adam(p, lr=1e-3)`.
        epochs: how many passes over the training data; with `early_stopping` at most so many.
        batch_size: samples a batch for a Dataset or a pair.
        seed: for Python, numpy and torch.
        early_stopping: stop after so many epochs without a new lowest validation loss, and restore its weights; gates
            on the history judge no later epoch than that one, `history.kept`.
        schedule: makes a learning-rate schedule of the optimizer, such as
            `lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10)`. The history logs `learning_rate`, the
            one that the epoch's last step took (of the first parameter group). ReduceLROnPlateau gets the validation
            loss.
        schedule_every: "epoch", or "batch" for schedules that move with each step of the optimizer (OneCycleLR).
        clip_norm: scale the gradient down to this Euclidean norm where it is larger; above 0.
        accumulate: batches a step. Their gradients are those of one batch that holds all their samples: a smaller
            last batch, or class weights, count for what they are.
        class_weights: a number for each class, for cross_entropy and nll_loss; one number, of the positive class
            against the negative, for binary_cross_entropy_with_logits; or "balanced": n / (K n_k), as scikit-learn
            has it (n_0 / n_1 for the latter). Both losses are then weighted, and the history's `loss` says so.
        mixed_precision: forward pass and training loss in float16 with a gradient scaler on CUDA, in bfloat16
            elsewhere; validation stays in full precision. A warning where the device has none.
        metrics: names of metrics of the confusion matrix, or a mapping from names to `label=`, `average=` or
            parameters, such as `{"recall": {"label": 1}}`. Each is measured on the validation set after every epoch,
            at a threshold of 1/2, and logged as `val_recall`; "macro" of more than two classes, the last of two. An
            epoch in which one is undefined logs none.
        on_nonfinite: "raise" at the first loss that is not finite, a TrainingError that names epoch, batch and the
            parameter whose gradient broke first; or "stop": log NaN, end the training, and leave it to the gates.
        fit: `fit(model, run)` trains the model itself; see `Run`. Nothing else is required then. It may return
            another module.
        device: as for `--modelgate-device`.
        threads: CPU threads of torch during the training; default as many as it has. Another number, other bits.
        depends_on: what else the training depends on, for the cache: files, or any values.
        cache: where trained models are kept; None trains.
        progress: called after each epoch with the history, the epochs that are done, and all epochs; where the
            training ends early, those are the ones that are done.

    Raises:
        TrainingError: something is missing or makes no sense, the factory makes no module, or a loss is not finite.
        EvidenceError: data that cannot be read, are empty, or do not fit the loss.
    """
    import torch

    check_seed(seed)
    place = resolve_device(device)
    recipe = Recipe(
        optimizer=optimizer,
        epochs=epochs,
        early_stopping=early_stopping,
        schedule=schedule,
        schedule_every=schedule_every,
        clip_norm=clip_norm,
        accumulate=accumulate,
        class_weights=class_weights,
        mixed_precision=mixed_precision,
        metrics=metrics,
        on_nonfinite=on_nonfinite,
    )
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise TrainingError(f"threads={threads!r} is not a whole number of 1 or more")
    if loss is not None:
        read_loss(loss)
    if fit is None:
        recipe.check(loss, train_data, validation_data)
    else:
        recipe.refuse_with_fit()
    training = _Training(
        factory=factory,
        train_data=train_data,
        validation_data=validation_data,
        loss=loss,
        recipe=recipe,
        batch_size=batch_size,
        seed=seed,
        fit=fit,
        place=place,
        threads=torch.get_num_threads() if threads is None else threads,
        progress=progress,
    )
    if cache is None:
        return training.run()
    from pytest_modelgate.runtime.cache.watching import first_epoch_over

    return cache.get(
        functools.partial(training.run, at_second_epoch=first_epoch_over),
        arguments=training.arguments(),
        factory=factory,
        loss=loss,
        seed=seed,
        device=place,
        threads=training.threads,
        depends_on=depends_on,
        loss_of=None if fit is not None or class_weights is None else training.loss_of,
    )


@at_the_caller
def train_models(
    factory: Callable[[], torch.nn.Module],
    train_data: Any,
    *,
    seeds: int | Sequence[int] = 5,
    seed: int = 0,
    **same: Any,
) -> list[TrainedModel]:
    """Train one model for each seed, alike in all else.

    Args:
        factory, train_data: as for `train_model`.
        seeds: how many, from `seed` on: seed, seed + 1, ...; or the seeds themselves, each once.
        seed: the first, where `seeds` is a count.
        same: every other argument of `train_model`.

    Raises:
        TrainingError: seeds that make no sense, data that can be read once only, or as `train_model`.
        EvidenceError: as `train_model`.
    """
    each = check_seeds(seeds, seed)
    for name, data in (("train_data", train_data), ("validation_data", same.get("validation_data"))):
        if len(each) > 1 and hasattr(data, "__next__"):
            raise TrainingError(f"{name} is an iterator, which can be read for one seed only: give a list or a loader")
    return [train_model(factory, train_data, seed=one, **same) for one in each]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """One training, its arguments checked."""

    factory: Any
    train_data: Any
    validation_data: Any
    loss: Any
    recipe: Recipe
    batch_size: int
    seed: int
    fit: Any
    place: torch.device
    threads: int
    progress: Progress | None

    def arguments(self) -> dict[str, Any]:
        """The arguments that decide the result beside factory, loss, seed, device and threads."""
        return {
            "train_data": self.train_data,
            "validation_data": self.validation_data,
            "batch_size": self.batch_size,
            "fit": self.fit,
            **{one.name: getattr(self.recipe, one.name) for one in fields(self.recipe)},
        }

    def run(self, at_second_epoch: Callable[[], None] | None = None) -> TrainedModel:
        """Train, now."""
        with (
            seeded(self.seed, self.place),
            generators_kept(self.train_data, self.validation_data),
            threads_pinned(self.threads),
            unobserved(),
            deterministic() as not_deterministic,
        ):
            model = make_module(self.factory).to(self.place)
            history = History(
                model=type(model).__name__, seed=self.seed, device=str(self.place), threads=self.threads
            )  # fmt: skip
            if at_second_epoch is not None:
                history.at_second_epoch(at_second_epoch)
            loss = self.loss
            if self.fit is None:
                loss = self._loop(model, history)
            else:
                model = self._fit(model, history)
            history.nondeterministic = tuple(not_deterministic)
        history.freeze()
        model.eval()
        return TrainedModel(model=model, history=history, device=self.place, seed=self.seed, loss=loss)

    def loss_of(self, model: torch.nn.Module) -> Any:
        """The loss that a model is trained with: what was given, with class weights where they were asked for."""
        if self.recipe.class_weights is None:
            return self.loss
        dtype = model_dtype(model)
        with seeded(None, self.place):  # counting the classes may read the data, and must not change their order later
            data = Batches(self.train_data, batch_size=self.batch_size, dtype=dtype, what="train_data")
            return weigh(self.loss, self.recipe.class_weights, data, dtype)

    def _loop(self, model: torch.nn.Module, history: History) -> Any:
        """Train by the built-in loop; gives the loss, with class weights where they were asked for."""
        recipe, dtype = self.recipe, model_dtype(model)
        optimizer = recipe.make_optimizer(model)
        train = Batches(self.train_data, batch_size=self.batch_size, shuffle=True, dtype=dtype, what="train_data")
        validation = None
        if self.validation_data is not None:
            large = max(self.batch_size, 256)
            validation = Batches(self.validation_data, batch_size=large, dtype=dtype, what="validation_data")
        loss = self.loss_of(model)
        read = read_loss(loss)
        history.loss = read.name
        autocast, scaler = recipe.make_precision(self.place)
        Loop(
            model=model,
            loss=read.on(self.place),
            recipe=recipe,
            metrics=check_metrics(recipe.metrics),
            optimizer=optimizer,
            schedule=recipe.make_schedule(optimizer, validated=validation is not None),
            autocast=autocast,
            scaler=scaler,
            place=self.place,
            train=train,
            validation=validation,
            history=history,
            progress=self.progress,
            losses_at_once=self.place.type == "cpu",
        ).run()
        return loss

    def _fit(self, model: torch.nn.Module, history: History) -> torch.nn.Module:
        """Train by the user's loop."""
        import torch

        history.loss = None if self.loss is None else read_loss(self.loss).name
        run = Run(
            device=self.place,
            seed=self.seed,
            train_data=self.train_data,
            validation_data=self.validation_data,
            history=history,
            _progress=self.progress,
        )
        returned = self.fit(model, run)
        if returned is not None and not isinstance(returned, torch.nn.Module):
            raise TrainingError(
                f"fit returned {type(returned).__name__}; return the trained module, or nothing to keep the given"
            )
        if not len(history):
            warnings.warn(
                ModelgateWarning(
                    "fit logged nothing, so gates on the history have nothing to judge: call "
                    "run.history.log(epoch=..., train_loss=...) in each epoch"
                ),
                stacklevel=2,
            )
        return model if returned is None else returned
