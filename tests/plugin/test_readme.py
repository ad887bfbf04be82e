"""The README tells the truth: its code runs, its outputs are real, its tables are those of the registries."""

from __future__ import annotations

import doctest
import importlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

# A run inside this process takes out of `sys.modules` what it brought in, and these cannot be imported twice.
import sklearn.datasets
import sklearn.ensemble
import sklearn.model_selection  # noqa: F401
import torch

import pytest_modelgate
from pytest_modelgate import plugin
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.gates.verdict import Verdict
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.metric import Metric
from pytest_modelgate.metrics.registry import METRICS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
FENCE = re.compile(r"(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


HISTORY_GATES = ("converged", "loss_decreases", "metric_improves", "no_overfitting", "training_stable")


@dataclass(frozen=True)
class Block:
    """A block of Python, the note before it, and the output that follows it, if any."""

    place: str
    note: str
    code: str
    output: str


def blocks() -> list[Block]:
    found = []
    for name, text in (("README.md", README), ("examples/README.md", EXAMPLES)):
        fences = list(FENCE.finditer(text))
        for fence, following in zip(fences, [*fences[1:], None], strict=True):
            if fence["kind"] != "python":
                continue
            place = f"{name}:{text[: fence.start('text')].count(chr(10))}"
            shown = following["text"] if following is not None and following["kind"] == "text" else ""
            found.append(Block(place, fence["note"] or "", fence["text"], shown))
    return found


BLOCKS = blocks()
MODULES = [block for block in BLOCKS if ">>>" not in block.code and not block.note.startswith("made ")]
SNIPPETS = [block for block in BLOCKS if ">>>" in block.code]


@pytest.mark.parametrize("block", MODULES, ids=lambda block: block.place)
def test_modules_run_and_print_what_is_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    name, _, options = block.note.removeprefix("runs as ").partition(" with ")
    name = name.removesuffix(".py") if "runs as" in block.note else "test_block"
    pytester.makepyfile(**{name: block.code})
    result = pytester.runpytest("-p", "no:cacheprovider", "-W", "error", "--modelgate-report", *options.split())
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"failed" if block.note == "fails" else "passed"}, result.stdout.str()
    printed = iter(result.outlines)
    for line in filter(str.strip, block.output.splitlines()):
        assert any(alike(line, other) for other in printed), line


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
def test_snippets_give_what_is_shown(block: Block) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, {}, block.place, block.place, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=told.append).failed == 0, "".join(told)


def test_the_first_screen() -> None:
    first = README.split("## ")[0]
    assert "pip install pytest-modelgate" in first
    assert f"any of {len(METRICS)}\nmetrics" in first
    assert "    python -m pip install -e '.[dev]' && pytest examples --modelgate-report\n" in first
    assert "    python -m pip install -e '.[dev]' && pytest\n" in first
    (body,) = re.findall(r"^def test_.*?(?=^```)", first, re.DOTALL | re.MULTILINE)
    assert len(body.splitlines()) <= 10


