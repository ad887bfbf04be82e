"""Gate files as a new user has them: a model, its data, bars in a file, and pytest."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

MODEL = """
import torch
from torch import nn

class FraudNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x):
        return self.layer(x)

def nothing():
    pass

def told(*_):
    with open("passes.txt", "a") as passes:
        passes.write("forward ")

def fixed():
    with open("calls.txt", "a") as calls:
        calls.write("model ")
    net = FraudNet()
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[0.0], [4.0]]))
        net.layer.bias.zero_()
    net.register_forward_hook(told)
    return net
"""
DATA = """
import torch

def _pair():
    x = torch.linspace(-1, 1, 400)[:, None]
    y = (x[:, 0] > 0).long()
    y[::40] = 1 - y[::40]
    return x, y

def load_test():
    with open("calls.txt", "a") as calls:
        calls.write("data ")
    return _pair()

def load_train():
    x, y = _pair()
    return x + 0.001, y

def load_validation():
    x, y = _pair()
    return x + 0.002, y

def with_columns():
    x, y = _pair()
    region = ["north" if n % 2 else "south" for n in range(len(y))]
    return {"inputs": x, "targets": y, "ids": list(range(len(y))), "slices": {"region": region}}
"""
GATES = """\
model: {factory: "fraud.model:fixed"}
data: {test: "fraud.data:load_test"}
loss: cross_entropy
labels: [ok, fraud]
gates:
  recall: {label: fraud, at_least: 0.90}
  precision: {label: fraud, at_least: 0.40}
  loss: {at_most: 0.30}
  beats_majority_class: true
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A package `fraud` with a model and data."""
    pytester.makepyfile(**{"fraud/__init__": "", "fraud/model": MODEL, "fraud/data": DATA})


def gate_file(text: str = GATES, name: str = "fraud") -> Path:
    path = Path(f"{name}.modelgate.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def calls() -> list[str]:
    return Path("calls.txt").read_text("utf-8").split()


def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    return found


def test_each_gate_is_a_test_of_its_own(pytester: pytest.Pytester) -> None:
    gate_file()
    result = pytester.runpytest("-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "fraud.modelgate.yaml::recall[[]fraud[]] >= 0.90 PASSED*",
            "fraud.modelgate.yaml::precision[[]fraud[]] >= 0.40 PASSED*",
            "fraud.modelgate.yaml::loss <= 0.30 PASSED*",
            "fraud.modelgate.yaml::beats_majority_class PASSED*",
        ]
    )
    assert sorted(calls()) == ["data", "model"]


def test_files_that_name_the_same_share_one_evaluation(pytester: pytest.Pytester) -> None:
    gate_file()
    pytester.runpytest("-k", "recall").assert_outcomes(passed=1, deselected=3)
    once = Path("passes.txt").read_text("utf-8")
    for name in ("calls.txt", "passes.txt"):
        Path(name).unlink()
    gate_file(GATES.replace("0.90", "0.91"), name="second")
    gate_file(GATES.replace("loss: cross", "threshold: 0.5\nloss: cross"), name="third")
    pytester.runpytest().assert_outcomes(passed=12)
    assert sorted(calls()) == ["data", "model"]
    assert Path("passes.txt").read_text("utf-8") == 2 * once  # the third file has a setting of its own


def test_files_with_other_settings_share_the_model_alone(pytester: pytest.Pytester) -> None:
    gate_file()
    gate_file(GATES.replace("loss: cross", "threshold: 0.9\nloss: cross"), name="second")
    pytester.runpytest("--modelgate-report", "-k", "precision").assert_outcomes(passed=2, deselected=6)
    assert sorted(one["threshold"] for one in report()["evaluations"]) == [0.5, 0.9]
    assert sorted(calls()) == ["data", "model"]


def test_a_red_gate_is_one_sentence_with_file_and_line(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("recall: {label: fraud, at_least: 0.90}", "recall: {label: fraud, at_least: 0.995}"))
    result = pytester.runpytest("--no-header")
    result.assert_outcomes(passed=3, failed=1)
    shown = result.outlines
    start = next(number for number, line in enumerate(shown) if line.startswith("____"))
    assert shown[start].strip("_ ") == "fraud.modelgate.yaml:6: recall[fraud] >= 0.995"
    assert shown[start + 1].startswith("FAIL: recall of 'fraud' = 0.975")
    assert "fraud.modelgate.yaml:6: GateFailure" in shown
    assert not [line for line in shown if ".py" in line]
    summary = [line for line in shown if line.startswith("FAILED")]
    assert len(summary) == 1
    assert summary[0].startswith("FAILED fraud.modelgate.yaml::recall[fraud] >= 0.995 - FAIL: recall of 'fraud'")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("style", ["short", "native"])
def test_no_style_of_tracebacks_shows_this_package(pytester: pytest.Pytester, style: str) -> None:
    gate_file(GATES.replace("0.90", "0.995"))
    result = pytester.runpytest(f"--tb={style}")
    result.assert_outcomes(passed=3, failed=1)
    assert not [line for line in result.outlines if "running.py" in line or "settle.py" in line]


def test_keywords_choose(pytester: pytest.Pytester) -> None:
    gate_file()
    result = pytester.runpytest("-k", "recall or precision")
    result.assert_outcomes(passed=2, deselected=2)
    result = pytester.runpytest("fraud.modelgate.yaml::recall[fraud] >= 0.90")
    result.assert_outcomes(passed=1)


def test_the_last_failed_run_again(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.995"))
    pytester.runpytest().assert_outcomes(passed=3, failed=1)
    result = pytester.runpytest("--lf")
    result.assert_outcomes(failed=1)
    assert any("run-last-failure: rerun previous 1 failure" in line for line in result.outlines)


def test_the_first_failure_ends_the_run(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.995"))
    result = pytester.runpytest("-x", "-q")
    result.assert_outcomes(failed=1)
    assert any("stopping after 1 failures" in line for line in result.outlines)


def test_collecting_imports_nothing_of_the_project(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("fraud.model:fixed", "not.there:net"))
    result = pytester.runpytest("--collect-only", "-q")
    assert result.ret == 0
    assert result.outlines[:4] == [
        "fraud.modelgate.yaml::recall[fraud] >= 0.90",
        "fraud.modelgate.yaml::precision[fraud] >= 0.40",
        "fraud.modelgate.yaml::loss <= 0.30",
        "fraud.modelgate.yaml::beats_majority_class",
    ]
    assert not Path("calls.txt").exists()


def test_equal_gates_are_numbered(pytester: pytest.Pytester) -> None:
    gate_file(
        GATES.replace(
            "recall: {label: fraud, at_least: 0.90}",
            "recall: [{label: fraud, at_least: 0.5}, {label: fraud, at_least: 0.5, confidence: 0.99}]",
        )
    )
    found = {item.name: item.baseline_key for item in pytester.inline_genitems()[0]}  # type: ignore[attr-defined]
    assert len(found) == 5
    assert [name for name in found if name.startswith("recall")] == ["recall[fraud] >= 0.5", "recall[fraud] >= 0.5 #2"]
    assert list(found.values())[:3] == [
        "fraud.modelgate.yaml::recall[fraud]",
        "fraud.modelgate.yaml::recall[fraud] #2",
        "fraud.modelgate.yaml::precision[fraud]",
    ]


def test_the_key_of_a_baseline_stays_when_a_bar_moves(pytester: pytest.Pytester) -> None:
    gate_file()
    before = [item.baseline_key for item in pytester.inline_genitems()[0]]  # type: ignore[attr-defined]
    gate_file(GATES.replace("0.90", "0.85"))
    assert [item.baseline_key for item in pytester.inline_genitems()[0]] == before  # type: ignore[attr-defined]


def test_junit_names_gate_file_and_line(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.995"))
    pytester.runpytest("--junitxml=out.xml", "-o", "junit_family=xunit1")
    cases = ElementTree.parse("out.xml").getroot().findall(".//testcase")
    red = cases[0]
    assert (red.get("name"), red.get("file"), red.get("line")) == (
        "recall[fraud] >= 0.995",
        "fraud.modelgate.yaml",
        "5",
    )
    failure = red.find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("FAIL: recall of 'fraud' = 0.975")
    properties = {one.get("name"): one.get("value") for one in red.findall(".//property")}
    assert properties["modelgate.recall[fraud] >= 0.995.outcome"] == "FAIL"


def test_the_report_has_the_gates_under_their_tests(pytester: pytest.Pytester) -> None:
    gate_file()
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    found = report()
    assert [row["test"] for row in found["verdicts"]] == [
        "fraud.modelgate.yaml::recall[fraud] >= 0.90",
        "fraud.modelgate.yaml::precision[fraud] >= 0.40",
        "fraud.modelgate.yaml::loss <= 0.30",
        "fraud.modelgate.yaml::beats_majority_class",
    ]
    assert len(found["evaluations"]) == 1
    assert found["evaluations"][0]["n"] == 400


def test_options_count_and_a_warning_points_at_the_gate(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.96"))
    result = pytester.runpytest("--modelgate-if-unsure=warn", "-k", "recall", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    assert any("fraud.modelgate.yaml:6: ModelgateWarning" in line for line in result.outlines)
    pytester.runpytest("--modelgate-if-unsure=fail", "-k", "recall").assert_outcomes(failed=1, deselected=3)
    result = pytester.runpytest("--modelgate-if-unsure=warn", "-k", "recall", "-W", "error")
    result.assert_outcomes(failed=1, deselected=3)
    assert "fraud.modelgate.yaml:6: ModelgateWarning" in result.outlines
    assert not [line for line in result.outlines if ".py:" in line]


def test_markers_from_a_conftest_count(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.96"))
    pytester.makeconftest(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.modelgate(if_unsure='fail'))\n"
    )
    pytester.runpytest("-k", "recall").assert_outcomes(failed=1, deselected=3)


def test_a_gate_expected_to_fail(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("0.90", "0.995"))
    pytester.makeconftest(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    items[0].add_marker(pytest.mark.xfail(reason='known'))\n"
    )
    pytester.runpytest().assert_outcomes(passed=3, xfailed=1)


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("recall:", "recal:", 6, "did you mean 'recall'?"),
        ("label: fraud, at_least: 0.90", "label: frod, at_least: 0.90", 6, "did you mean 'fraud'?"),
        ("loss: cross_entropy", "los: cross_entropy", 3, "did you mean 'loss'?"),
    ],
)
def test_a_typo_breaks_the_collection_with_one_line(
    pytester: pytest.Pytester, before: str, after: str, line: int, words: str
) -> None:
    gate_file(GATES.replace(before, after, 1))
    gate_file(name="sound")
    result = pytester.runpytest("--no-header")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    told = [each for each in result.outlines if each.startswith(f"fraud.modelgate.yaml:{line}: ")]
    assert len(told) == 1
    assert words in told[0]
    assert not [each for each in result.outlines if ".py" in each or "Traceback" in each]
    result.assert_outcomes(errors=1)


@pytest.mark.parametrize("name", ["fraud.modelgate.yml", "fraud.modelgate.YAML", "modelgate.yaml"])
def test_another_ending_is_no_silent_gate_file(pytester: pytest.Pytester, name: str) -> None:
    Path(name).write_text(GATES, encoding="utf-8")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert any("ends in .modelgate.yaml; rename it" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "fraud.model:fixed",
            "fraud.model:fixt",
            "fraud.modelgate.yaml:1: *fraud.model has no 'fixt'; did you mean 'fi",
        ),
        ("fraud.model:fixed", "os:getcwd", "fraud.modelgate.yaml:1: *'os' is Python's standard library"),
        ("fraud.data:load_test", "fraud.dato:load", "fraud.modelgate.yaml:2: *no module 'dato' in fraud; did you mean"),
        (
            "fraud.model:fixed",
            "torch.nn:Linear",
            "fraud.modelgate.yaml:1: torch.nn:Linear needs in_features, out_features, and",
        ),
        (
            "fraud.data:load_test",
            "torch:manual_seed",
            "fraud.modelgate.yaml:2: torch:manual_seed needs seed, and a gate file gives no",
        ),
        ("fraud.model:fixed", "fraud.model:nothing", "fraud.modelgate.yaml:1: fraud.model:nothing returned nothing; "),
        ("cross_entropy", "cross_entrpy", "fraud.modelgate.yaml:3: loss 'cross_entrpy'*did you mean 'cross_entropy'"),
    ],
)
def test_what_cannot_be_found_is_one_sentence(pytester: pytest.Pytester, before: str, after: str, words: str) -> None:
    gate_file(GATES.replace(before, after))
    result = pytester.runpytest("--no-header")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines([words + "*"])
    assert not [each for each in result.outlines if ".py:" in each]


def test_a_crash_in_the_factory_shows_the_users_code_alone(pytester: pytest.Pytester) -> None:
    Path("fraud/model.py").write_text(
        MODEL.replace(
            "    net = FraudNet()", '    return helper()\n\ndef helper():\n    raise OSError("no weights here")'
        ),
        encoding="utf-8",
    )
    gate_file()
    result = pytester.runpytest("--no-header")
    result.assert_outcomes(failed=4)
    assert calls() == ["model"]
    places = [line for line in result.outlines if ".py:" in line]
    assert places
    assert all(line.startswith(f"fraud{os.sep}model.py:") for line in places)
    assert any(line.startswith("E ") and "OSError: no weights here" in line for line in result.outlines)
    assert not [line for line in result.outlines if "pytest_modelgate" in line]


def test_code_that_python_cannot_read_is_shown_without_the_frames_of_those_who_import_it(
    pytester: pytest.Pytester,
) -> None:
    Path("fraud/model.py").write_text("def fixed(:\n", encoding="utf-8")
    gate_file()
    result = pytester.runpytest("--no-header", "-k", "recall")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(['*model.py", line 1', "SyntaxError: *", "fraud.modelgate.yaml:6: SyntaxError"])
    assert not [line for line in result.outlines if ".py:" in line or "importlib" in line]


def test_a_crash_inside_torch_ends_at_the_users_model(pytester: pytest.Pytester) -> None:
    Path("fraud/model.py").write_text(
        MODEL.replace("nn.Linear(1, 2)", "nn.Linear(3, 2)").replace(
            "net.layer.weight.copy_(torch.tensor([[0.0], [4.0]]))", "pass"
        ),
        encoding="utf-8",
    )
    gate_file()
    result = pytester.runpytest("--no-header", "-k", "recall")
    result.assert_outcomes(failed=1, deselected=3)
    places = [line for line in result.outlines if ".py:" in line]
    assert [line.partition(":")[0] for line in places] == [f"fraud{os.sep}model.py"]
    assert any("mat1 and mat2" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "returned nothing; let it return a pair (inputs, targets)"),
        ("return iter([_pair()])", "gives a list_iterator, which is empty after one pass"),
        ("return {'inputs': 1, 'target': 2}", "a dict with 'target'; it may hold * did you mean 'targets'?"),
        ("return {'inputs': 1}", "a dict without 'targets'; it needs inputs and targets"),
    ],
)
def test_data_that_are_none(pytester: pytest.Pytester, body: str, words: str) -> None:
    Path("fraud/data.py").write_text(DATA.replace("return _pair()\n\ndef load_train", f"{body}\n\ndef load_train"))
    gate_file()
    result = pytester.runpytest("--no-header", "-k", "recall")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines([f"fraud.modelgate.yaml:2: *{words}*"])


def test_a_checkpoint_fills_the_model(pytester: pytest.Pytester) -> None:
    import torch

    torch.save({"layer.weight": torch.tensor([[0.0], [4.0]]), "layer.bias": torch.zeros(2)}, "fraud.pt")
    gate_file(GATES.replace('"fraud.model:fixed"', '"fraud.model:FraudNet", checkpoint: fraud.pt'))
    pytester.runpytest().assert_outcomes(passed=4)
    Path("fraud.pt").unlink()
    result = pytester.runpytest("-k", "recall")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["fraud.modelgate.yaml:1: *fraud.pt does not exist*"])


TRAINED = """\
train:
  factory: fraud.model:FraudNet
  optimizer: {name: adam, lr: 0.1}
  epochs: 12
  batch_size: 64
