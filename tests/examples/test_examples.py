"""The examples run, and show what their walkthrough says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WALKTHROUGH = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
FILES = sorted(path.name for path in (ROOT / "examples").glob("test_*.py"))
GATE_FILES = sorted(path.name for path in (ROOT / "examples").glob("*.modelgate.yaml"))
WRITTEN = dict(re.findall(r"<!-- file (\S+) -->\n```yaml\n(.*?)```", WALKTHROUGH, re.DOTALL))
SHOWN = re.findall(r"<!-- output of (\S+) -->\n```text\n(.*?)```", WALKTHROUGH, re.DOTALL)


@dataclass(frozen=True)
class Finished:
    """A run of the examples: what it printed, and its report."""

    output: str
    report: dict[str, Any]

    def verdicts(self, file: str) -> list[dict[str, Any]]:
        return [verdict for verdict in self.report["verdicts"] if f"{file}::" in verdict["test"]]


def run_examples(folder: Path, models: Path, *arguments: str, file: str = "", root: Path = ROOT) -> Finished:
    """Run them with a report in one folder and trained models in another."""
    command = [sys.executable, "-m", "pytest", f"examples/{file}", "-rP", "-p", "no:cacheprovider"]
    command.append("--modelgate-report")
    finished = subprocess.run(
        [*command, f"--modelgate-report-dir={folder}", f"--modelgate-cache-dir={models}", *arguments],
        cwd=root,
        env=os.environ | {"COLUMNS": "160", "PYTHONIOENCODING": "utf-8", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return Finished(finished.stdout, json.loads((folder / "report.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Finished:
    return run_examples(tmp_path_factory.mktemp("report"), models)


def test_the_run_passes_and_says_so(run: Finished) -> None:
    assert run.report["answer"] == "passed"
    assert run.report["headline"] in " ".join(run.output.split())
    assert run.report["tests"]["passed"] == run.report["tests"]["collected"] > 40


def test_red_verdicts_are_those_that_were_expected(run: Finished) -> None:
    for verdict in run.report["verdicts"]:
        assert verdict["passed"] != verdict["expected"], verdict["explanation"]
        assert verdict["test_outcome"] == "passed"


@pytest.mark.parametrize("file", [*FILES, *GATE_FILES])
def test_the_walkthrough_links_each_file(file: str) -> None:
    assert f"[{file}]({file})" in WALKTHROUGH
    assert file in TWINS or any(file == shown for shown, _ in SHOWN)


def test_the_walkthrough_counts_the_files() -> None:
    first = " ".join(WALKTHROUGH.split("\n\n")[1].split())
    assert first.startswith("Eleven files of tests ")
    assert ", and nine gate files." in first
    assert (len(FILES), len(GATE_FILES)) == (11, 9)


@pytest.mark.parametrize("file", sorted(WRITTEN.keys() & set(GATE_FILES)))
def test_the_walkthrough_shows_gate_files_as_they_are(file: str) -> None:
    assert WRITTEN[file] == (ROOT / "examples" / file).read_text(encoding="utf-8")


# Gate files, and the tests of their twins whose verdicts a file cannot hold.
TWINS = {
    "digits.modelgate.yaml": (),
    "evidence.modelgate.yaml": (
        "test_the_pipeline_learns_nothing_from_shuffled_labels",
        "test_a_leak_is_found",
        "test_a_detached_layer_is_found",
    ),
    "forest.modelgate.yaml": (),
    "own_loop.modelgate.yaml": (),
    "progression.modelgate.yaml": (),
    "rare_class.modelgate.yaml": ("test_at_one_half",),
    "training.modelgate.yaml": ("test_no_seed_overfits", "test_a_memorising_training", "test_a_diverging_training"),
    "tumour.modelgate.yaml": (),
}


def by_gate(verdicts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each verdict says, by its gate."""
    told = ("estimate", "lower", "upper", "support", "hits", "confidence", "outcome", "passed", "method")
    found = {verdict["gate"]: {key: verdict[key] for key in told} for verdict in verdicts}
    assert len(found) == len(verdicts) > 0
    return found


