"""Does a model give the same output once it is exported or compiled?"""

from __future__ import annotations

__tracebackhide__ = True

import io
import logging
import math
import os
import shutil
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.answers import (
    answers,
    apart,
    compared,
    first_line,
    furthest,
    how_far,
    leaves,
    not_finite,
    tolerance,
)
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.setting import copies, read, rows_of
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.data import call
from pytest_modelgate.runtime.modules import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from pytest_modelgate.checks.wiring.answers import Answers
    from pytest_modelgate.checks.wiring.setting import Wiring
    from pytest_modelgate.gates.verdict import Verdict

_NAME = "export_parity"
_COMPILERS = ("c++", "g++", "clang++", "cl")
_CAUSE = (
    "usual causes: Python that looks at values (if x.sum() > 0, .item(), numpy), which torch.where or tensor "
    "operations replace; attributes that forward changes; libraries other than torch in forward"
)


def check_export_parity(model: Any, batch: Any, *, loss: Any = None, formats: Sequence[str] = ("export",)) -> Verdict:
    """Judge whether a model in evaluation mode gives the same output when it is exported or compiled.

    Each form runs on the batch that it was made with and on the same rows in another order, so that values which were
    written into it show. The estimate is the largest difference relative to the output's size; it may be half of the
    type's digits (3.5e-4 in float32). The batch size is that of the batch: other sizes are not judged.

    Args:
        model: a module, or what `train_model` gave; it is left as it was, bit for bit.
        batch: (inputs, targets).
        loss: not needed.
        formats: of "export" (torch.export, some tenths of a second), "compile" (torch.compile, which takes a C++
            compiler and up to a minute the first time) and "onnx" (takes onnxscript and onnxruntime). A form that this
            machine cannot make is not run: the outcome is then `UNDEFINED`, with the detail `not_run`, unless another
            fails.

    Raises:
        EvidenceError: an unknown format, a batch that cannot be read, or an output without a tensor.
    """
    setting = read(model, batch, loss)
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    for one in formats or ("",):
        if one not in _MAKERS:
            known = ", ".join(map(repr, _MAKERS))
            raise EvidenceError(f"formats={formats!r}: there are {known}{did_you_mean(one, _MAKERS)}")
    with untouched(setting.module), evaluating(setting.module):
        return _judge(setting, formats)


def _judge(setting: Wiring, formats: tuple[str, ...]) -> Verdict:
    module, rows = setting.module, setting.rows
    batches = [setting.inputs]
    if rows > 1:
        batches.append(rows_of(setting.inputs, rows, [*range(1, rows), 0]))
    expected = [answers(module, inputs) for inputs in batches]
    for one in expected:
        if (why := not_finite(one)) is not None:
            sentence = f"whether {setting.name} stays the same when exported cannot be judged: {why}"
            return compared(_NAME, Outcome.UNDEFINED, sentence, support=rows)
    bar, largest, failed, missing = tolerance(module, expected[0].values()), 0.0, "", ""
    notes: list[str] = []
    unmade: list[str] = []
    for form in formats:
        maker, lacking = _MAKERS[form]
        why = "a TorchScript module cannot be exported" if form == "export" and _scripted(module) else lacking()
        if why is not None:
            missing = missing or f"{form}: {why}"
            notes.append(f"not run: {form}, {why}")
            continue
        try:
            with _quiet():
                difference, where = _difference(maker(setting), batches, expected)
        except Exception as error:  # exporters raise errors of many kinds
            failed = failed or f"{setting.name} cannot be run as {form}: {first_line(error)}"
            unmade.append(form)
            notes.append(_CAUSE)
            continue
        largest = max(largest, difference)
        if not difference <= bar:
            failed = f"as {form} the {where} differs {how_far(difference)}"
            notes.append("usual causes: a value that was written into it as a constant, random numbers in forward")
    if failed:
        outcome, sentence = Outcome.FAIL, failed
    elif missing:
        outcome, sentence = Outcome.UNDEFINED, f"whether {setting.name} stays the same cannot be judged as {missing}"
    else:
        outcome = Outcome.PASS
        sentence = f"{counted(rows, 'row')} gave the same output through {' and '.join(formats)}"
    return compared(
        _NAME,
        outcome,
        sentence,
        support=rows,
        difference=None if failed and largest == 0 else largest,
        bar=bar,
        notes=dict.fromkeys(notes),
        details=(("not_run", missing),) if missing else (("unmade", unmade),) if unmade and largest <= bar else (),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters warn, log and print of their own parts; what fails they raise."""
    level = logging.root.manager.disable
    trace = logging.getLogger("torch.__trace")  # which hands its records on whatever the level
    disabled = trace.disabled
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        trace.disabled = True
        try:
            yield
        finally:
            trace.disabled = disabled
            logging.disable(level)


def _difference(run: Callable[[Any], Answers], batches: list[Any], expected: list[Answers]) -> tuple[float, str]:
    found = []
    for inputs, wanted in zip(batches, expected, strict=True):
        answer = run(inputs)
        if answer.keys() == wanted.keys():
            found.append(furthest(wanted, answer))
        elif len(answer) == len(wanted):  # ONNX gives a list, whatever the model gave
            pairs = zip(wanted.values(), answer.values(), strict=True)
            found.append((max(apart(mine, theirs) for mine, theirs in pairs), "output"))
        else:
            found.append((math.inf, "output"))
    return max(found, key=lambda pair: pair[0])


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,), {}


def _exported(setting: Wiring) -> Callable[[Any], Answers]:
    import torch

    args, kwargs = _arguments(copies(setting.inputs))
    with torch.no_grad():
        program = torch.export.export(setting.module, args, kwargs, strict=False).module()
    return lambda inputs: answers(program, inputs)


def _compiled(setting: Wiring) -> Callable[[Any], Answers]:
    import torch

    torch.compiler.reset()  # what is compiled already counts towards a limit, above which nothing is compiled
    compiled: Any = torch.compile(setting.module)
    return lambda inputs: answers(compiled, inputs)


def _as_onnx(setting: Wiring) -> Callable[[Any], Answers]:
    import torch

    args, kwargs = _arguments(copies(setting.inputs))
    with torch.no_grad():
        program: Any = torch.onnx.export(setting.module, args, kwargs=kwargs, dynamo=True, verbose=False)

    def run(inputs: Any) -> Answers:
        return dict(leaves(list(call(program, copies(inputs)))))

    return run


def _scripted(module: torch.nn.Module) -> bool:
    import torch

    return isinstance(module, torch.jit.ScriptModule)


def _lacks_nothing() -> str | None:
    return None


def _lacks_compiler() -> str | None:
    if os.environ.get("CXX") or any(map(shutil.which, _COMPILERS)):
        return None
    return "there is no C++ compiler"


def _lacks_onnx() -> str | None:
    missing = [name for name in ("onnxscript", "onnxruntime") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


_MAKERS: dict[str, tuple[Callable[[Wiring], Callable[[Any], Answers]], Callable[[], str | None]]] = {
    "export": (_exported, _lacks_nothing),
    "compile": (_compiled, _lacks_compiler),
    "onnx": (_as_onnx, _lacks_onnx),
}