data: {train: "fraud.data:load_train", validation: "fraud.data:load_validation", test: "fraud.data:load_test"}
loss: cross_entropy
gates:
  accuracy: {at_least: 0.8}
  loss_decreases: true
  training_stable: true
  deterministic: true
"""


def test_a_model_is_trained_once_and_kept(pytester: pytest.Pytester) -> None:
    gate_file(TRAINED)
    gate_file(TRAINED, name="second")
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=8)
    found = report()
    assert len(found["histories"]) == 1
    assert [one["training"]["state"] for one in found["evaluations"]] == ["trained"]
    pytester.runpytest("--modelgate-report", "-k", "accuracy").assert_outcomes(passed=2, deselected=6)
    assert [one["training"]["state"] for one in report()["evaluations"]] == ["cached"]


LOOP = """
import torch

def fit(model, run):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    x, y = run.train_data
    for epoch in range(1, 13):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.history.log(epoch=epoch, train_loss=loss.item())
"""


def test_a_loop_of_ones_own(pytester: pytest.Pytester) -> None:
    Path("fraud/loop.py").write_text(LOOP, encoding="utf-8")
    own = TRAINED.replace("optimizer: {name: adam, lr: 0.1}\n  epochs: 12\n  batch_size: 64", "fit: fraud.loop:fit")
    gate_file(own)
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    (history,) = report()["histories"]
    assert [list(epoch) for epoch in history["epochs"]] == [["epoch", "train_loss"]] * 12
    pytester.runpytest("--modelgate-report", "-k", "accuracy").assert_outcomes(passed=1, deselected=3)
    assert [one["training"]["state"] for one in report()["evaluations"]] == ["cached"]
    gate_file(own.replace("loop:fit", "loop:fti"))
    result = pytester.runpytest("-k", "accuracy")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["fraud.modelgate.yaml:1: *has no 'fti'; did you mean 'fit'?*"])


def test_the_loss_of_a_training_is_judged_with_its_class_weights(pytester: pytest.Pytester) -> None:
    weighted = TRAINED.replace("epochs: 12", "epochs: 12\n  class_weights: [1, 3]")
    gate_file(weighted.replace("accuracy: {at_least: 0.8}", "loss: {at_most: 2}"))
    pytester.runpytest("--modelgate-report", "-k", "loss and not decreases").assert_outcomes(passed=1, deselected=3)
    found = report()
    assert found["evaluations"][0]["loss"]["name"] == found["histories"][0]["loss"] != "cross_entropy"


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ("{name: adm, lr: 0.1}", "torch.optim has no optimizer 'adm'; did you mean 'adam'?"),
        ("{name: adam, lrr: 0.1}", "the optimizer adam does not take lrr=0.1: *"),
        ("{name: adam, lr: -1}", "the optimizer adam does not take lr=-1: *"),
        ('{name: adam, lr: "0.1"}', "the optimizer adam does not take lr='0.1': *"),
    ],
)
def test_an_optimizer_that_torch_refuses(pytester: pytest.Pytester, optimizer: str, words: str) -> None:
    gate_file(TRAINED.replace("{name: adam, lr: 0.1}", optimizer))
    result = pytester.runpytest("-k", "accuracy", "--no-header")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines([f"fraud.modelgate.yaml:1: {words}"])
    assert not [line for line in result.outlines if ".py:" in line]


def test_gates_on_data(pytester: pytest.Pytester) -> None:
    gate_file(
        'data: {train: "fraud.data:load_train", test: "fraud.data:load_test"}\n'
        "gates:\n  no_leakage: true\n  same_distribution: true\n"
    )
    pytester.runpytest().assert_outcomes(passed=2)
    gate_file('data: {train: "fraud.data:_pair", test: "fraud.data:load_test"}\ngates: {no_leakage: true}\n')
    pytester.runpytest().assert_outcomes(failed=1)


def test_the_gap_between_training_and_test_data(pytester: pytest.Pytester) -> None:
    text = GATES.partition("gates:")[0].replace("load_test", 'load_test", train: "fraud.data:load_train')
    gate_file(text + "gates:\n  generalization_gap_at_most: {metric: accuracy, gap: 0.05}\n")
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_model_that_is_no_module(pytester: pytest.Pytester) -> None:
    Path("fraud/model.py").write_text("def fixed():\n    return lambda inputs: inputs[:, 0] * 4\n", encoding="utf-8")
    gate_file(GATES.replace("loss: cross_entropy", "outputs: logits").replace("  loss: {at_most: 0.30}\n", ""))
    pytester.runpytest().assert_outcomes(passed=3)


def test_faulted_twins_are_judged_by_the_gates_too(pytester: pytest.Pytester) -> None:
    gate_file()
    pytester.runpytest("--modelgate-mutate").assert_outcomes(passed=4)
    assert [one["model"] for one in report()["mutation"]["models"]] == ["FraudNet"]
    assert report()["mutation"]["caught"] > 5


def test_a_factory_draws_the_same_weights_in_every_run(pytester: pytest.Pytester) -> None:
    gate_file(GATES.replace("fraud.model:fixed", "fraud.model:FraudNet"))
    estimates = []
    for _ in range(2):
        pytester.runpytest("--modelgate-report", "-k", "loss")
        estimates.append(report()["verdicts"][0]["estimate"])
    assert estimates[0] == estimates[1]


def test_a_made_model_is_no_factory(pytester: pytest.Pytester) -> None:
    with Path("fraud/model.py").open("a", encoding="utf-8") as file:
        file.write("\nNET = FraudNet()\n")
    gate_file(GATES.replace("fraud.model:fixed", "fraud.model:NET"))
    result = pytester.runpytest("-k", "recall")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["fraud.modelgate.yaml:1: *is a made model; name the class*fraud.model:FraudNet"])


def test_a_loss_of_the_project(pytester: pytest.Pytester) -> None:
    with Path("fraud/model.py").open("a", encoding="utf-8") as file:
        file.write("\ndef twice(outputs, targets):\n    return 2 * nn.functional.cross_entropy(outputs, targets)\n")
    loose = GATES.replace("at_most: 0.30", "at_most: 0.60")
    gate_file(loose.replace("loss: cross_entropy", 'loss: "fraud.model:twice"\noutputs: logits'))
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    gate_file(loose)
    ours = report()["verdicts"][2]["estimate"]
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    assert ours == pytest.approx(2 * report()["verdicts"][2]["estimate"])


def test_errors_of_shared_parts_name_each_file(pytester: pytest.Pytester) -> None:
    broken = GATES.replace("fraud.model:fixed", "fraud.model:fixt")
    gate_file(broken)
    gate_file("# a comment\n" + broken, name="second")
    result = pytester.runpytest("-k", "recall")
    result.assert_outcomes(failed=2, deselected=6)
    result.stdout.fnmatch_lines(["fraud.modelgate.yaml:1: *has no 'fixt'*", "second.modelgate.yaml:2: *has no 'fixt'*"])


def test_gates_that_change_the_model_leave_it_as_it_was(pytester: pytest.Pytester) -> None:
    gate_file(GATES + "  all_parameters_train: true\n  no_batch_mixing: true\n")
    pytester.runpytest().assert_outcomes(passed=6)
    assert sorted(calls()) == ["data", "model"]