@pytest.mark.parametrize("file", TWINS)
def test_a_gate_file_gives_the_verdicts_of_its_twin(run: Finished, file: str) -> None:
    original = f"test_{file.removesuffix('.modelgate.yaml')}.py"
    others = [one for one in run.verdicts(original) if one["test"].partition("::")[2] not in TWINS[file]]
    assert {one["test"].partition("::")[2] for one in run.verdicts(original)} >= set(TWINS[file])
    assert by_gate(run.verdicts(file)) == by_gate(others)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, models: Path) -> tuple[Finished, Finished]:
    """Runs of the gate files that the walkthrough shows and the repository does not hold, in a copy of the examples.

    The first saves a model, gates it, and records the last version; the second gates a new version.
    """
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "examples", root / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n", encoding="utf-8")
    (root / "examples" / "test_ship.py").write_text(SHIP, encoding="utf-8")
    for file in set(WRITTEN) - set(GATE_FILES):
        (root / "examples" / file).write_text(WRITTEN[file], encoding="utf-8")
    saved, new = (f"examples/{name}.modelgate.yaml" for name in ("saved_model", "new_version"))
    update = "--modelgate-update-baseline"
    first = run_examples(root / "first", models, saved, new, update, file="test_ship.py", root=root)
    (root / new).write_text(WRITTEN[Path(new).name].replace(":linear", ":deeper"), encoding="utf-8")
    return first, run_examples(root / "second", models, file=Path(new).name, root=root)


SHIP = """
from safetensors.torch import save_file

from examples.test_saved_model import data, trained


def test_ship(trained):
    save_file(trained.model.state_dict(), "examples/model.safetensors")
"""


def test_a_saved_model_in_a_gate_file(run: Finished, shipped: tuple[Finished, Finished]) -> None:
    originals = [one for one in run.verdicts("test_saved_model.py") if "[model.safetensors]" in one["test"]]
    assert by_gate(shipped[0].verdicts("saved_model.modelgate.yaml")) == by_gate(originals)


def test_a_new_version_in_a_gate_file(run: Finished, shipped: tuple[Finished, Finished]) -> None:
    originals = [one for one in run.verdicts("test_new_version.py") if one["test"].endswith("::test_a_better_version")]
    assert by_gate(shipped[1].verdicts("new_version.modelgate.yaml")) == by_gate(originals)
    ((_, shown),) = re.findall(r"<!-- compared (\S+) -->\n```text\n(.*?)```", WALKTHROUGH, re.DOTALL)
    printed = shipped[1].output.splitlines()
    assert all(any(alike(line, other) for other in printed) for line in shown.splitlines())


def test_the_predictions_are_those_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((file, script),) = re.findall(r"<!-- made (\S+) -->\n```python\n(.*?)```", WALKTHROUGH, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "README.md", "exec"), {})
    made, held = (
        list(DictReader(path.read_text(encoding="utf-8").splitlines()))
        for path in (tmp_path / file, ROOT / "examples" / file)
    )
    scores = [[float(row.pop("score")) for row in rows] for rows in (made, held)]
    assert made == held
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_outcomes(run: Finished) -> None:
    proved = {
        "test_tumour.py": {"recall[malignant] >= 0.85", "recall[benign] >= 0.85", "beats_majority_class"},
        "test_digits.py": {"accuracy >= 0.85", "every_class_recall >= 0.8", "top_k_accuracy(k=3) >= 0.97"},
        "test_rare_class.py": {"precision[eight] >= 0.75", "recall[eight] >= 0.5", "beats_majority_class"},
        "test_saved_model.py": {"recall[malignant] >= 0.85"},
        "test_own_loop.py": {"every_class_recall >= 0.75"},
        "test_forest.py": {"accuracy >= 0.9", "every_class_recall >= 0.8", "log_loss <= 0.5"},
        "predictions.modelgate.yaml": {"gap(accuracy by size) <= 0.1", "recall[malignant] >= 0.7 by size"},
        "test_evidence.py": {"no_leakage(duplicates, near duplicates)", "check_model"},
    }
    for file, gates in proved.items():
        assert gates <= {verdict["gate"] for verdict in run.verdicts(file) if verdict["outcome"] == "PASS"}, file
    assert {verdict["outcome"] for verdict in run.verdicts("test_failures.py")} == {
        "FAIL",
        "INCONCLUSIVE",
        "UNDEFINED",
    }


