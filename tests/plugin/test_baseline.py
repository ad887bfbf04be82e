"""A baseline in a file: recorded by an act, compared with pair by pair, and never silently absent."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

MODEL = """
    import numpy as np
    import pytest
    from pytest_modelgate import Evaluation, GateFailure, assert_no_regression, assert_recall_at_least

    FIRST, BREAKS, FIXES, THRESHOLD, LABELS = 0, {breaks}, {fixes}, {threshold}, {labels}

    def evaluation(breaks=BREAKS, fixes=FIXES, ids=True):
        target = np.tile([0, 1], 500)
        wrong = np.zeros(1000, dtype=bool)
        wrong[:70] = True
        wrong[70 : 70 + breaks] = True
        wrong[:fixes] = False
        scores = np.where(target ^ wrong, 0.9, 0.1)
        return Evaluation.from_predictions(
            target=target, preds=scores, outputs="probabilities", threshold=THRESHOLD, labels=LABELS,
            ids=np.arange(FIRST, FIRST + 1000) if ids else None,
            slices={{"region": np.repeat({regions}, 1000 // len({regions}))}} if ids else None,
        )
"""
PLAIN = """
    def test_accuracy(modelgate_baseline):
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy", margin={margin})
"""
UPDATE = "--modelgate-update-baseline"


class Project:
    """A project with one file of tests, whose model can change."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.file = pytester.path / "modelgate-baseline.json"

    def write(self, *tests: str, name: str = "test_model", **changes: Any) -> None:
        told: dict[str, Any] = {
            "breaks": 0, "fixes": 0, "threshold": 0.5, "labels": ("ham", "spam"), "margin": 0.0, "bar": 0.9,
            "regions": ["north", "south"],
        } | changes  # fmt: skip
        text = "".join((MODEL, *tests)).format(**{k: v if k in ("margin", "bar") else repr(v) for k, v in told.items()})
        self.pytester.makepyfile(**{name: text})

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest("-p", "no:cacheprovider", *arguments)

    def record(self, *arguments: str) -> dict[str, Any]:
        result = self.run(UPDATE, *arguments)
        assert result.ret == 0, result.stdout.str()
        return self.entries()

    def entries(self) -> dict[str, Any]:
        found = json.loads(self.file.read_text("utf-8"))
        return {f"{one['test']} {one['gate']}": one for one in found["entries"]}

    def report(self) -> dict[str, Any]:
        folder = self.pytester.path / "modelgate-report"
        found: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
        return found


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


def said(result: pytest.RunResult) -> str:
    return " ".join(result.stdout.str().replace("\nE ", " ").split())


def test_a_missing_baseline_is_an_error(project: Project) -> None:
    project.write(PLAIN)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "there is no baseline modelgate-baseline.json to compare no_regression(accuracy) with" in said(result)
    assert f"record one with pytest {UPDATE}" in said(result)
    assert not project.file.exists()


def test_what_was_recorded_is_compared_with_pair_by_pair(project: Project) -> None:
    project.write(PLAIN)
    entries = project.record()
    (key,) = entries
    assert key == "test_model.py::test_accuracy no_regression(accuracy, margin=0)"
    assert entries[key]["outcome"] == "INCONCLUSIVE"
    assert entries[key]["samples"]
    same = project.run("-rA")
    same.assert_outcomes(passed=1)
    project.write(PLAIN, breaks=20)
    worse = project.run()
    worse.assert_outcomes(failed=1)
    assert "FAIL: accuracy = 0.910, baseline 0.930: -0.020, no drop allowed" in said(worse)
    assert "20 of 1,000 decisions changed: 0 fixes, 20 breaks" in said(worse)
    project.write(PLAIN, breaks=20, margin=0.05)
    project.run().assert_outcomes(passed=1)


def test_an_unchanged_model_changes_no_byte(project: Project) -> None:
    project.write(PLAIN)
    project.record()
    beside = project.file.with_suffix(".npz")
    before = project.file.read_bytes(), beside.read_bytes()
    project.record()
    assert before == (project.file.read_bytes(), beside.read_bytes())
    assert len(beside.read_bytes()) < 3000


def test_a_drop_is_taken_over_by_recording_it(project: Project) -> None:
    project.write(PLAIN)
    project.record()
    project.write(PLAIN, breaks=20)
    project.record()
    project.run().assert_outcomes(passed=1)


def test_recording_is_an_act_of_the_command_line(project: Project) -> None:
    project.write(PLAIN)
    project.pytester.makeini("[pytest]\nmodelgate_update_baseline = true")
    project.run().assert_outcomes(failed=1)
    assert not project.file.exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threshold": 0.4}, "threshold"),
        ({"labels": ("mail", "spam")}, "labels"),
    ],
)
def test_a_baseline_that_measured_something_else(project: Project, changes: dict[str, Any], why: str) -> None:
    project.write(PLAIN)
    project.record()
    project.write(PLAIN, **changes)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "the baseline measured something else" in said(result)
    assert why in said(result)
    assert UPDATE in said(result)


def test_other_samples_are_not_compared(project: Project) -> None:
    project.write(PLAIN)
    project.record()
    source = (project.pytester.path / "test_model.py").read_text("utf-8")
    (project.pytester.path / "test_model.py").write_text(source.replace("FIRST, BREAKS", "_, BREAKS") + "\nFIRST = 5\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "the baseline measured something else" in said(result)


def test_evidence_without_ids_cannot_be_recorded(project: Project) -> None:
    project.write("""
    def test_accuracy(modelgate_baseline):
        assert_no_regression(evaluation(ids=False), modelgate_baseline, "accuracy")
    """)
    result = project.run(UPDATE)
    result.assert_outcomes(failed=1)
    assert "this evaluation has no ids" in said(result)


MANY = """
    @pytest.mark.parametrize("k", range(40))
    def test_one(modelgate_baseline, k):
        assert_no_regression(evaluation(fixes=k), modelgate_baseline, "accuracy", margin=0.01)
"""


def test_forty_tests_on_four_workers_are_forty_entries(project: Project) -> None:
    project.write(MANY)
    arguments = ("-p", "no:cacheprovider", "-n", "4", UPDATE)
    assert project.pytester.runpytest_subprocess(*arguments).ret == 0
    assert len(project.entries()) == 40
    spread = project.file.read_bytes().split(b'"entries"')[1], project.file.with_suffix(".npz").read_bytes()
    project.file.unlink()
    project.file.with_suffix(".npz").unlink()
    project.record()
    assert spread == (project.file.read_bytes().split(b'"entries"')[1], project.file.with_suffix(".npz").read_bytes())
    assert project.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2").ret == 0


BARS = """
    def test_recall():
        assert_recall_at_least(evaluation(), {bar})
"""


def test_a_lowered_bar_is_seen(project: Project) -> None:
    project.write(BARS, bar=0.9)
    project.record()
    project.write(BARS, bar=0.85)
    result = project.run("--modelgate-report")
    assert result.ret == 0
    line = "recall of spam: bar lowered from 0.9 to 0.85 (test_model.py::test_recall)"
    assert line in said(result)
    assert [bar["lowered"] for bar in project.report()["baseline"]["bars"]] == [True]
    for name in ("report.md", "report.html"):
        page = (project.pytester.path / "modelgate-report" / name).read_text("utf-8")
        assert "recall of spam: bar lowered from 0.9 to 0.85" in page
    failed = project.run("--modelgate-fail-on-lowered-bar")
    assert failed.ret == 1
    assert "1 bar asks less than the baseline's" in said(failed)
    assert project.report()["answer"] == "failed"
    project.write(BARS, bar=0.92)
    raised = project.run("--modelgate-fail-on-lowered-bar")
    assert raised.ret == 0
    assert "bar raised from 0.9 to 0.92" in said(raised)


def test_a_verdict_that_is_gone_is_reported_and_strictly_a_failure(project: Project) -> None:
    two = "\n    def test_other():\n        assert_recall_at_least(evaluation(), 0.8, label='ham')\n"
    project.write(BARS, two)
    assert len(project.record()) == 2
    project.write(BARS)
    result = project.run("--modelgate-report")
    assert result.ret == 0
    assert "missing: recall[ham] >= 0.8 (test_model.py::test_other)" in said(result)
    strict = project.run("--modelgate-strict-baseline")
    assert strict.ret == 1
    assert "1 verdict of the baseline is missing" in said(strict)
    project.write(BARS, two)
    chosen = project.run("--modelgate-report", "-k", "recall")
    assert chosen.ret == 0
    assert "missing" not in said(chosen)
    assert "1 verdict of tests that did not run" in said(chosen)
    assert project.run("--modelgate-strict-baseline").ret == 0


def test_a_partial_run_leaves_the_other_entries(project: Project) -> None:
    two = "\n    def test_other():\n        assert_recall_at_least(evaluation(), 0.8, label='ham')\n"
    project.write(BARS, two)
    project.record()
    project.write(BARS, two, bar=0.91)
    assert set(project.record("-k", "test_recall")) == {
        "test_model.py::test_other recall[ham] >= 0.8",
        "test_model.py::test_recall recall[spam] >= 0.91",
    }
    project.write(BARS)
    assert list(project.record()) == ["test_model.py::test_recall recall[spam] >= 0.9"]


def test_what_fails_its_own_bar_is_not_recorded(project: Project) -> None:
    project.write(PLAIN, BARS)
    before = project.record()
    project.write(PLAIN, BARS, breaks=100)
    result = project.run(UPDATE)
    assert result.ret == 1
    assert "not recorded: recall[spam] >= 0.9: it is red" in said(result)
    assert "the same evaluation is red at recall[spam]" in said(result)
    assert project.entries() == before


def test_a_missing_baseline_is_a_usage_error_where_it_is_strict(project: Project) -> None:
    project.write(BARS)
    for option in ("--modelgate-strict-baseline", "--modelgate-fail-on-lowered-bar"):
        result = project.run(option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert f"{option}: there is no baseline modelgate-baseline.json" in result.stderr.str()


BROKEN = {
    "a merge conflict": lambda text: text.replace(' "entries"', '<<<<<<< HEAD\n "entries"'),
    "cut off": lambda text: text[: len(text) // 2],
    "newer": lambda text: text.replace('"schema": 1', '"schema": 99'),
    "not JSON": lambda text: "accuracy = 0.93",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_baseline_is_one_clear_error(project: Project, kind: str) -> None:
    project.write(PLAIN)
    project.record()
    broken = BROKEN[kind](project.file.read_text("utf-8"))
    project.file.write_text(broken, "utf-8")
    in_the_test = project.run()
    in_the_test.assert_outcomes(failed=1)
    assert "modelgate-baseline.json" in said(in_the_test)
    assert "pytest_modelgate/baselines" not in said(in_the_test)
    before = project.run(UPDATE)
    assert before.ret == pytest.ExitCode.USAGE_ERROR
    assert "modelgate-baseline.json" in before.stderr.str()
    assert project.file.read_text("utf-8") == broken


def test_a_shared_fixture_compares_with_nothing(project: Project) -> None:
    project.write("""
    @pytest.fixture(scope="module")
    def compared(modelgate_baseline):
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy")

    def test_it(compared):
        pass
    """)
    result = project.run(UPDATE)
    result.assert_outcomes(errors=1)
    assert "a baseline's entry belongs to one test" in said(result)


SLICED = """
    def test_regions(modelgate_baseline):
        assert_recall_at_least(evaluation(), 0.6, by_slice="region")

    def test_regress(modelgate_baseline):
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy", margin=0.02, by_slice="region")

    def test_north(modelgate_baseline):
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy", margin=0.02, slice="region=north")
"""


def test_slices_are_compared_and_do_not_vanish(project: Project) -> None:
    project.write(SLICED, regions=["east", "north", "south", "west"])
    assert len(project.record()) == 3
    project.run().assert_outcomes(passed=3)
    project.write(SLICED, regions=["east", "north", "south", "west"], breaks=180)
    worse = project.run("-k", "regress or north")
    worse.assert_outcomes(failed=1, passed=1, deselected=1)
    assert "region=east" in said(worse)
    project.write(SLICED, regions=["north", "south"])
    gone = project.run("-k", "regions")
    gone.assert_outcomes(failed=1, deselected=2)
    assert "'region=east', 'region=west' vanished since the baseline" in said(gone)


def test_a_gap_notices_that_a_slice_vanished(project: Project) -> None:
    gap = """
    from pytest_modelgate import assert_gap_at_most

    def test_gap():
        assert_gap_at_most(evaluation(), "recall", by="region", at_most=0.5)
    """
    project.write(gap, regions=["east", "north", "south", "west"])
    project.record()
    project.write(gap, regions=["east", "north", "south", "south"])
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "'region=west' vanished since the baseline modelgate-baseline.json: gap(recall[spam] by region)" in said(
        result
    )


def test_a_larger_min_support_is_a_lowered_bar(project: Project) -> None:
    test = """
    def test_regress(modelgate_baseline):
        assert_no_regression(
            evaluation(), modelgate_baseline, "recall", margin=0.05, by_slice="region", min_support=MIN_SUPPORT
        )
    """
    project.write(test.replace("MIN_SUPPORT", "100"), regions=["north", "north", "north", "south"])
    project.record()
    project.write(test.replace("MIN_SUPPORT", "200"), regions=["north", "north", "north", "south"])
    result = project.run("--modelgate-fail-on-lowered-bar")
    assert result.ret == 1
    assert "no_regression(recall[spam]) by region: region=south is judged no more" in said(result)


GATES = """
    predictions: {{file: preds.csv, target: target, score: score, id: id, labels: [ham, spam], threshold: 0.5}}
    gates:
      recall: {{label: spam, at_least: {bar}}}
      precision: {{label: spam, at_least: 0.80}}
      no_regression: {{metric: f1, margin: 0.01}}
"""


def test_gates_of_files_that_did_not_get_to_run_keep_their_entries(project: Project) -> None:
    rows = [f"{i},{i % 2},{0.9 if (i % 2) ^ (i < 10) else 0.1}" for i in range(200)]
    (project.pytester.path / "preds.csv").write_text("\n".join(["id,target,score", *rows]), "utf-8")
    gates = project.pytester.path / "spam.modelgate.yaml"
    gates.write_text(textwrap.dedent(GATES).format(bar=0.8), "utf-8")
    before = project.record()
    assert len(before) == 3
    gates.write_text(textwrap.dedent(GATES).format(bar=0.99), "utf-8")
    assert project.run(UPDATE, "-x").ret != 0
    assert project.entries() == before


def test_tests_that_a_plugin_leaves_out_on_workers_keep_their_entries(project: Project) -> None:
    grouped = """
    @pytest.mark.xdist_group("one")
    def test_grouped(modelgate_baseline):
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy")
    """
    project.write(PLAIN, grouped)
    before = project.record()
    assert len(before) == 2
    project.pytester.makeconftest("""
    def pytest_collection_modifyitems(config, items):
        config.hook.pytest_deselected(items=items[:1])
        del items[:1]
    """)
    arguments = ("-p", "no:cacheprovider", "-n", "1", "--dist", "loadgroup", UPDATE)
    result = project.pytester.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=1)  # whose id has the name of its group here
    assert project.entries() == before


def test_a_test_that_runs_again_counts_as_it_ran_last(project: Project) -> None:
    again = """
    def test_flaky(modelgate_baseline, times=[]):
        times.append(1)
        assert_no_regression(evaluation(), modelgate_baseline, "accuracy")
        assert_recall_at_least(evaluation(breaks=0 if len(times) > 1 else 300), {bar})
    """
    project.write(again)
    project.pytester.makeconftest("""
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if any(report.failed for report in reports):
            item._initrequest()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        return True
    """)
    entries = project.record()
    assert list(entries) == [
        "test_model.py::test_flaky no_regression(accuracy, margin=0)",
        "test_model.py::test_flaky recall[spam] >= 0.9",
    ]
    assert [row["passed"] for row in project.report()["verdicts"]] == [True, True]
    assert all("number" not in entry for entry in entries.values())
    assert entries["test_model.py::test_flaky no_regression(accuracy, margin=0)"]["samples"]


def test_a_baseline_that_cannot_be_written_is_a_sentence_in_the_report(project: Project) -> None:
    project.write(PLAIN)
    (project.pytester.path / "taken").write_text("a file, and no folder")
    result = project.run(UPDATE, "--modelgate-baseline=taken/baseline.json")
    assert result.ret == 1
    assert "cannot write the baseline to" in said(result)
    assert "Traceback" not in said(result) + result.stderr.str()
    assert project.report()["answer"] == "failed"
    assert "cannot write the baseline to" in project.report()["headline"]


def test_a_baseline_is_not_named_as_its_samples(project: Project) -> None:
    project.write(PLAIN)
    result = project.run(UPDATE, "--modelgate-baseline=pinned.npz")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "'pinned.npz' is the name of its samples: give one such as baseline.json" in result.stderr.str()


def test_a_run_without_a_gate_records_nothing(project: Project) -> None:
    project.write(BARS)
    assert project.run(UPDATE, "nowhere.py").ret == pytest.ExitCode.USAGE_ERROR
    assert not project.file.exists()
    before = project.record()
    result = project.run(UPDATE, "-k", "nothing")
    assert result.ret != 0
    assert "nothing was recorded, since no gate was judged" in said(result)
    assert project.entries() == before


def test_another_file(project: Project) -> None:
    project.write(PLAIN)
    project.pytester.makeini("[pytest]\nmodelgate_baseline = gates/pinned.json")
    assert project.run(UPDATE).ret == 0
    assert (Path(project.pytester.path) / "gates" / "pinned.json").exists()
    project.run().assert_outcomes(passed=1)
