"""The record of one process: every verdict, evaluation and history, at once, as one line of JSON each."""

from __future__ import annotations

import functools
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from _pytest.fixtures import SubRequest
    from pytest import FixtureDef, Item, Mark, Session, TerminalReporter
    from typing_extensions import TypeIs

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.plugin.baselining import SessionBaseline
    from pytest_modelgate.plugin.looks import Looks
    from pytest_modelgate.plugin.mutating import Mutation
    from pytest_modelgate.recording import Again, Evidence


class Recorder:
    """Listens to judgements, knows which test is running, and writes the journal and JUnit's properties.

    Args:
        confidence, if_unsure: what a gate that does not say gets, and no marker does.
        worker: the xdist worker's name, "" outside.
        journal: the folder of the journals, or None where no report was asked for.
        junit: whether a JUnit file is written.
        looks: makes what counts how often each set of data is judged; called at the first judgement.
        baseline: gives the session's baseline; called where a gate was settled slice by slice.
        mutation: what settles the gates on faulted twins at the end of the run, or None.
    """

    def __init__(
        self,
        *,
        confidence: float,
        if_unsure: str,
        worker: str,
        journal: str | None,
        junit: bool,
        looks: Callable[[], Looks],
        baseline: Callable[[], SessionBaseline],
        mutation: Mutation | None = None,
    ) -> None:
        self._defaults = {"confidence": confidence, "if_unsure": if_unsure}
        self._worker = worker
        self._journal = None if journal is None else Path(journal) / f"{worker or 'main'}.jsonl"
        self._junit = junit
        self._looks = functools.cache(looks)
        self._mutation = mutation
        self._judged = False
        self._elsewhere: list[tuple[str, str]] = []
        self._told: dict[str, None] = {}
        self._file: TextIO | None = None
        self._item: Item | None = None
        self._phase = "setup"
        self._fixture: str | None = None
        self._sequence = 0
        self._lock = threading.RLock()
        self._known: set[tuple[str, str | None]] = set()
        self._last: tuple[Evidence | None, str] = (None, "")
        self._here: list[Verdict] = []
        self._baseline = baseline
        self._deselected = False
        self._runs: dict[str, int] = {}

    def pytest_deselected(self) -> None:
        self._deselected = True

    def pytest_collection_finish(self, session: Session) -> None:
        """Write down what a baseline knows the collected tests by, whether they get to run or not."""
        known_as = {item.nodeid: key for item in session.items if (key := _test_key(item)) != item.nodeid}
        if self._journal is not None and (known_as or self._deselected):
            self._write("collected", {"known_as": known_as, "deselected": self._deselected})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Item) -> None:
        self._item, self._phase = item, "setup"
        self._here = []
        self._runs[item.nodeid] = self._runs.get(item.nodeid, 0) + 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: Item) -> None:
        self._item, self._phase = item, "call"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: Item) -> None:
        self._item, self._phase = item, "teardown"

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: FixtureDef[Any], request: SubRequest
    ) -> Generator[None, object | None, object | None]:
        """Know which shared fixture is being made: each xdist worker makes its own, and judges in it again."""
        outer, self._fixture = self._fixture, _shared(request)
        try:
            made = yield
            if self._fixture is not None:
                # Finalizers run last in, first out: this one before the fixture's own.
                fixturedef.addfinalizer(functools.partial(setattr, self, "_fixture", self._fixture))
            return made
        finally:
            self._fixture = outer

    def pytest_fixture_post_finalizer(self) -> None:
        self._fixture = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """An xdist worker ended: what it judged counts too."""
        output: dict[str, Any] = getattr(node, "workeroutput", None) or {}
        self._elsewhere += [(data, content) for data, content in output.get("modelgate_judged", ())]
        for text in output.get("modelgate_told", ()):
            self.tell(text)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if self._mutation is not None:
            self._item = None
            for sequence, found in self._mutation.settle():
                self._write("mutation", {"of": sequence, **found})
        if output is not None and self._told:
            output["modelgate_told"] = list(self._told)
        if not self._judged and not self._elsewhere:
            return
        if output is not None:
            output["modelgate_judged"] = sorted(self._looks().judged)
        else:
            self._looks().keep(self._elsewhere)

    def tell(self, text: str) -> None:
        """Let the end of the run say something, once."""
        self._told[text] = None

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._told and terminalreporter.config.option.verbose >= 0:
            for text in self._told:
                terminalreporter.write_line(f"modelgate: {text}")

    @property
    def confidence(self) -> float:
        """What a gate that does not say gets in the test that is running."""
        return float(self._setting("confidence"))

    @property
    def if_unsure(self) -> str:
        """What a gate that does not say gets in the test that is running."""
        return str(self._setting("if_unsure"))

    def _setting(self, name: str) -> Any:
        """From the closest `pytest.mark.modelgate` of the test, its class or its file, else the options'."""
        for marker in [] if self._item is None else self._item.iter_markers("modelgate"):
            _check_marker(marker)
            if name in marker.kwargs:
                return marker.kwargs[name]
        return self._defaults[name]

    def verdict(self, verdict: Verdict, *evidence: Evidence, again: Again | None = None) -> str | None:
        """Record a judgement and the evidence behind it; what the caller must be warned of, if anything."""
        with self._lock:
            if any(name in ("slices", "compared") for name, _ in verdict.details):
                self._baseline().refuse_vanished(verdict)
            self._here.append(verdict)
            if self._junit and self._item is not None:
                _add_properties(self._item, verdict, again=_is_hypothesis(self._item))
            if self._journal is not None:
                keys = [self._evidence(one) for one in evidence]
                cached = [origin for one in evidence if (origin := _from_cache(one)) is not None]
                self._write("verdict", verdict.to_dict() | {"evidence": keys[0] if keys else None, "cached": cached})
                if self._mutation is not None and not _is_hypothesis(self._item):
                    self._mutation.add(self._sequence, verdict, evidence, again)
            said = [self._look(one) for one in evidence]
        return next((warning for warning in said if warning is not None), None)

    def evaluation(self, evaluation: Evaluation) -> None:
        """Record an evaluation that a fixture made."""
        if self._journal is not None:
            self._evidence(evaluation)

    def history(self, history: History) -> None:
        """Record a finished training."""
        if self._journal is not None:
            self._evidence(history)

    def place(self) -> tuple[str, Sequence[Verdict]]:
        """What a baseline knows the running test by, and its verdicts so far.

        Raises:
            EvidenceError: no test is running, or what is made belongs to several tests or examples.
        """
        from pytest_modelgate.exceptions import EvidenceError

        why = None
        if self._item is None:
            why = "no test is running"
        elif self._fixture is not None:
            why = f"a fixture that tests share is being made ({self._fixture.split()[2]})"
        elif _is_hypothesis(self._item):
            why = "Hypothesis draws other samples in every example"
        if why is not None or self._item is None:
            raise EvidenceError(
                f"a baseline's entry belongs to one test, and {why}: compare with it in a test of its own"
            )
        return _test_key(self._item), self._here

    def note(self, data: dict[str, Any]) -> None:
        """Write down which samples were recorded for a baseline."""
        if self._journal is not None:
            self._write("samples", data)

    @property
    def journal(self) -> Path | None:
        """The folder of the journals, or None where nothing is gathered."""
        return None if self._journal is None else self._journal.parent

    def close(self) -> None:
        """Close the journal."""
        if self._file is not None:
            self._file.close()

    def _look(self, evidence: Evidence) -> str | None:
        """Count a look at a set of data; a history or an audit is no such look."""
        if not _is_evaluation(evidence):
            return None
        self._judged = True
        return self._looks().judge(evidence)

    def _evidence(self, evidence: Evidence) -> str:
        """The evidence's key; the evidence itself is written once a test."""
        test = self._item.nodeid if self._item is not None else None
        last, key = self._last
        summary = None
        is_history = _is_history(evidence)
        if last is not evidence or is_history:  # a history that is not frozen yet may have grown
            summary = evidence.summary()
            key = _key(summary)
            self._last = evidence, key
        if (key, test) not in self._known:
            self._known.add((key, test))
            kind = "history" if is_history else "evaluation" if _is_evaluation(evidence) else "audit"
            told = {"key": key} if kind == "audit" else {"key": key, "training": _training(evidence)}
            self._write(kind, (summary or evidence.summary()) | told)
        return key

    def _write(self, kind: str, data: dict[str, Any]) -> None:
        item = self._item
        entry = {
            "kind": kind,
            "test": None if item is None else item.nodeid,
            "known_as": None if item is None else _test_key(item),
            "run": 0 if item is None else self._runs.get(item.nodeid, 0),
            "phase": self._phase,
            "worker": self._worker,
            "fixture": self._fixture,
            "hypothesis": _is_hypothesis(item),
            "data": data,
        }
        with self._lock:
            self._sequence += 1
            line = json.dumps(entry | {"sequence": self._sequence}, ensure_ascii=False, allow_nan=False)
            if self._file is None and self._journal is not None:
                self._file = self._journal.open("w", encoding="utf-8")
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()