def test_a_saved_model_is_judged_alike(run: Finished) -> None:
    by_file: dict[str, list[Any]] = {}
    for verdict in run.verdicts("test_saved_model.py"):
        kind = verdict["test"].partition("[")[2]
        by_file.setdefault(kind, []).append([verdict[key] for key in ("gate", "estimate", "outcome", "evidence")])
    assert len(by_file) == 2
    first, second = by_file.values()
    assert first == second


def test_a_threshold_trades_recall_for_precision(run: Finished) -> None:
    precision = [v["estimate"] for v in run.verdicts("test_rare_class.py") if v["metric"] == "precision"]
    recall = [v["estimate"] for v in run.verdicts("test_rare_class.py") if v["metric"] == "recall"]
    assert precision[0] + 0.1 < precision[1]
    assert recall[0] > recall[1] + 0.1
    derived = [evaluation["derivation"] for evaluation in run.report["evaluations"] if evaluation["derivation"]]
    assert len(derived) == 1
    assert derived[0][0].startswith("at_threshold(0.")


def test_the_own_loop_is_in_the_report(run: Finished) -> None:
    (history,) = [each for each in run.report["histories"] if "own_loop" in each["tests"][0]]
    assert (history["model"], history["loss"], history["device"]) == ("DigitNet", "cross_entropy", "cpu")
    assert list(history["epochs"][0]) == ["epoch", "train_loss", "val_loss", "val_recall", "learning_rate"]
    assert history["epochs"][0]["val_loss"] > history["epochs"][-1]["val_loss"]


@pytest.mark.parametrize(("file", "shown"), SHOWN)
def test_the_walkthrough_shows_what_is_printed(run: Finished, file: str, shown: str) -> None:
    """Every line of the walkthrough is printed, in this order, but for numbers that differ a little."""
    printed = iter(run.output.splitlines())
    for line in filter(None, map(str.strip, shown.splitlines())):
        # The headline of a single file is not printed by the run of all.
        if line != "..." and not line.startswith("Passed:"):
            assert any(alike(line, other) for other in printed), line