@pytest.mark.parametrize(
    "name", [*pytest_modelgate.__all__, *importlib.import_module("pytest_modelgate.strategies").__all__]
)
def test_public_names_are_told(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


def test_every_helper_has_a_row() -> None:
    helpers = {name for name in pytest_modelgate.__all__ if name.startswith("assert_")}
    assert set(re.findall(r"^\| `(assert_\w+)\(", README, re.MULTILINE)) == helpers


def test_options_and_ini_settings_are_those_that_exist(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest("--help").stdout.str()
    options = set(re.findall(r"^  (--modelgate-[a-z-]+)", help_text, re.MULTILINE))
    settings = set(re.findall(r"^  (modelgate_[a-z_]+) \(", help_text, re.MULTILINE))
    rows = re.findall(r"^\| `(--[\w-]+)(?:=\w+)?` \| `(\w+)` \|", README, re.MULTILINE)
    acts = set(re.findall(r"^\| `(--[\w-]+)` \| none \|", README, re.MULTILINE))
    assert acts == {"--modelgate-mutate", "--modelgate-update-baseline"}
    assert len(options) == len(settings) + len(acts) > 5
    assert {option for option, _ in rows} | acts == options
    assert {setting for _, setting in rows} == settings
    assert all(setting == option.removeprefix("--").replace("-", "_") for option, setting in rows)
    for text in (README, EXAMPLES):
        assert set(re.findall(r"--modelgate-[\w-]+", text)) <= options
        assert set(re.findall(r"\bmodelgate_\w+", text)) <= settings | {"modelgate_device"}


def test_fixtures_are_told() -> None:
    fixtures = {name for name in plugin.__all__ if not name.startswith("pytest_")}
    section = README.split("## Fixtures")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == fixtures


def between(name: str) -> str:
    return README.split(f"<!-- {name}:start -->\n")[1].split(f"<!-- {name}:end -->")[0]


def test_the_table_of_metrics_is_the_registry() -> None:
    head = ["| Name | Definition | Range | Takes | Bounds |", "| --- | --- | --- | --- | --- |"]
    assert between("metrics").splitlines() == head + [metric_row(metric) for metric in METRICS.values()]


def metric_row(metric: Metric) -> str:
    """A metric's row, from its entry."""
    takes = [f"`{name}`" for name in metric.parameters]
    takes += ["`label`"] if metric.of_a_class else []
    takes += [f"`average` ({', '.join(metric.averages)})"] if metric.averages else []
    ends = [f"{end:g}" if math.isfinite(end) else None for end in (metric.lowest, metric.highest)]
    span = {(None, None): "any number", ("0", None): "0 up", (None, "1"): "up to 1"}.get(
        (ends[0], ends[1]), f"{ends[0]} to {ends[1]}"
    )
    return f"| `{metric.name}` | {metric.formula} | {span} | {', '.join(takes) or 'nothing'} | {metric.bounded_by} |"


def rates(text: str) -> list[tuple[str, list[float]]]:
    """The rows of a table of error rates: what, and the mean and worst of false PASS and of false FAIL, in percent."""
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]+ \| \d+[^|]* \| ([\d.]+), ([\d.]+) \| ([\d.]+), ([\d.]+) \|$", text, re.MULTILINE
    )
    return [(what, list(map(float, found))) for what, *found in rows]


def test_the_error_rates_are_those_that_are_promised() -> None:
    """Proportions, F1 and anytime bounds at most 5%; the others near it, and named where they are not."""
    used, wrong = (rates(part) for part in between("rates").split("And what verdicts do not use"))
    assert len(used) > 30
    assert len(wrong) > 15
    for what, (mean_pass, worst_pass, mean_fail, worst_fail) in used:
        exact = what in ("recall, precision, accuracy", "f1", "accuracy, anytime")
        assert max(mean_pass, mean_fail) <= (5.0 if exact else 8.0), what
        assert max(worst_pass, worst_fail) <= (5.0 if exact else 12.0), what
    for what, (_, worst_pass, _, worst_fail) in wrong:
        assert max(worst_pass, worst_fail) > 6.5, what
    told = " ".join(what for what, _ in used)
    for name in (
        "mcc",
        "cohen kappa",
        "balanced accuracy",
        "fbeta",
        "roc auc",
        "average precision",
        "calibration error",
    ):
        assert name in told


def test_the_rates_of_history_gates_are_low_and_those_of_plain_comparisons_are_not() -> None:
    rows = re.findall(
        r"^\| (.+) \| (first|unseen) \| \d+, \d+ \| ([\d.]+), ([\d.]+) \| ([\d.]+), ([\d.]+) \|$",
        between("curves"),
        re.MULTILINE,
    )
    gates = {f"assert_{name}" for name in HISTORY_GATES} | {"diagnose"}
    assert {(what.strip("`"), corpus) for what, corpus, *_ in rows if what.startswith("`")} == {
        (gate, corpus) for gate in gates for corpus in ("first", "unseen")
    }
    for what, _, *found in rows:
        mean_alarm, worst_alarm, mean_miss, worst_miss = map(float, found)
        if what.startswith("`"):
            assert max(mean_alarm, mean_miss) <= 1.0, what
            assert max(worst_alarm, worst_miss) <= 7.0, what
        else:
            assert max(mean_alarm, mean_miss) > 30, what


def test_the_versions_are_those_of_the_package() -> None:
    needed = re.search(r"^dependencies = \[(.*?)^\]", PYPROJECT, re.DOTALL | re.MULTILINE)
    assert needed is not None
    assert between("versions").splitlines() == [
        f"- {name} {at}" for name, at in re.findall(r'"(\w+)>=(.+)"', needed[1])
    ]


def bad_input() -> list[tuple[str, str]]:
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", between("bad-input"), re.MULTILINE)


