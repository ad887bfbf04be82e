"""What the Markdown and the HTML report say in words about a run, an evaluation and a training run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pytest_modelgate.gates.wording import SIGNS
from pytest_modelgate.reports.matrices import accuracy, num_classes
from pytest_modelgate.reports.numbers import Number, count, finite, number, plural
from pytest_modelgate.reports.strip import seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_modelgate.reports.report import Report

    Row = Mapping[str, Any]

_OUTCOMES = {
    "passed": "passed",
    "failed": "failed",
    "error": "ended in an error",
    "skipped": "skipped",
    "xfailed": "failed as marked",
    "xpassed": "passed though marked to fail",
    "not_run": "did not run",
}
_PARTS = ("train", "val")
_MOST_SEEDS = 20
_MOST = 30
_RECALL = 0.9

NOT_CORRECTED = "Gates written by hand are judged one by one: their error rates are not corrected for their number."


def run_facts(report: Report) -> list[str]:
    """The facts of a run in a few words each: how many tests and gates, on what, how long."""
    tests = report.tests
    outcomes = [f"{count(tests[key])} {word}" for key, word in _OUTCOMES.items() if tests.get(key)]
    texts = [plural(tests["collected"], "test") + (f": {', '.join(outcomes)}" if outcomes else "")]
    texts.append(plural(len(report.verdicts), "gate"))
    about = report.provenance
    texts += [f"{name} {about[name]}" for name in ("seed", "device") if about.get(name) is not None]
    if (seconds := finite(about.get("duration_seconds"))) is not None:
        texts.append(f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min")
    if about.get("commit"):
        texts.append(f"commit {str(about['commit'])[:10]}")
    return texts


def confidence(report: Report) -> float | None:
    """The confidence of all bounds in the report, or None where there are none or they differ."""
    found = {verdict["confidence"] for verdict in report.verdicts if verdict["lower"] is not None}
    return float(found.pop()) if len(found) == 1 else None


def corrected(verdict: Row) -> str:
    """In words, for what number of judgements the verdict's error rate was corrected; nothing where it stands alone.

    >>> corrected({"family": "Holm over 10 classes"}), corrected({"family": None})
    ('corrected for 10 classes (Holm)', '')
    """
    family = verdict.get("family")
    if not family:
        return ""
    known = re.fullmatch(r"(\S+) over (.+)", family)
    return f"corrected for {known[2]} ({known[1]})" if known else f"corrected: {family}"


def method(verdict: Row) -> str:
    """How the bounds were computed, without the correction, which `corrected` tells; nothing where there are none."""
    return (verdict["method"] or "").removesuffix(f", {verdict.get('family')}")


def rule(verdict: Row) -> str:
    """What a verdict without bounds measured and its limit, where the text of its gate tells neither; else nothing.

    >>> rule({"gate": "no_overfitting", "metric": "gap_share", "lower": None, "bar": 0.5, "direction": "at_most"})
    'gap share, required <= 0.500'
    """
    if verdict["lower"] is not None or verdict["bar"] is None or re.search("[=<>]", verdict["gate"]):
        return ""
    return f"{verdict['metric'].replace('_', ' ')}, required {SIGNS[verdict['direction']]} {number(verdict['bar'])}"


def seeds_text(verdict: Row) -> str:
    """The values of the single trainings of a verdict over seeds, in their order; else nothing."""
    values = seeds(verdict)
    shown = ", ".join(number(value, verdict["bar"]) for value in values[:_MOST_SEEDS])
    more = f" and {count(len(values) - _MOST_SEEDS)} more" if len(values) > _MOST_SEEDS else ""
    return f"seeds: {shown}{more}" if values else ""


def churn(verdict: Row) -> str:
    """How many decisions changed against the baseline, as the verdict's notes say it; else nothing."""
    if "changed" not in (verdict.get("details") or {}):
        return ""
    return next((str(note) for note in verdict["notes"] if " decisions changed" in str(note)), "")


