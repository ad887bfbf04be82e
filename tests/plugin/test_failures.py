"""What a failed gate prints: one sentence, the table, the user's own line; nothing of this plugin's source."""

from __future__ import annotations

from textwrap import dedent

import pytest

MODEL = """
    import pytest
    import torch
    from torch import nn
    import pytest_modelgate as mg

    RARE = mg.ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
    X, Y = torch.tensor([[2.0], [-1.0], [3.0]]), torch.tensor([1, 0, 1])
"""

FAILURE = """\
pytest_modelgate.GateFailure: FAIL: recall of 'fraud' = 0.120 (12 of 100), required >= 0.900
  the data allow 0.071 to 0.187 (95% each way, Clopper-Pearson)
                  predicted ok   predicted fraud
  actual ok               4892                 8
  actual fraud              88                12
  accuracy is 0.981, but always answering 'ok' scores 0.980: accuracy hides this failure"""


def run(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(dedent(MODEL) + dedent(body))
    return pytester.runpytest(*options)


def shows_no_source(result: pytest.RunResult) -> None:
    """Not a line of this package: neither its paths in the traceback nor its code."""
    text = result.stdout.str() + result.stderr.str()
    for part in ("pytest_modelgate/", "__tracebackhide__", "raise GateFailure", "settle(", "INTERNALERROR"):
        assert part not in text


@pytest.mark.parametrize("style", ["--tb=auto", "--tb=long", "--tb=short"])
def test_the_failure_text(pytester: pytest.Pytester, style: str) -> None:
    result = run(pytester, "def test_recall():\n    mg.assert_recall_at_least(RARE, 0.9, label='fraud')\n", style)
    result.assert_outcomes(failed=1)
    assert dedent("\n".join(line[1:] for line in result.outlines if line.startswith("E "))) == FAILURE
    assert "mg.assert_recall_at_least(RARE, 0.9, label='fraud')" in result.stdout.str()
    shows_no_source(result)


ASSERTIONS = [
    "mg.assert_recall_at_least(RARE, 0.9)",
    "mg.assert_precision_at_least(RARE, 0.9)",
    "mg.assert_accuracy_at_least(RARE, 0.999)",
    "mg.assert_balanced_accuracy_at_least(RARE, 0.9)",
    "mg.assert_f1_at_least(RARE, 0.9)",
    "mg.assert_specificity_at_least(RARE, 0.9999)",
    "mg.assert_mcc_at_least(RARE, 0.9)",
    "mg.assert_metric(RARE, 'jaccard', at_least=0.9)",
    "mg.assert_metric(RARE, 'false_negative_rate', at_most=0.1)",
    "mg.assert_beats_majority_class(RARE)",
    "mg.assert_every_class_recall_at_least(RARE, 0.9)",
]


def test_every_assertion_ends_at_the_users_line(pytester: pytest.Pytester) -> None:
    tests = "".join(f"def test_{number}():\n    {line}\n" for number, line in enumerate(ASSERTIONS))
    result = run(pytester, tests, "--tb=short")
    result.assert_outcomes(failed=len(ASSERTIONS))
    shows_no_source(result)
    for line in ASSERTIONS:
        assert f"    {line}" in result.stdout.str()
    assert result.stdout.str().count("GateFailure") >= len(ASSERTIONS)


WRONG_USE = [
    ("mg.assert_recall_at_least(RARE, 90)", "BarError", "was 0.90 meant?"),
    ("mg.assert_recall_at_least(RARE, 0.9, label='fruad')", "MetricError", "did you mean 'fraud'?"),
    ("mg.assert_metric(RARE, 'recal', at_least=0.9)", "MetricError", "did you mean 'recall'?"),
    ("mg.assert_accuracy_at_least(RARE, 0.5)", "BarError", "vacuous"),
    ("mg.assert_beats_majority_class(0.9)", "EvidenceError", "not float"),
    ("mg.evaluate(nn.Identity(), (X, Y + 5), outputs='logits')", "EvidenceError", "target"),
    ("evaluate_model(nn.Identity(), (X, Y + 5), outputs='logits')", "EvidenceError", "target"),
    ("evaluate_model(nn.Identity(), (X, Y), outputs='logit')", "EvidenceError", "did you mean 'logits'?"),
    ("train_model(nn.Linear(1, 2), (X, Y), fit=print)", "TrainingError", "give Linear or lambda"),
    ("train_model(lambda: nn.Linear(1, 2), (X, Y))", "TrainingError", "loss=, optimizer=, epochs="),
    ("load_model('missing.pt')", "CheckpointError", "missing.pt does not exist"),
    ("mg.ConfusionMatrix([[1, 2, 3], [3, 4, 5]])", "EvidenceError", "[K, K]"),
    ("mg.Gate('recal', at_least=0.9)", "MetricError", "did you mean 'recall'?"),
    ("mg.Gate('recall', at_least=0.9, label='fruad').check(RARE)", "MetricError", "did you mean 'fraud'?"),
    ("RARE.metric('recal')", "MetricError", "did you mean 'recall'?"),
    ("mg.Evaluation.from_predictions(target=[0, 1], preds=[9, 9], outputs='probabilities')", "EvidenceError", "reach"),
    ("mg.History().log(train_loss='low')", "TrainingError", "'low' is not one number"),
]  # fmt: skip


def test_wrong_use_ends_at_the_users_line_too(pytester: pytest.Pytester) -> None:
    tests = "".join(
        f"def test_{number}(evaluate_model, train_model, load_model):\n    {line}\n"
        for number, (line, _, _) in enumerate(WRONG_USE)
    )
    result = run(pytester, tests, "--tb=short")
    result.assert_outcomes(failed=len(WRONG_USE))
    for line, error, message in WRONG_USE:
        assert f"    {line}" in result.stdout.str()
        result.stdout.fnmatch_lines([f"E*pytest_modelgate.{error}: *{message.replace('[', '[[]')}*"])
    shows_no_source(result)


def test_a_model_that_crashes_shows_the_models_lines(pytester: pytest.Pytester) -> None:
    body = """
    class Broken(nn.Module):
        def forward(self, x):
            return x / self.nothing

    def test_it(evaluate_model):
        evaluate_model(Broken(), (X, Y), outputs="logits")

    def test_the_next_one(evaluate_model):
        assert evaluate_model(nn.Identity(), (X, Y), outputs="logits").n == 3
    """
    result = run(pytester, body, "--tb=short")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*return x / self.nothing*", "*AttributeError*nothing*"])
    text = result.stdout.str()
    assert "evaluate_model(Broken(), (X, Y)" in text
    assert "pytest_modelgate/" not in text


def test_undefined_is_red_with_its_cause(pytester: pytest.Pytester) -> None:
    body = """
    NONE = mg.ConfusionMatrix([[30, 2], [0, 0]], labels=("ok", "fraud"))

    @pytest.mark.parametrize("if_unsure", ["estimate", "fail", "warn"])
    def test_it(if_unsure):
        mg.assert_recall_at_least(NONE, 0.0, if_unsure=if_unsure)
    """
    result = run(pytester, body)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        ["*GateFailure: UNDEFINED: recall of 'fraud' cannot be judged: no sample of class 'fraud' in 32"]
    )