def _test_key(item: Item) -> str:
    """What a baseline knows a test by: its node id, without the bar or the group of xdist where that holds one."""
    own = item.nodeid if item.parent is None else f"{item.parent.nodeid}::{item.name}"
    return str(getattr(item, "baseline_key", own if item.nodeid.startswith(f"{own}@") else item.nodeid))


def _check_marker(marker: Mark) -> None:
    """A `BarError` unless the marker says what it can say."""
    from pytest_modelgate.exceptions import BarError, did_you_mean
    from pytest_modelgate.gates.settings import check_confidence, check_if_unsure

    checks: dict[str, Callable[..., object]] = {"confidence": check_confidence, "if_unsure": check_if_unsure}
    for word in [*map(repr, marker.args), *marker.kwargs]:
        if word not in checks:
            raise BarError(
                f"pytest.mark.modelgate takes {'= and '.join(checks)}=, not {word}{did_you_mean(word, checks)}"
            )
    for name, value in marker.kwargs.items():
        checks[name](value, f"pytest.mark.modelgate: {name}")


RECORDER = pytest.StashKey[Recorder]()


def _shared(request: SubRequest) -> str | None:
    """The name of a fixture that tests may share, alike in every process; None for one that is a single test's."""
    if request.scope == "function":
        return None
    return f"{request.scope} {request.node.nodeid} {request.fixturename} {request.param_index}"