def lines(verdict: Row) -> list[str]:
    """What the verdict adds to its explanation: its notes, and what would settle it."""
    return [*map(str, verdict["notes"]), *map(str, verdict.get("settle") or ())]


def parts(verdict: Row) -> list[tuple[bool, list[str]]]:
    """The lines of `lines` in their order, cut into tables (set in columns, by runs of spaces) and sentences."""
    return [
        (is_table, list(part)) for is_table, part in groupby(lines(verdict), key=lambda line: "  " in line.rstrip())
    ]


def provenance(report: Report) -> list[tuple[str, str]]:
    """Where the report came from: names and values."""
    return [
        (key.replace("_", " "), number(value) if isinstance(value, float) else str(value))
        for key, value in report.provenance.items()
        if value is not None
    ]


def evaluation_title(row: Row) -> str:
    """A name for an evaluation: its model, or what kind it is, and the steps that it was derived by."""
    name = row["model"] or ("confusion matrix" if row["kind"] == "confusion_matrix" else "evaluation")
    return ".".join([str(name), *row["derivation"]])


def evaluation_facts(row: Row) -> list[tuple[str, str]]:
    """The facts of an evaluation: names and values."""
    pairs = [("task", row["task"]), ("samples", count(row["n"]))]
    if (classes := num_classes(row)) > 2:
        pairs.append(("classes", count(classes)))
    if (share := accuracy(row)) is not None:
        pairs.append(("accuracy", number(share, 1.0)))
    pairs += _labels_facts(row.get("multilabel"))
    if row["loss"] is not None:
        pairs.append((str(row["loss"]["name"]).replace("_", " "), number(row["loss"]["mean"])))
    if row["threshold"] is not None:
        at = f"{row['threshold']:g}" if finite(row["threshold"]) is not None else "nan"
        pairs.append(("threshold", at + (", chosen on these samples" if row.get("tuned") else "")))
    pairs += _scores_facts(row)
    if (row.get("training") or {}).get("state") == "cached":
        pairs.append(("model", f"from the cache, {_stored(row['training'])}"))
    return pairs


def _labels_facts(multilabel: Row | None) -> list[tuple[str, str]]:
    """Where samples have several labels, how many samples are right in all, and what each label's decisions were.

    >>> _labels_facts({"labels": ["cat", "dog"], "counts": [[[5, 1], [0, 4]], [[3, 3], [2, 2]]], "exact": 6})[0]
    ('exact match', '6 of 10')
    >>> _labels_facts({"labels": ["cat", "dog"], "counts": [[[5, 1], [0, 4]], [[3, 3], [2, 2]]], "exact": 6})[1]
    ('cat', '4 of 4 found, 1 wrongly given')
    """
    if not multilabel:
        return []
    n = sum(map(sum, multilabel["counts"][0]))
    pairs = [("exact match", f"{count(multilabel['exact'])} of {count(n)}")]
    for label, ((_, wrong), (missed, found)) in list(zip(multilabel["labels"], multilabel["counts"], strict=True))[
        :_MOST
    ]:
        pairs.append((str(label), f"{count(found)} of {count(found + missed)} found, {count(wrong)} wrongly given"))
    if len(multilabel["labels"]) > _MOST:
        pairs.append(("more labels", count(len(multilabel["labels"]) - _MOST)))
    return pairs


def _scores_facts(row: Row) -> list[tuple[str, str]]:
    """Whether stated probabilities come true, and what a recall of 0.9 takes; nothing where no scores were kept.

    >>> points = [{"threshold": 0.31, "recall": 0.91, "precision": 0.41}]
    >>> _scores_facts({"labels": ["ok", "fraud"], "reliability": {"error": 0.031}, "thresholds": points})
    [('calibration error', '0.031'), ('recall of 0.910', 'at a threshold of 0.31, with precision 0.410')]
    """
    pairs = []
    error = (row.get("reliability") or {}).get("error")
    if error is not None:
        pairs.append(("calibration error", number(error)))
    reaching = [one for one in row.get("thresholds") or () if one["recall"] >= _RECALL]
    if reaching:
        last = reaching[-1]
        took = f"at a threshold of {last['threshold']:.4g}, with precision {number(last['precision'])}"
        pairs.append((f"recall of {number(last['recall'])}", took))
    return pairs


