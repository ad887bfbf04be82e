"""The report of a run: what is in it, in which order, and what is left of it when the run ends early."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

GOOD = "mg.ConfusionMatrix([[45, 5], [1, 99]], labels=('ok', 'fraud'))"
HEAD = f"""
import pytest
import pytest_modelgate as mg

GOOD = {GOOD}
RARE = mg.ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
"""
FILES = ["report.html", "report.json", "report.md"]


def write(pytester: pytest.Pytester, body: str, **more: str) -> None:
    pytester.makepyfile(**{"test_it": HEAD + dedent(body)} | {name: HEAD + dedent(text) for name, text in more.items()})


def read(folder: str = "modelgate-report") -> dict[str, Any]:
    """The report of the last run, as strict JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    return json.loads((Path(folder) / "report.json").read_text("utf-8"), parse_constant=refuse)


def gates(report: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    return [(v["test"].partition("::")[2], v["gate"], v["outcome"], v["expected"]) for v in report["verdicts"]]


def nothing_left(folder: str = "modelgate-report") -> None:
    """No journal, no temporary file."""
    names = sorted(path.name for path in Path(folder).iterdir() if path.name != ".gitignore")
    assert names == FILES


def test_a_run_that_passes(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    result = pytester.runpytest("--modelgate-report")
    assert result.ret == 0
    report = read()
    assert set(report) == {
        "schema", "answer", "headline", "why_incomplete", "tests", "verdicts", "evaluations", "histories", "audits",
        "mutation", "baseline", "provenance",
    }  # fmt: skip
    assert (report["schema"], report["answer"], report["why_incomplete"]) == (1, "passed", None)
    assert report["tests"] | {"xfailed": 0, "xpassed": 0} == {
        "collected": 1, "passed": 1, "failed": 0, "error": 0, "skipped": 0, "xfailed": 0, "xpassed": 0, "not_run": 0,
    }  # fmt: skip
    (verdict,) = report["verdicts"]
    assert verdict["test"] == "test_it.py::test_a"
    expected = {
        "gate": "recall[fraud] >= 0.9", "metric": "recall", "label": "fraud", "slice": None, "outcome": "PASS",
        "passed": True, "estimate": 0.99, "bar": 0.9, "direction": "at_least", "support": 100, "hits": 99,
        "confidence": 0.95, "test_outcome": "passed", "expected": False, "count": 1,
    }  # fmt: skip
    assert {key: verdict[key] for key in expected} == expected
    (evaluation,) = report["evaluations"]
    assert evaluation["key"] == verdict["evidence"]
    assert (evaluation["kind"], evaluation["counts"]) == ("confusion_matrix", [[45, 5], [1, 99]])
    assert evaluation["tests"] == ["test_it.py::test_a"]
    about = report["provenance"]
    assert (about["seed"], about["device"], about["pytest"]) == (0, "auto", pytest.__version__)
    result.stdout.fnmatch_lines(
        ["*modelgate*", "Passed: *", "*test_a*recall*fraud*0.9*0.990*PASS*", "written to modelgate-report: *"]
    )
    nothing_left()


def test_no_report_unless_it_is_asked_for(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    result = pytester.runpytest()
    assert "modelgate " not in result.stdout.str().replace("modelgate-", "")
    assert not Path("modelgate-report").exists()


def test_collect_only_writes_nothing(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    pytester.runpytest("--modelgate-report", "--collect-only")
    assert not Path("modelgate-report").exists()


def test_other_commands_write_nothing(pytester: pytest.Pytester) -> None:
    for option in ("--help", "--fixtures", "--markers", "--version"):
        pytester.runpytest("--modelgate-report", option)
    assert not Path("modelgate-report").exists()


def test_collect_only_leaves_an_older_report(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    pytester.runpytest("--modelgate-report")
    pytester.runpytest("--modelgate-report", "--collect-only")
    assert read()["answer"] == "passed"


ORDERED = """
    def test_a():
        mg.assert_recall_at_least(GOOD, 0.9)
        mg.assert_precision_at_least(GOOD, 0.9)

    @pytest.mark.parametrize("bar", [0.5, 0.4, 0.9])
    def test_b(bar):
        mg.assert_recall_at_least(RARE, bar, label="ok")

    class TestC:
        def test_d(self):
            mg.assert_recall_at_least(RARE, 0.9)

    def test_e():
        with pytest.raises(mg.GateFailure):
            mg.assert_beats_majority_class(RARE)
"""


def test_everything_is_recorded_in_the_order_of_collection(pytester: pytest.Pytester) -> None:
    write(pytester, ORDERED, test_another="def test_z():\n    mg.assert_f1_at_least(GOOD, 0.9)\n")
    pytester.runpytest("--modelgate-report", "-p", "no:randomly")
    assert gates(read()) == [
        ("test_z", "f1[fraud] >= 0.9", "PASS", False),
        ("test_a", "recall[fraud] >= 0.9", "PASS", False),
        ("test_a", "precision[fraud] >= 0.9", "PASS", False),
        ("test_b[0.5]", "recall[ok] >= 0.5", "PASS", False),
        ("test_b[0.4]", "recall[ok] >= 0.4", "PASS", False),
        ("test_b[0.9]", "recall[ok] >= 0.9", "PASS", False),
        ("TestC::test_d", "recall[fraud] >= 0.9", "FAIL", False),
        ("test_e", "beats_majority_class", "INCONCLUSIVE", True),
    ]
    assert [len(evaluation["tests"]) for evaluation in read()["evaluations"]] == [2, 5]


KINDS = """
import numpy as np

def evaluated(seed):
    random = np.random.default_rng(seed)
    target = np.arange(200) % 4 == 0
    preds = np.where(random.random(200) < 0.85, target, ~target).astype(int)
    return mg.Evaluation.from_predictions(
        target=target.astype(int), preds=preds, outputs="labels", labels=("ok", "fraud"), ids=range(200))

def test_baseline():
    mg.assert_no_regression(evaluated(0), evaluated(1), "recall", margin=0.01)

def test_seeds():
    mg.assert_over_seeds([evaluated(seed) for seed in range(3)], mg.Gate("recall", at_least=0.5))

def test_classes():
    mg.assert_every_class_recall_at_least(evaluated(0), 0.5)

def test_unsure():
    mg.assert_recall_at_least(evaluated(0), 0.8, if_unsure="warn")

def test_own():
    share = mg.custom_metric(lambda table: 3 * table[1, 1] - 100, name="a <gain> | of mine")
    mg.assert_metric(evaluated(0), share, at_least=-100)
"""


@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_every_kind_of_verdict_reaches_every_report(pytester: pytest.Pytester, options: list[str]) -> None:
    if options:
        pytest.importorskip("xdist")
    write(pytester, KINDS)
    result = pytester.runpytest_subprocess(
        "--modelgate-report", "-p", "no:cacheprovider", "-W", "ignore::pytest_modelgate.ModelgateWarning", *options
    )
    result.assert_outcomes(passed=5)
    rows = {v["test"].partition("::")[2]: v for v in read()["verdicts"]}
    assert read()["schema"] == 1
    assert rows["test_baseline"]["details"]["of"] == 200
    assert [name.partition(" ")[0] for name in rows["test_seeds"]["details"]] == ["seed"] * 3
    assert rows["test_classes"]["family"] == "Holm over 2 classes"
    assert rows["test_unsure"]["outcome"] == "INCONCLUSIVE"
    assert any("80% of cases" in line for line in rows["test_unsure"]["settle"])
    assert rows["test_classes"]["settle"] == []

    markdown = Path("modelgate-report/report.md").read_text("utf-8")
    html = Path("modelgate-report/report.html").read_text("utf-8")
    for text in (markdown, html):
        assert "corrected for 2 classes (Holm)" in text
        assert "seeds: 0." in text
        assert " of 200 decisions changed: " in text
        assert "80% of cases" in text
        assert "<gain>" not in text.replace("`a <gain>", "")
    result.stdout.fnmatch_lines(["(differences: centred on 0)  (others: scaled to their numbers)"])


def test_a_run_that_fails(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(RARE, 0.9)\n")
    result = pytester.runpytest("--modelgate-report")
    report = read()
    assert report["answer"] == "failed"
    assert report["headline"].startswith("Failed: 1 of 1 gate")
    assert (report["verdicts"][0]["test_outcome"], report["verdicts"][0]["expected"]) == ("failed", False)
    result.stdout.fnmatch_lines(["Failed: *", "*FAIL*"])


def test_a_red_that_the_test_expected(pytester: pytest.Pytester) -> None:
    body = """
    def test_raises():
        with pytest.raises(mg.GateFailure):
            mg.assert_recall_at_least(RARE, 0.9)

    @pytest.mark.xfail
    def test_xfail():
        mg.assert_recall_at_least(RARE, 0.8)
    """
    write(pytester, body)
    result = pytester.runpytest("--modelgate-report")
    result.assert_outcomes(passed=1, xfailed=1)
    report = read()
    assert report["answer"] == "passed"
    assert [v["expected"] for v in report["verdicts"]] == [True, True]
    assert [v["passed"] for v in report["verdicts"]] == [False, False]
    assert [v["test_outcome"] for v in report["verdicts"]] == ["passed", "xfailed"]
    result.stdout.fnmatch_lines(["*(expected)*", "*(expected)*"])


def test_a_red_that_was_swallowed_before_the_test_failed_otherwise(pytester: pytest.Pytester) -> None:
    body = """
    def test_a():
        with pytest.raises(mg.GateFailure):
            mg.assert_recall_at_least(RARE, 0.9)
        raise RuntimeError
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report")
    assert read()["answer"] == "failed"
    assert read()["verdicts"][0]["expected"] is False


@pytest.mark.parametrize(
    ("body", "answer", "counts"),
    [
        ("def test_a(): pass", "passed", {"passed": 1}),
        ("def test_a(): assert False", "failed", {"failed": 1}),
        ("@pytest.fixture\ndef f(): 1/0\ndef test_a(f): pass", "failed", {"error": 1}),
        ("@pytest.fixture\ndef f():\n    yield\n    1/0\ndef test_a(f): pass", "failed", {"error": 1}),
        ("@pytest.mark.skip\ndef test_a(): pass", "passed", {"skipped": 1}),
        ("def test_a(): pytest.skip()", "passed", {"skipped": 1}),
        ("def test_a(): pytest.xfail()", "passed", {"xfailed": 1}),
        ("@pytest.mark.xfail\ndef test_a(): pass", "passed", {"xpassed": 1}),
        ("@pytest.mark.xfail(strict=True)\ndef test_a(): pass", "failed", {"failed": 1}),
        ("", "passed", {}),
    ],
)
def test_the_answer_follows_the_tests(
    pytester: pytest.Pytester, body: str, answer: str, counts: dict[str, int]
) -> None:
    pytester.makepyfile(test_it=HEAD + body)
    pytester.runpytest("--modelgate-report")
    report = read()
    assert report["answer"] == answer
    assert {k: v for k, v in report["tests"].items() if v and k != "collected"} == counts
    assert report["verdicts"] == []


def test_an_evaluation_and_a_training_in_the_report(pytester: pytest.Pytester) -> None:
    body = """
    import torch
    from torch import nn

    X = torch.linspace(-1, 1, 80)[:, None]
    Y = (X[:, 0] > 0.1).long()

    def test_a(train_model, evaluate_model):
        trained = train_model(
            lambda: nn.Linear(1, 1), (X, Y), validation_data=(X, Y), loss=nn.BCEWithLogitsLoss(),
            optimizer=lambda p: torch.optim.Adam(p, lr=0.2), epochs=3)
        found = evaluate_model(trained, (X, Y), labels=("low", "high"))
        mg.assert_loss_at_most(found, 5)
        mg.assert_roc_auc_at_least(found.at_threshold(0.3), 0.9)
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report", "--modelgate-seed=7", "--modelgate-device=cpu").assert_outcomes(passed=1)
    report = read()
    (history,) = report["histories"]
    assert (history["loss"], history["model"], history["seed"], history["device"]) == (
        "binary_cross_entropy_with_logits", "Linear", 7, "cpu",
    )  # fmt: skip
    assert [set(row) for row in history["epochs"]] == [{"epoch", "train_loss", "val_loss"}] * 3
    whole, derived = report["evaluations"]
    assert (whole["model"], whole["task"], whole["n"], whole["labels"]) == ("Linear", "binary", 80, ["low", "high"])
    assert whole["loss"]["name"] == "binary_cross_entropy_with_logits"
    assert (whole["derivation"], derived["derivation"]) == ([], ["at_threshold(0.3)"])
    assert (whole["threshold"], derived["threshold"]) == (0.5, 0.3)
    assert [verdict["evidence"] for verdict in report["verdicts"]] == [whole["key"], derived["key"]]


def test_numbers_that_are_not_finite_are_words(pytester: pytest.Pytester) -> None:
    body = """
    import torch
    from torch import nn

    def test_a(evaluate_model):
        data = torch.tensor([0.5, 0.1]), torch.tensor([float("nan"), 1])
        found = evaluate_model(nn.Identity(), data, loss="mse_loss")
        mg.assert_loss_at_most(found, 1e9)

    def test_b(train_model):
        def fit(model, run):
            run.history.log(epoch=1, train_loss=float("nan"), val_loss=float("inf"))
            run.history.log(epoch=2, train_loss=-float("inf"))
        train_model(lambda: nn.Linear(1, 1), None, fit=fit)
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report").assert_outcomes(failed=1, passed=1)
    report = read()
    assert report["evaluations"][0]["loss"] == {"name": "mse_loss", "mean": "nan"}
    assert report["histories"][0]["epochs"] == [
        {"epoch": 1, "train_loss": "nan", "val_loss": "inf"},
        {"epoch": 2, "train_loss": "-inf"},
    ]
    assert report["verdicts"][0]["passed"] is False


def test_names_of_any_kind(pytester: pytest.Pytester) -> None:
    """In labels and in test ids."""
    body = """
    ODD = mg.ConfusionMatrix([[9, 1], [1, 9]], labels=("día <b>&|`", "雪\\n"))

    @pytest.mark.parametrize("name", ["ü", "a|b", "<i>", "\\udcff"])
    def test_a(name):
        mg.assert_recall_at_least(ODD, 0.5)
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    report = read()
    assert report["answer"] == "passed"
    assert [v["label"] for v in report["verdicts"]] == ["雪\n"] * 4
    html = Path("modelgate-report/report.html").read_text("utf-8")
    assert "día <b>" not in html


STOPPED = """
    def test_a():
        mg.assert_recall_at_least(GOOD, 0.9)

    def test_b():
        {stop}

    def test_c():
        mg.assert_recall_at_least(GOOD, 0.5)
"""

SWALLOW = "with pytest.raises(mg.GateFailure):\n            mg.assert_recall_at_least(RARE, 0.9)"


@pytest.mark.parametrize(
    ("stop", "options", "why"),
    [
        ("mg.assert_recall_at_least(RARE, 0.9)", ("-x",), "stopping after 1 failures"),
        ("mg.assert_recall_at_least(RARE, 0.9)", ("--maxfail=1",), "stopping after 1 failures"),
        (SWALLOW + "\n        raise KeyboardInterrupt", (), "interrupted"),
        ("raise KeyboardInterrupt", (), "interrupted"),
        ("pytest.exit('enough')", (), ""),
        ("raise SystemExit(3)", ("-x",), "stopping after 1 failures"),
    ],
)
def test_a_run_that_ends_early_writes_what_it_has(
    pytester: pytest.Pytester, stop: str, options: tuple[str, ...], why: str
) -> None:
    write(pytester, STOPPED.format(stop=stop))
    result = pytester.runpytest("--modelgate-report", *options, no_reraise_ctrlc=True)
    assert result.ret != 0
    report = read()
    assert report["answer"] == "incomplete"
    assert report["headline"].startswith("Incomplete")
    assert why in report["why_incomplete"]
    assert report["tests"]["not_run"] >= 1
    first = report["verdicts"][0]
    assert (first["gate"], first["test_outcome"], first["passed"]) == ("recall[fraud] >= 0.9", "passed", True)
    assert len(report["verdicts"]) == 1 + ("RARE" in stop)
    if "RARE" in stop:
        assert report["verdicts"][1]["expected"] is False
        assert report["verdicts"][1]["test_outcome"] == ("not finished" if "Keyboard" in stop else "failed")
    assert sorted(p.name for p in Path("modelgate-report").glob("report.*")) == FILES
    nothing_left()


def test_a_file_that_cannot_be_collected(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n", test_broken="import nothing_like_this")
    pytester.runpytest("--modelgate-report")
    assert (read()["answer"], read()["verdicts"]) == ("incomplete", [])
    assert "could not be collected" in read()["why_incomplete"]
    pytester.runpytest("--modelgate-report", "--continue-on-collection-errors")
    assert (read()["answer"], len(read()["verdicts"])) == ("incomplete", 1)


def test_a_path_that_is_not_there_never_reads_as_passed(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    pytester.runpytest("--modelgate-report")
    assert read()["answer"] == "passed"
    pytester.runpytest("--modelgate-report", "nowhere.py")
    assert not Path("modelgate-report/report.json").exists() or read()["answer"] != "passed"


def test_a_stale_report_is_gone_while_the_run_goes_on(pytester: pytest.Pytester) -> None:
    body = """
    from pathlib import Path

    def test_a():
        assert not list(Path("modelgate-report").glob("report.*"))
        mg.assert_recall_at_least(GOOD, 0.9)
    """
    write(pytester, body)
    for _ in range(2):
        pytester.runpytest("--modelgate-report").assert_outcomes(passed=1)
    nothing_left()


def test_files_of_others_in_the_folder_stay(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine", "utf-8")
    pytester.runpytest("--modelgate-report", "--modelgate-report-dir=out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["mine.txt", *FILES]


def test_a_new_folder_keeps_itself_out_of_the_repository(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    pytester.runpytest("--modelgate-report")
    assert Path("modelgate-report/.gitignore").read_text("utf-8").strip() == "*"


@pytest.mark.parametrize(
    "options",
    [
        ("-q",),
        ("-qq",),
        ("-v",),
        ("-p", "no:terminal"),
        ("-p", "no:junitxml"),
        ("-p", "no:cacheprovider"),
        ("-p", "no:xdist"),
        ("-p", "no:hypothesispytest"),
        ("-p", "no:warnings"),
        ("-p", "no:logging"),
        ("-p", "no:faulthandler"),
        ("--capture=no",),
        ("--color=yes",),
        ("-o", "console_output_style=classic"),
    ],
    ids=" ".join,
)
def test_with_other_options_of_pytest(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    result = pytester.runpytest("--modelgate-report", *options)
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert gates(read()) == [("test_a", "recall[fraud] >= 0.9", "PASS", False)]


@pytest.mark.parametrize("passes", [True, False])
def test_a_report_that_cannot_be_written(pytester: pytest.Pytester, passes: bool) -> None:
    """A file stands where the folder should be (root may write into any folder): said in a line, and red."""
    write(pytester, f"def test_a():\n    mg.assert_recall_at_least(GOOD, {0.9 if passes else 0.999})\n")
    Path("taken").write_text("a file", "utf-8")
    result = pytester.runpytest("--modelgate-report", "--modelgate-report-dir=taken")
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "Traceback" not in text
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR)
    assert "taken" in text
    assert "--modelgate-report-dir" in text
    assert Path("taken").read_text("utf-8") == "a file"
    if result.ret == pytest.ExitCode.TESTS_FAILED:
        # The gate itself is judged by what it says, not by the disk.
        result.assert_outcomes(passed=int(passes), failed=int(not passes))


def test_a_folder_that_cannot_be_written_to(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who is not root: every attempt to make something there is refused."""
    import os
    import tempfile

    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    folder = pytester.mkdir("sealed")
    real_mkdir, real_mkstemp = os.mkdir, tempfile.mkstemp

    def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
        if str(path).startswith(str(folder)) and str(path) != str(folder):
            raise PermissionError(13, "Permission denied", str(path))
        real_mkdir(path, *args, **kwargs)

    def mkstemp(*args: Any, **kwargs: Any) -> Any:
        if str(kwargs.get("dir", "")).startswith(str(folder)):
            raise PermissionError(13, "Permission denied", str(kwargs["dir"]))
        return real_mkstemp(*args, **kwargs)

    monkeypatch.setattr(os, "mkdir", mkdir)
    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    result = pytester.runpytest("--modelgate-report", f"--modelgate-report-dir={folder}")
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "Traceback" not in text
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR)
    assert "--modelgate-report-dir" in text
    if result.ret == pytest.ExitCode.TESTS_FAILED:
        result.assert_outcomes(passed=1)


def test_a_test_that_changes_the_working_directory(pytester: pytest.Pytester) -> None:
    body = """
    def test_a(tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        mg.assert_recall_at_least(GOOD, 0.9)
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report")
    assert len(read()["verdicts"]) == 1


def test_two_runs_give_the_same_bytes_but_for_times(pytester: pytest.Pytester) -> None:
    write(pytester, ORDERED)
    texts = []
    for _ in range(2):
        pytester.runpytest("--modelgate-report")
        report = read()
        del report["provenance"]["created"], report["provenance"]["duration_seconds"]
        texts.append(json.dumps(report))
    assert texts[0] == texts[1]


FIXTURES = """
@pytest.fixture
def red():
    mg.assert_recall_at_least(RARE, 0.9)

@pytest.fixture(scope="session")
def shared():
    mg.assert_recall_at_least(GOOD, 0.9)
    yield
    mg.assert_recall_at_least(GOOD, 0.8)

# Two workers take two tests each: both make the shared fixture.
@pytest.mark.xfail
def test_a(red): pass

def test_b(shared): pass

def test_c(red): pass

def test_d(shared): pass
"""


@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_a_fixture_of_one_test_is_judged_for_each(pytester: pytest.Pytester, options: list[str]) -> None:
    write(pytester, FIXTURES)
    pytester.runpytest_subprocess("--modelgate-report", "-p", "no:cacheprovider", *options)
    report = read()
    assert gates(report) == [
        ("test_a", "recall[fraud] >= 0.9", "FAIL", True),
        ("test_b", "recall[fraud] >= 0.9", "PASS", False),
        ("test_c", "recall[fraud] >= 0.9", "FAIL", False),
        ("test_d", "recall[fraud] >= 0.8", "PASS", False),
    ]
    assert report["headline"].startswith("Failed: 1 of 4 gates is red")


def test_an_error_in_teardown_is_not_the_last_word_over_a_failure(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.fixture
    def breaks():
        yield
        raise ValueError

    def test_a(breaks):
        mg.assert_recall_at_least(RARE, 0.9)
    """
    write(pytester, body)
    pytester.runpytest("--modelgate-report")
    assert read()["verdicts"][0]["test_outcome"] == "failed"


def test_a_run_that_failed_without_a_failed_test(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n")
    pytester.makeconftest("def pytest_runtest_teardown(item):\n    item.session.testsfailed += 1\n")
    assert pytester.runpytest("--modelgate-report").ret == pytest.ExitCode.TESTS_FAILED
    assert read()["answer"] == "failed"