def _key(summary: dict[str, Any]) -> str:
    """A name for evidence that depends on its content alone."""
    import hashlib

    text = json.dumps(summary, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _is_history(evidence: Evidence) -> TypeIs[History]:
    from pytest_modelgate.evidence.history import History

    return isinstance(evidence, History)


def _is_evaluation(evidence: Evidence) -> TypeIs[Evaluation]:
    from pytest_modelgate.evidence.evaluation import Evaluation

    return isinstance(evidence, Evaluation)


def _training(evidence: Evidence) -> Mapping[str, Any] | None:
    """Whether the model behind it was trained or came from the cache; None where that is not known."""
    if _is_history(evidence):
        return evidence.origin
    return evidence.origin.training if _is_evaluation(evidence) else None


def _from_cache(evidence: Evidence) -> dict[str, Any] | None:
    """Key and time of training of the stored model behind the evidence, where that is an earlier run's."""
    origin = _training(evidence)
    return {name: origin[name] for name in ("key", "trained_at")} if origin and origin["state"] == "cached" else None


def _is_hypothesis(item: Item | None) -> bool:
    """Whether one run of the test settles its gates on many examples."""
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False) is True


def _add_properties(item: Item, verdict: Verdict, again: bool) -> None:
    """JUnit's properties of a test, flat texts; a gate that stands there is numbered, or replaced if `again`."""
    names = ("outcome", "estimate", "lower", "upper", "bar", "support")
    prefix = f"modelgate.{verdict.gate}"
    same = (f"{prefix}.", f"{prefix}#")
    there = sum(name.startswith(same) and name.endswith(".outcome") for name, _ in item.user_properties)
    if again:
        item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith(f"{prefix}.")]
    elif there:
        prefix += f"#{there + 1}"
    values = {name: getattr(verdict, name) for name in names}
    item.user_properties += [(f"{prefix}.{name}", str(value)) for name, value in values.items() if value is not None]
