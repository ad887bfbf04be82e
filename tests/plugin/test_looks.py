"""How often each set of data was judged: counted once a session, kept, and said from the hundredth time on."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pytest_modelgate as mg
from pytest_modelgate.plugin.looks import KEPT, MANY, Looks

COUNTS = ".pytest_cache/v/modelgate/evaluations"
SUITE = """
import pytest
import pytest_modelgate as mg

def model(wrong, shift=0):
    target = [0, 1] * 50
    preds = [(1 - t if i < wrong else t) for i, t in enumerate(target)]
    return mg.Evaluation.from_predictions(
        target=target, preds=preds, outputs="labels", ids=range(shift, 100 + shift))

@pytest.mark.parametrize("gate", [0.1, 0.2, 0.3])
def test_one_model_in_several_tests(gate):
    mg.assert_recall_at_least(model(3), gate)
    mg.assert_precision_at_least(model(3), gate)

def test_another_model():
    mg.assert_recall_at_least(model(5), 0.5)

def test_other_data():
    mg.assert_recall_at_least(model(3, shift=7), 0.5)

def test_seeds():
    mg.assert_over_seeds([model(7), model(8), model(9)], mg.Gate("recall", at_least=0.5))

def test_nothing_is_known_of_a_matrix():
    mg.assert_recall_at_least(mg.ConfusionMatrix([[40, 2], [4, 36]]), 0.5)
"""
ONE = """
import pytest_modelgate as mg

def test_first():
    assert True

def test_judged():
    target = [0, 1] * 50
    one = mg.Evaluation.from_predictions(target=target, preds=[*target[:-2], 1, 1], outputs="labels", ids=range(100))
    mg.assert_recall_at_least(one, 0.5)  # the user's line
    mg.assert_precision_at_least(one, 0.5)

def test_again():
    target = [0, 1] * 50
    one = mg.Evaluation.from_predictions(target=target, preds=target, outputs="labels", ids=range(100))
    mg.assert_recall_at_least(one, {bar})
"""
FIRST = mg.Evaluation.from_predictions(target=[0, 1] * 50, preds=[0, 1] * 50, outputs="labels", ids=range(100))
DATA = f"{FIRST.fingerprint:016x}"


def counts(pytester: pytest.Pytester) -> dict[str, int]:
    found: dict[str, int] = json.loads((pytester.path / COUNTS).read_text())
    return found


def seed(pytester: pytest.Pytester, content: str) -> None:
    (pytester.path / COUNTS).parent.mkdir(parents=True)
    (pytester.path / COUNTS).write_text(content)


@pytest.mark.parametrize("workers", [(), ("-n0",), ("-n2",)], ids=["alone", "n0", "n2"])
def test_each_evaluation_counts_once_a_session(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    if workers:
        pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    for session in (1, 2):
        pytester.runpytest("-q", *workers).assert_outcomes(passed=7)
        found = counts(pytester)
        assert found[DATA] == 5 * session  # the models with 3, 5, 7, 8 and 9 wrong
        assert sorted(found.values()) == [session, 5 * session]


def test_the_hundredth_is_said_once_at_the_users_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, json.dumps({DATA: MANY - 1}))
    result = pytester.runpytest("-q", "-W", "default")
    result.assert_outcomes(passed=3, warnings=1)
    text = result.stdout.str()
    assert re.search(r"_line\.py:9: ModelgateWarning: these 100 samples have been judged 100 times", text), text
    said = "make the best model look up to 3.0 points of accuracy better than it is"
    assert said in text  # sqrt(2 log 100 * .01 * .99 / 100)
    assert "Judge the final model on samples that chose nothing" in text
    assert counts(pytester) == {DATA: MANY + 1}


def test_not_before(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, json.dumps({DATA: MANY - 3, "0" * 16: 1000}))
    pytester.runpytest("-q", "-W", "default").assert_outcomes(passed=3, warnings=0)
    assert counts(pytester)[DATA] == MANY - 1


def test_said_once_under_xdist(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    seed(pytester, json.dumps({DATA: 500}))
    for session in (1, 2):  # each session says it
        result = pytester.runpytest("-q", "-n2")
        result.assert_outcomes(passed=7, warnings=1)
        assert counts(pytester)[DATA] == 500 + 5 * session


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_as_an_error_it_fails_that_test_only(pytester: pytest.Pytester, workers: str) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, json.dumps({DATA: 500}))
    result = pytester.runpytest("-q", workers, "-W", "error::pytest_modelgate.ModelgateWarning")
    result.assert_outcomes(passed=2, failed=1)
    text = result.stdout.str()
    assert "ModelgateWarning: these 100 samples" in text
    assert "assertions.py" not in text
    assert counts(pytester)[DATA] == 502


def test_a_red_gate_goes_first(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest_modelgate as mg

        def test_red():
            one = mg.Evaluation.from_predictions(
                target=[0, 1] * 50, preds=[0, 0] * 50, outputs="labels", ids=range(100))
            mg.assert_recall_at_least(one, 0.9)
        """
    )
    seed(pytester, json.dumps({DATA: 500}))
    result = pytester.runpytest("-q", "-W", "error::pytest_modelgate.ModelgateWarning")
    result.assert_outcomes(failed=1)
    assert "GateFailure: FAIL: recall" in result.stdout.str()
    assert "ModelgateWarning" not in result.stdout.str()
    pytester.runpytest("-q", "-W", "default").assert_outcomes(failed=1, warnings=1)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        '{"a": "b"}',
        f'{{"{DATA}": "99"}}',
        f'{{"{DATA}": -5}}',
        f'{{"{DATA}": true}}',
    ],
)
def test_a_spoilt_file_counts_from_zero(pytester: pytest.Pytester, content: str) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, content)
    pytester.runpytest("-q", "-W", "error").assert_outcomes(passed=3)
    assert counts(pytester) == {DATA: 2}


