"""The record of one training run: a row of numbers for each epoch."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_modelgate.evidence.diagnosis import Diagnosis


class History:
    """What a training logged, epoch by epoch; written by one recorder and frozen when training ends.

    Args:
        loss: the loss's name, such as "cross_entropy"; losses of different names are never compared.
        model: the model's name, for the report.
        seed: the seed of the run, where it is known.
        device: the device it ran on, where it is known.
        threads: how many CPU threads torch used, where it is known.
        validation_loss: the name of the validation loss, where it is another than the training's.
        chance_loss: the loss of a model that knows nothing, such as log K for the cross-entropy of K classes.

    Attributes:
        kept: the epoch whose weights the model has, where it is not the last; see `keep`.
        nondeterministic: operations of the training that may give other bits each time.
        origin: whether the model was trained or came from the cache, and why; plain types. Not compared.

    >>> history = History(loss="cross_entropy")
    >>> history.log(epoch=1, train_loss=1.2, val_loss=1.3, val_recall=0.5)
    >>> history.log(epoch=2, train_loss=0.9, val_loss=1.1, val_recall=0.7)
    >>> history.val_loss, history["val_recall"]
    ((1.3, 1.1), (0.5, 0.7))
    """

    __slots__ = (
        "_frozen",
        "_rows",
        "_second_epoch",
        "chance_loss",
        "device",
        "kept",
        "loss",
        "model",
        "nondeterministic",
        "origin",
        "seed",
        "threads",
        "validation_loss",
    )

    def __init__(
        self,
        loss: str | None = None,
        *,
        model: str | None = None,
        seed: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        validation_loss: str | None = None,
        chance_loss: float | None = None,
    ) -> None:
        self.loss = loss
        self.validation_loss = validation_loss
        self.chance_loss = chance_loss
        self.kept: int | None = None
        self.nondeterministic: tuple[str, ...] = ()
        self.origin: dict[str, Any] | None = None
        self.model = model
        self.seed = seed
        self.device = device
        self.threads = threads
        self._rows: dict[int, dict[str, float]] = {}
        self._frozen = False
        self._second_epoch: Callable[[], None] | None = None

    def log(
        self,
        *,
        epoch: int | None = None,
        train_loss: float | None = None,
        val_loss: float | None = None,
        **metrics: float,
    ) -> None:
        """Add numbers to an epoch (default: the one after the last). Values may be floats or tensors of one element.

        NaN and infinity are kept: they are findings. An epoch's number may be logged in several calls, each name once.

        Raises:
            TrainingError: the history is frozen, an epoch goes backwards, a name is logged twice, or a value is
                no number.
        """
        if self._frozen:
            raise TrainingError("this history is frozen: its training has ended; log into run.history inside fit")
        last = max(self._rows, default=0)
        if epoch is None:
            epoch = last + 1
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise TrainingError(f"epoch={epoch!r} is not a whole number of 0 or more")
        if epoch < last:
            raise TrainingError(f"epoch {epoch} was logged after epoch {last}: epochs must not go backwards")
        given = {"train_loss": train_loss, "val_loss": val_loss} | metrics
        row = {name: _number(name, value) for name, value in given.items() if value is not None}
        if not row:
            raise TrainingError(f"nothing was logged for epoch {epoch}: give train_loss=, val_loss= or a metric")
        if twice := sorted(row.keys() & self._rows.get(epoch, {}).keys()):
            raise TrainingError(f"{', '.join(twice)} of epoch {epoch} was logged twice; does the loop pass epoch=?")
        self._rows.setdefault(epoch, {}).update(row)
        if self._second_epoch is not None and len(self._rows) > 1:
            self._second_epoch()
            self._second_epoch = None

    def at_second_epoch(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, when a second epoch is logged: what runs in each epoch has run by then."""
        self._second_epoch = tell

    def keep(self, epoch: int) -> None:
        """Say that the model has the weights of `epoch`, as after early stopping; gates then judge no later epoch.

        Raises:
            TrainingError: the history is frozen, or no such epoch was logged.
        """
        if self._frozen:
            raise TrainingError("this history is frozen: its training has ended; call run.history.keep inside fit")
        if epoch not in self._rows:
            raise TrainingError(f"epoch {epoch!r} was not logged, so its weights cannot have been kept")
        self.kept = epoch

    def until_kept(self) -> History:
        """The history of the weights that the model has: without the epochs after the one that was kept."""
        if self.kept is None or self.kept == max(self._rows, default=0):
            return self
        summary = self.summary()
        return History.from_summary(
            summary | {"epochs": [row for row in summary["epochs"] if row["epoch"] <= self.kept]}
        )

    def diagnose(self) -> Diagnosis:
        """What the curves show: a kind such as "healthy" or "overfitting", the evidence, and what to try next."""
        from pytest_modelgate.evidence.diagnosis import diagnose

        return diagnose(self)

    def freeze(self) -> None:
        """End the recording: a later `log` is an error."""
        self._frozen = True

    @property
    def epochs(self) -> tuple[int, ...]:
        """The numbers of the epochs that were logged, rising."""
        return tuple(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """What was logged: `train_loss` and `val_loss` first, then metrics in the order in which they came."""
        seen = dict.fromkeys(name for row in self._rows.values() for name in row)
        first = [name for name in ("train_loss", "val_loss") if name in seen]
        return tuple(dict.fromkeys([*first, *seen]))

    @property
    def train_loss(self) -> tuple[float, ...]:
        """The training loss of each epoch that logged one."""
        return self["train_loss"]

    @property
    def val_loss(self) -> tuple[float, ...]:
        """The validation loss of each epoch that logged one."""
        return self["val_loss"]

    def __getitem__(self, name: str) -> tuple[float, ...]:
        """The values logged under `name`, in the order of epochs; empty where there are none."""
        return tuple(row[name] for row in self._rows.values() if name in row)

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return self.summary() == other.summary()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"History(loss={self.loss!r}, epochs={len(self)}, names={list(self.names)})"

    def summary(self) -> dict[str, Any]:
        """The whole history as plain types; a number that is not finite is "nan", "inf" or "-inf"."""
        rows = [{"epoch": epoch} | {k: plain(v) for k, v in row.items()} for epoch, row in self._rows.items()]
        return {
            "model": self.model,
            "loss": self.loss,
            "seed": self.seed,
            "device": self.device,
            "threads": self.threads,
            "validation_loss": self.validation_loss,
            "chance_loss": None if self.chance_loss is None else plain(self.chance_loss),
            "kept": self.kept,
            "nondeterministic": list(self.nondeterministic),
            "epochs": rows,
        }

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> History:
        """The frozen history that `summary` was called on."""
        names = ("loss", "model", "seed", "device", "threads", "validation_loss")
        chance = summary.get("chance_loss")
        history = cls(**{key: summary.get(key) for key in names}, chance_loss=None if chance is None else float(chance))
        history.nondeterministic = tuple(summary.get("nondeterministic", ()))
        for row in summary["epochs"]:
            history.log(epoch=row["epoch"], **{name: float(value) for name, value in row.items() if name != "epoch"})
        history.kept = summary.get("kept")
        history.freeze()
        return history

    @classmethod
    def from_csv(
        cls, source: Any, *, columns: Mapping[str, str | None] | None = None, kept: int | None = None, **about: Any
    ) -> History:
        """A frozen history out of a CSV file with a header and a row for each epoch.

        The column "epoch" has the numbers of the epochs; without one the rows count from 1. Losses are known by their
        usual names ("loss", "train/loss", "valid_loss", "eval_loss", ...); other columns of numbers are metrics under
        their own names, and columns without a number, such as dates, are left out. An empty cell was not logged; NaN
        and infinity are kept.

        Args:
            source: the path, or an open text file.
            columns: names in the file and in the history, such as `{"nll": "train_loss"}`; None leaves one out.
            kept: the epoch whose weights the model has, where it is not the last; see `keep`.
            about: what `History` takes: `loss`, `validation_loss`, `chance_loss`, `model`, `seed`, ...

        Raises:
            EvidenceError: no such file, nothing in it, or a cell that is no number; it names file, line and column.
            TrainingError: `kept` is an epoch that was not logged.

        >>> import io
        >>> file = io.StringIO("epoch,loss,valid_loss,recall\\n1,1.2,1.3,0.5\\n2,0.9,,0.7\\n")
        >>> history = History.from_csv(file, loss="cross_entropy")
        >>> history.train_loss, history.val_loss, history["recall"]
        ((1.2, 0.9), (1.3,), (0.5, 0.7))
        """
        from pytest_modelgate.evidence.reading import from_csv

        return from_csv(source, columns=columns, kept=kept, **about)

    @classmethod
    def from_json(
        cls, source: Any, *, columns: Mapping[str, str | None] | None = None, kept: int | None = None, **about: Any
    ) -> History:
        """A frozen history out of JSON: what `summary` gave, a list of rows, or a list for each name as in Keras.

        Columns, names and numbers are read as by `from_csv`; null was not logged.

        Args:
            source: the path, an open file, the text itself (one that starts with a bracket), or what `json.load` made
                of it.
            columns, kept, about: as for `from_csv`.

        Raises:
            EvidenceError: no such file, no JSON, or what is no history.
            TrainingError: `kept` is an epoch that was not logged.

        >>> History.from_json({"loss": [1.2, 0.9], "val_loss": [1.3, 1.1]}).val_loss
        (1.3, 1.1)
        """
        from pytest_modelgate.evidence.reading import from_json

        return from_json(source, columns=columns, kept=kept, **about)

    @classmethod
    def from_lightning(
        cls, source: Any, *, columns: Mapping[str, str | None] | None = None, kept: int | None = None, **about: Any
    ) -> History:
        """A frozen history out of what Lightning's `CSVLogger` wrote. Epochs have Lightning's numbers, from 0.

        "train_loss_epoch" is taken as "train_loss", and "train_loss_step" where there is no other; several values of
        one epoch become their mean. Of several validations within an epoch the last counts. Tests, and a validation
        after the training, are left out.

        Args:
            source: the path of `metrics.csv` or of its folder (`version_0`), the logger, or the Trainer.
            columns, kept, about: as for `from_csv`.

        Raises:
            EvidenceError: no such file, or what Lightning did not write.
            TrainingError: `kept` is an epoch that was not logged.
        """
        from pytest_modelgate.evidence.reading import from_lightning

        return from_lightning(source, columns=columns, kept=kept, **about)

    @classmethod
    def from_trainer(
        cls, source: Any, *, columns: Mapping[str, str | None] | None = None, kept: int | None = None, **about: Any
    ) -> History:
        """A frozen history out of what Hugging Face's `Trainer` logged. Epochs count from 1.

        A training loss is a mean since the log before: it counts for the epoch in which the middle of those steps
        lies, and an epoch's is the mean by steps. Names that start with "eval_" start with "val_" here; of several
        evaluations within an epoch the last counts. Evaluations before and after the training, and tests, are left out.

        Args:
            source: the path of `trainer_state.json` or of its folder (`checkpoint-500`), the Trainer, or its state.
            columns, kept, about: as for `from_csv`.

        Raises:
            EvidenceError: no such file, or no log of a trainer.
            TrainingError: `kept` is an epoch that was not logged.
        """
        from pytest_modelgate.evidence.reading import from_trainer

        return from_trainer(source, columns=columns, kept=kept, **about)


def plain(number: float) -> float | str:
    """A float as JSON can hold it: not-a-number and the infinities by name."""
    return number if math.isfinite(number) else str(number)


def _number(name: str, value: object) -> float:
    try:
        if isinstance(value, (str, bool)):
            raise TypeError
        return float(value.detach() if hasattr(value, "detach") else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{name}={value!r} is not one number; log a float or a tensor of one element") from error