@pytest.mark.parametrize(("code", "told"), bad_input())
def test_bad_input_gets_what_is_told(code: str, told: str) -> None:
    names = {name: getattr(pytest_modelgate, name) for name in pytest_modelgate.__all__} | {"torch": torch}
    generator = torch.Generator().manual_seed(0)
    names |= {"x": torch.randn(100, 4, generator=generator), "y": (torch.arange(100) >= 60).long()}
    names |= {"model": torch.nn.Linear(4, 2), "LOSS": torch.nn.CrossEntropyLoss()}
    names["e"] = pytest_modelgate.evaluate(
        names["model"], (names["x"], names["y"]), outputs="logits", labels=("ok", "fraud")
    )
    with pytest.raises((pytest_modelgate.ModelgateError, pytest_modelgate.GateFailure)) as raised:
        eval(code, names)
    first = f"{raised.type.__name__}: {raised.value}".splitlines()[0]
    assert re.fullmatch(re.escape(told).replace(re.escape("..."), ".*"), first), first


def test_the_table_of_bad_input_is_long() -> None:
    assert len(bad_input()) == between("bad-input").count("\n") - 2 > 15


def test_every_error_has_a_row() -> None:
    errors = {name for name in pytest_modelgate.__all__ if name.endswith("Error")} - {"ModelgateError"}
    assert set(re.findall(r"^\| `(\w+Error)` \| [^`]", README, re.MULTILINE)) == errors


def test_every_key_of_the_report_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(next(block.code for block in MODULES if "train_model" in block.code and "label=" in block.code))
    pytester.runpytest("-p", "no:cacheprovider", "--modelgate-report")
    report = json.loads((pytester.path / "modelgate-report" / "report.json").read_text(encoding="utf-8"))
    section = README.split("### report.json")[1].split("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", section))
    keys = {*report, *report["tests"], *report["provenance"]}
    for part in ("verdicts", "evaluations", "histories"):
        assert report[part], part
        keys |= report[part][0].keys()
    keys |= {*report["evaluations"][0]["loss"], *report["histories"][0]["epochs"][0]}
    assert keys <= told


def test_every_key_of_audits_and_mutation_is_told(pytester: pytest.Pytester) -> None:
    code = next(block.code for block in MODULES if "CENTRES" in block.code)
    leaks = "\n\ndef test_rows():\n    pytest_modelgate.assert_no_leakage(INPUTS[:300], INPUTS[300:])\n"
    pytester.makepyfile("import pytest_modelgate\n" + code + leaks)
    pytester.runpytest("-p", "no:cacheprovider", "--modelgate-mutate")
    report = json.loads((pytester.path / "modelgate-report" / "report.json").read_text(encoding="utf-8"))
    told = set(re.findall(r"`(\w+)`", README.split("### report.json")[1].split("\n## ")[0]))
    (audit,), mutation = report["audits"], report["mutation"]
    (model,) = mutation["models"]
    keys = {*audit, *audit["findings"][0], *mutation, *model, *model["faults"][0], *model["gates"][0]}
    assert keys | {*model["faults"][0]["cells"][0], *model["smallest_noise"][0], *mutation["not_mutated"][0]} <= told


def test_every_field_of_a_verdict_is_told() -> None:
    section = README.split("A `Verdict` has")[1].split("\n\n")[0]
    assert set(Verdict.__dataclass_fields__) <= set(re.findall(r"`(\w+)`", section))


@pytest.mark.parametrize("kind", [Evaluation, ConfusionMatrix, pytest_modelgate.Gate])
def test_evidence_has_the_members_that_are_told(kind: type) -> None:
    section = README.split(f"### `{kind.__name__}`")[-1].split("\n##")[0]
    for name in re.findall(r"^\| `\.(\w+)", section, re.MULTILINE):
        assert hasattr(kind, name), name


def test_links_lead_somewhere() -> None:
    anchors = {slug(title) for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target[1:] in anchors if target.startswith("#") else (ROOT / target).exists(), target


def slug(title: str) -> str:
    """The anchor that GitHub makes of a title."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def alike(shown: str, printed: str) -> bool:
    """The same words; numbers with decimals within 0.05, since versions of torch train a little differently."""
    number = r"(?<![\w.])\d+\.\d+"
    ours, theirs = words(shown), words(printed)
    if re.sub(number, "0", ours) != re.sub(number, "0", theirs):
        return False
    pairs = zip(re.findall(number, ours), re.findall(number, theirs), strict=True)
    return all(abs(float(a) - float(b)) <= 0.05 for a, b in pairs)


def words(line: str) -> str:
    """One space between words, and each strip as one mark, whatever it shows."""
    return " ".join(re.sub(r"[·━●│]{8,}", "~", line).split())