def test_bytes_that_are_no_text(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, "")
    (pytester.path / COUNTS).write_bytes(b"\xff\xfe\x00")
    pytester.runpytest("-q").assert_outcomes(passed=3)


def test_without_a_cache(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    pytester.runpytest("-q", "-p", "no:cacheprovider").assert_outcomes(passed=3)
    assert not (pytester.path / ".pytest_cache").exists()


def test_a_folder_that_cannot_be_written(pytester: pytest.Pytester) -> None:
    """Another thing stands where the lock's folder would be: no count, and the run is what it was."""
    pytester.makepyfile(ONE.format(bar=0.5))
    (pytester.path / ".pytest_cache").mkdir()
    (pytester.path / ".pytest_cache/d").write_text("in the way")
    result = pytester.runpytest("-q", "-W", "error")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_cache_clear(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(bar=0.5))
    seed(pytester, json.dumps({DATA: 500}))
    (pytester.path / ".pytest_cache/CACHEDIR.TAG").write_text("")
    pytester.runpytest("-q", "--cache-clear").assert_outcomes(passed=3, warnings=0)
    assert counts(pytester) == {DATA: 2}


def test_nothing_is_written_where_nothing_was_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing():\n    pass")
    pytester.runpytest("-q").assert_outcomes(passed=1)
    assert not (pytester.path / COUNTS).exists()
    assert not (pytester.path / ".pytest_cache/d/modelgate").exists()


def test_a_killed_worker_loses_its_own_count_only(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(ONE.format(bar=0.5) + "\ndef test_killed():\n    import os\n    os._exit(3)\n")
    result = pytester.runpytest_subprocess("-q", "-n2", "-p", "no:randomly")
    assert "INTERNALERROR" not in result.stdout.str()
    result.assert_outcomes(passed=3, failed=1)
    assert counts(pytester)[DATA] in (1, 2) if (pytester.path / COUNTS).exists() else True


class Cache:
    """pytest's cache, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)

    def mkdir(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name


def of(data: int, wrong: int = 0) -> mg.Evaluation:
    target = [0, 1] * 10
    preds = [1 - t if i < wrong else t for i, t in enumerate(target)]
    return mg.Evaluation.from_predictions(target=target, preds=preds, outputs="labels", ids=range(data, data + 20))


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    sessions = [Looks(SimpleNamespace(cache=cache)) for _ in range(8)]  # type: ignore[arg-type]
    for looks in sessions:
        looks.judge(of(0))
    threads = [threading.Thread(target=looks.keep) for looks in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (count,) = cache.get("modelgate/evaluations", {}).values()
    assert count == 8


def test_generated_data_do_not_fill_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for session in range(3):
        looks = Looks(SimpleNamespace(cache=cache))  # type: ignore[arg-type]
        looks.judge(of(0))
        others = {(f"{session}-{i}", "content") for i in range(KEPT)}
        looks.keep(others)
    kept = cache.get("modelgate/evaluations", {})
    assert len(kept) == KEPT
    assert max(kept.values()) == 3  # the data that are judged again and again stay


def scored(outputs: Any, *preds: float) -> mg.Evaluation:
    return mg.Evaluation.from_predictions(target=[0, 1, 0, 1], preds=preds, outputs=outputs, ids=range(4))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of(0), of(0, wrong=1)),
        (scored("values", 0.1, 0.9, 0.2, 0.8), scored("values", 0.3, 0.6, 0.2, 0.8)),
        (scored("probabilities", 0.1, 0.9, 0.2, 0.8), scored("probabilities", 0.3, 0.6, 0.2, 0.8)),
    ],
    ids=["labels", "values", "scores"],
)
def test_another_model_is_another_look(tmp_path: Path, one: mg.Evaluation, other: mg.Evaluation) -> None:
    looks = Looks(SimpleNamespace(cache=Cache(tmp_path)))  # type: ignore[arg-type]
    for evaluation in (one, other, one, other):
        looks.judge(evaluation)
    assert len(looks.judged) == 2
