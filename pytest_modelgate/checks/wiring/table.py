"""All checks of a model's wiring in one table."""

from __future__ import annotations

__tracebackhide__ = True

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_modelgate.checks.wiring.beginning import check_initial_loss_sane
from pytest_modelgate.checks.wiring.devices import check_same_on_devices
from pytest_modelgate.checks.wiring.exporting import check_export_parity
from pytest_modelgate.checks.wiring.fitting import check_fits_one_batch, check_learns_from_input
from pytest_modelgate.checks.wiring.gradients import check_all_parameters_train, check_finite_gradients
from pytest_modelgate.checks.wiring.judging import judged, to_training
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.mixing import check_no_batch_mixing
from pytest_modelgate.checks.wiring.repeating import check_deterministic
from pytest_modelgate.checks.wiring.round_trip import check_checkpoint_round_trip
from pytest_modelgate.checks.wiring.setting import InputOverwritten, LossRefused, read
from pytest_modelgate.exceptions import EvidenceError, ModelgateError
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.runtime.modules import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = "check_model"
NOT_RUN = "not run"
RAISED = "the model raised"
_OF_TRAINING = ("finite_gradients", "all_parameters_train", "fits_one_batch")


class _Row(NamedTuple):
    """One check: its name, "PASS", "FAIL" or "not run", what was found, and the lines below it."""

    name: str
    word: str
    found: str
    below: tuple[str, ...] = ()


def check_model(
    model: Any,
    batch: Any,
    loss: Any = None,
    *,
    optimizer: Callable[[Any], Any] | None = None,
    frozen: Iterable[str] | None = None,
    export: bool = True,
) -> Verdict:
    """Run every check of a model's wiring on one batch; the model is as before at the end.

    A check that cannot run here, such as that of two devices where there is one, is shown with its reason and counts
    neither way. An exception out of the model fails the check that it broke.

    Args:
        model: a module, or what `train_model` gave, which brings its loss.
        batch: a pair (inputs, targets); 16 samples or more of several classes tell most.
        loss: what trains the model.
        optimizer, frozen: as for `check_all_parameters_train`.
        export: run the export check too.

    Raises:
        EvidenceError: see `read`.
    """
    wiring = read(model, batch, loss, trains=True)
    named = frozen if frozen is None or isinstance(frozen, str) else list(frozen)
    checks: dict[str, Callable[[], Verdict]] = {
        "input_kept": lambda: check_input_kept(model, batch),
        "deterministic": lambda: check_deterministic(model, batch, loss=loss),
        "no_batch_mixing": lambda: check_no_batch_mixing(model, batch, loss=loss),
        "finite_gradients": lambda: check_finite_gradients(model, batch, loss=loss),
        "all_parameters_train": lambda: check_all_parameters_train(
            model, batch, loss=loss, optimizer=optimizer, frozen=named
        ),
        "initial_loss_sane": lambda: check_initial_loss_sane(model, batch, loss=loss),
        "fits_one_batch": lambda: check_fits_one_batch(model, batch, loss=loss),
        "learns_from_input": lambda: check_learns_from_input(model, batch, loss=loss),
        "checkpoint_round_trip": lambda: check_checkpoint_round_trip(model, batch, loss=loss),
        "same_on_devices": lambda: check_same_on_devices(model, batch, loss=loss),
        "export_parity": lambda: check_export_parity(model, batch, loss=loss),
    }
    rows = [
        _Row(name, NOT_RUN, "export=False") if name == "export_parity" and not export else _run(name, check)
        for name, check in checks.items()
    ]
    return _verdict(wiring.name, _said_once(rows))


def check_input_kept(model: Any, batch: Any) -> Verdict:
    """Does the model leave its input as it was, in training and in evaluation mode?

    Args:
        model, batch: see `read`.

    Raises:
        EvidenceError: see `read`.
    """
    wiring = read(model, batch)
    try:
        with untouched(wiring.module):
            with evaluating(wiring.module):
                wiring.outputs()
            to_training(wiring.module)
            try:
                wiring.outputs()
            except InputOverwritten:
                raise
            except EvidenceError:  # a batch of one, which BatchNorm refuses: it was looked at in evaluation mode
                pass
    except InputOverwritten as error:
        return judged("input_kept", Outcome.FAIL, str(error), support=wiring.rows, hits=0)
    sentence = f"{wiring.name} leaves its input as it was"
    return judged("input_kept", Outcome.PASS, sentence, support=wiring.rows, hits=wiring.rows)


def _run(name: str, check: Callable[[], Verdict]) -> _Row:
    try:
        verdict = check()
    except InputOverwritten:
        return _Row(name, NOT_RUN, "the model changes its input: see input_kept")
    except LossRefused as error:
        return _Row(name, "FAIL", str(error))
    except ModelgateError as error:
        return _Row(name, NOT_RUN, str(error))
    except Exception as error:
        return _Row(name, "FAIL", f"{RAISED} {type(error).__name__}: {error}", _where(error))
    found = verdict.explanation.removeprefix(f"{verdict.outcome}: ")
    # A sound model may be one that torch cannot export, such as one with packed sequences.
    if verdict.outcome in (Outcome.UNDEFINED, Outcome.INCONCLUSIVE) or "unmade" in dict(verdict.details):
        return _Row(name, NOT_RUN, found)
    return _Row(name, "PASS" if verdict.passed else "FAIL", found, verdict.notes)


def _said_once(rows: list[_Row]) -> list[_Row]:
    """Where the model raised one error in many checks, only the first row has it."""
    first: dict[str, str] = {}
    return [
        row._replace(found=f"the same error as in {before}", below=())
        if row.found.startswith(RAISED) and (before := first.setdefault(row.found, row.name)) != row.name
        else row
        for row in rows
    ]


def _where(error: BaseException) -> tuple[str, ...]:
    """The innermost line of the traceback that is neither torch's nor this package's."""
    import torch

    own = (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(own) and frame.lineno is not None:
            return (f"at {frame.filename}:{frame.lineno}: {frame.line}",)
    return ()


def _verdict(model: str, rows: list[_Row]) -> Verdict:
    ran = [row for row in rows if row.word != NOT_RUN]
    failed = [row.name for row in ran if row.word == "FAIL"]
    passed = len(ran) - len(failed)
    wide = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.name:<{wide}}  {row.word:<7}  {row.found}")
        lines += [f"{'':<{wide}}           {line}" for note in row.below for line in note.splitlines()]
    if not ran:
        outcome, sentence = Outcome.UNDEFINED, f"no check of {model} could run"
    elif not failed and not any(row.name in _OF_TRAINING for row in ran):
        outcome = Outcome.UNDEFINED
        sentence = f"no check of how {model} trains could run, though {passed} others passed"
    else:
        outcome = Outcome.FAIL if failed else Outcome.PASS
        sentence = f"{passed} of {len(ran)} checks of {model} passed"
        sentence += f": {', '.join(failed)} failed" if failed else ""
    left_out = len(rows) - len(ran)
    sentence += f"; {left_out} not run" if left_out and ran else ""
    return judged(
        NAME,
        outcome,
        sentence,
        support=len(ran),
        hits=passed,
        notes=lines,
        details=[(row.name, row.word) for row in rows],
    )