def test_a_warning_stands_at_the_users_line(pytester: pytest.Pytester) -> None:
    """`if_unsure="warn"`: green, and said; strict projects can turn it into an error as any warning."""
    body = """
    UNSURE = mg.ConfusionMatrix([[40, 2], [5, 35]])

    def test_helper():
        mg.assert_recall_at_least(UNSURE, 0.9, if_unsure="warn")

    def test_metric():
        mg.assert_metric(UNSURE, "recall", at_least=0.9, if_unsure="warn")

    def test_every_class():
        mg.assert_every_class_recall_at_least(UNSURE, 0.9, if_unsure="warn")
    """
    result = run(pytester, body, "-W", "always")
    result.assert_outcomes(passed=3, warnings=3)
    here = "*test_a_warning_stands_at_the_users_line.py:*ModelgateWarning: INCONCLUSIVE (leans fail)*"
    result.stdout.fnmatch_lines([here] * 3)
    assert "pytest_modelgate/" not in result.stdout.str()
    result = run(pytester, body, "-W", "error::pytest_modelgate.ModelgateWarning")
    result.assert_outcomes(failed=3)


def test_the_exit_status(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it():\n    mg.assert_recall_at_least(RARE, 0.9)\n")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result = run(pytester, "def test_it():\n    assert mg.assert_recall_at_least(RARE, 0.05).passed\n")
    assert result.ret == pytest.ExitCode.OK


def test_pdb_and_show_locals_do_not_break_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it():\n    mg.assert_recall_at_least(RARE, 0.9)\n", "--showlocals", "--full-trace")
    result.assert_outcomes(failed=1)
    assert "INTERNALERROR" not in result.stdout.str()
