"""The record of one training run: a row of numbers for each epoch."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping


class History:
    """What a training logged, epoch by epoch; written by one recorder and frozen when training ends.

    Args:
        loss: the loss's name, such as "cross_entropy"; losses of different names are never compared.
        model: the model's name, for the report.
        seed: the seed of the run, where it is known.
        device: the device it ran on, where it is known.
        threads: how many CPU threads torch used, where it is known.

    >>> history = History(loss="cross_entropy")
    >>> history.log(epoch=1, train_loss=1.2, val_loss=1.3, val_recall=0.5)
    >>> history.log(epoch=2, train_loss=0.9, val_loss=1.1, val_recall=0.7)
    >>> history.val_loss, history["val_recall"]
    ((1.3, 1.1), (0.5, 0.7))
    """

    __slots__ = ("_frozen", "_rows", "device", "loss", "model", "seed", "threads")

    def __init__(
        self,
        loss: str | None = None,
        *,
        model: str | None = None,
        seed: int | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.model = model
        self.seed = seed
        self.device = device
        self.threads = threads
        self._rows: dict[int, dict[str, float]] = {}
        self._frozen = False

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
            "epochs": rows,
        }

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> History:
        """The frozen history that `summary` was called on."""
        about = {key: summary.get(key) for key in ("loss", "model", "seed", "device", "threads")}
        history = cls(**about)
        for row in summary["epochs"]:
            history.log(epoch=row["epoch"], **{name: float(value) for name, value in row.items() if name != "epoch"})
        history.freeze()
        return history


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