def alike(shown: str, printed: str) -> bool:
    """The same text, with `...` for anything, numbers within 0.05 or a tenth, and any strip of a gate."""
    number = r"(?<![\w.])-?\d+(?:[.,]\d+)*"
    pattern = re.escape(re.sub(number, "0", words(shown))).replace(re.escape("..."), ".*")
    if not re.fullmatch(pattern, re.sub(number, "0", words(printed))):
        return False
    if "..." in shown:
        return True
    pairs = zip(re.findall(number, words(shown)), re.findall(number, words(printed)), strict=True)
    values = [(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs]
    return all(abs(a - b) <= max(0.05, abs(a) / 10) for a, b in values)


def words(line: str) -> str:
    """One space between words, and each strip or bar of `#` as one mark, whatever it shows."""
    line = re.sub(r"[·━●│]{8,}|#+$", "~", line)
    return " ".join(line.replace("\N{HORIZONTAL ELLIPSIS}", "...").split())


def test_alike() -> None:
    assert alike("a 0.95  ··●·│··━━  PASS", "a  0.97 ···━━━━●━━ PASS")
    assert alike("1,000 of ...", "  1,000 of some")
    assert not alike("a 0.95 PASS", "a 0.85 PASS")
    assert not alike("a 0.95 PASS", "a 0.95 FAIL")


def test_two_workers_give_the_same_report(run: Finished, tmp_path: Path) -> None:
    again = run_examples(tmp_path / "report", tmp_path / "models", "-n", "2").report
    assert {**again, "provenance": None} == {**run.report, "provenance": None}
    assert again["provenance"].keys() == run.report["provenance"].keys()


def test_a_second_run_trains_nothing_and_judges_alike(run: Finished, models: Path, tmp_path: Path) -> None:
    assert {history["training"]["state"] for history in run.report["histories"]} == {"trained"}
    assert not any(verdict["cached"] for verdict in run.report["verdicts"])
    again = run_examples(tmp_path / "report", models).report
    assert {history["training"]["state"] for history in again["histories"]} == {"cached"}
    on_models = [verdict["cached"] for verdict in again["verdicts"] if verdict["cached"]]
    assert len(on_models) > 30
    for part, ours in (("verdicts", "cached"), ("histories", "training"), ("evaluations", "training")):
        assert [row | {ours: None} for row in again[part]] == [row | {ours: None} for row in run.report[part]]


MUTATION = re.findall(r"<!-- mutation of (\S+) -->\n```text\n(.*?)```", WALKTHROUGH, re.DOTALL)
TABLE = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- mutation:start -->\n")[1].split("<!-- mutation")[0]


@pytest.fixture(scope="module")
def mutated(run: Finished, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The digits once more, with their twins; `run` has trained the model."""
    folder = tmp_path_factory.mktemp("mutated")
    return run_examples(folder, models, "--modelgate-mutate", "--modelgate-mutate-min=0.5", file="test_digits.py")


def test_the_walkthrough_shows_what_the_gates_notice(mutated: Finished) -> None:
    ((_, shown),) = MUTATION
    printed = [" ".join(line.split()) for line in mutated.output.splitlines()]
    for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        assert any(alike(line, other) for other in printed), line


def test_accuracy_lets_faults_through_that_per_class_recall_catches(mutated: Finished) -> None:
    (model,) = mutated.report["mutation"]["models"]
    accuracy, recall = (
        next(column for column, gate in enumerate(model["gates"]) if gate["gate"] == name)
        for name in ("accuracy >= 0.85", "every_class_recall >= 0.8")
    )
    merged = [fault["cells"] for fault in model["faults"] if fault["kind"] == "class merged"]
    assert len(merged) == 10
    assert all(cells[recall]["caught"] and not cells[accuracy]["caught"] for cells in merged)


def test_the_table_of_the_readme(mutated: Finished) -> None:
    """Its counts of what each gate caught, by kind of fault, but for faults near a bar."""
    (model,) = mutated.report["mutation"]["models"]
    columns = [
        next(column for column, gate in enumerate(model["gates"]) if f"`{gate['gate']}`" == name.strip())
        for name in TABLE.splitlines()[0].split("|")[3:5]
    ]
    told = {}
    for line in TABLE.splitlines()[2:]:
        name, changed, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        told[name] = changed, cells
    firm = {
        "weights of a layer zeroed (3)": "zeroed",
        "weights of a layer re-initialised (3)": "re-initialised",
        "two digits swapped (3)": "classes swapped",
        "one digit answered as the next (10)": "class merged",
        "always the most frequent digit": "majority class",
        "the channel shuffled among samples": "feature shuffled",
        "dropout left on": "dropout left on",
    }
    for name, kind in firm.items():
        faults = [fault for fault in model["faults"] if fault["kind"] == kind]
        for cell, column in zip(told[name][1], columns, strict=True):
            caught = sum(fault["cells"][column]["caught"] for fault in faults)
            assert cell.startswith(f"{caught} of {len(faults)} ("), (name, cell)
    shown = sum(int(found[1]) if (found := re.search(r"\((\d+)\)$", name)) else 1 for name in told)
    assert shown == len(model["faults"])


def test_the_three_curves(run: Finished) -> None:
    kinds = {
        history["model"]: history["diagnosis"]["kind"]
        for history in run.report["histories"]
        if any("test_training.py" in test for test in history["tests"])
    }
    assert kinds == {"Convolutions": "healthy", "Wide": "memorising", "Linear": "diverging"}