def history_title(row: Row) -> str:
    """A name for a training run: its model, and what its curves show."""
    name = str(row["model"] or "training")
    return f"{name}: {row['diagnosis']['kind']}" if row.get("diagnosis") else name


def history_facts(row: Row) -> list[tuple[str, str]]:
    """The facts of a training run: names and values."""
    known = [(name, row.get(name)) for name in ("loss", "seed", "device", "threads")]
    return [("epochs", count(len(row["epochs"]))), *((name, str(value)) for name, value in known if value is not None)]


def history_notes(row: Row) -> list[str]:
    """What the curves show, which weights were kept, and where the model came from; a sentence each."""
    notes = []
    if row.get("diagnosis"):
        found = row["diagnosis"]
        notes += [found["evidence"], *([f"try: {found['advice']}"] if found["advice"] else [])]
    if row.get("kept") is not None:
        notes.append(f"the weights of epoch {row['kept']} were kept")
    if row.get("nondeterministic"):
        notes.append(
            f"may differ from run to run, since these are not deterministic: {', '.join(row['nondeterministic'])}"
        )
    return notes + training_notes(row.get("training"))


def training_notes(training: Row | None) -> list[str]:
    """Whether a model was trained or came from the cache, and why; nothing where no cache was asked."""
    if not training:
        return []
    if training["state"] == "cached":
        return [f"from the cache: {_stored(training)}"]
    if training["state"] == "not cached":
        return [f"trained, and not cached: {training['reason']}"]
    if training["changed"]:
        return [f"trained anew, since this changed: {', '.join(training['changed'])}"]
    return []


def cached(verdict: Row) -> str:
    """Which stored models of earlier runs a verdict rests on; nothing where there are none."""
    stored = list(dict.fromkeys(map(_stored, verdict.get("cached") or ())))
    more = f" and {count(len(stored) - 1)} more" if len(stored) > 1 else ""
    return f"cached model {stored[0]}{more}" if stored else ""


def _stored(origin: Row) -> str:
    return f"{origin['key']}, trained {str(origin['trained_at']).replace('T', ' ').removesuffix('+00:00')} UTC"


@dataclass(frozen=True, slots=True)
class Course:
    """One logged value over the epochs.

    `group` and `part` are its name in two: `val_loss` is part `val` of group `loss`; `lr` has no part.
    `first`, `last`: the values there; `lowest`, `highest`: (epoch, value) among the finite ones, or None.
    """

    name: str
    group: str
    part: str
    points: Sequence[tuple[float, Number]]
    first: Number
    last: Number
    lowest: tuple[float, float] | None
    highest: tuple[float, float] | None
    broken: Sequence[tuple[float, Number]]


def courses(row: Row) -> list[Course]:
    """Every value that the training run logged, losses first; an epoch without it has None."""
    epochs = [epoch.get("epoch", index) for index, epoch in enumerate(row["epochs"], start=1)]
    names = list(dict.fromkeys(name for epoch in row["epochs"] for name in epoch if name != "epoch"))
    found = []
    for name in sorted(names, key=lambda name: not name.endswith("loss")):
        part, _, rest = name.partition("_")
        group, part = (rest, part) if part in _PARTS and rest else (name, "")
        points = [(epoch, values.get(name)) for epoch, values in zip(epochs, row["epochs"], strict=True)]
        logged = [(epoch, raw) for epoch, raw in points if raw is not None]
        known = [(epoch, value) for epoch, raw in logged if (value := finite(raw)) is not None]
        found.append(
            Course(
                name=name,
                group=group,
                part=part,
                points=points,
                first=logged[0][1] if logged else None,
                last=logged[-1][1] if logged else None,
                lowest=min(known, key=lambda point: point[1], default=None),
                highest=max(known, key=lambda point: point[1], default=None),
                broken=[(epoch, raw) for epoch, raw in logged if finite(raw) is None],
            )
        )
    return found
