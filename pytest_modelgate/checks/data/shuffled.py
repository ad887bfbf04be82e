"""Trained on shuffled labels, is a pipeline at chance on held-out data: what it learns then, it must not know."""

from __future__ import annotations

__tracebackhide__ = True

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.exceptions import EvidenceError, TrainingError
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence
from pytest_modelgate.gates.wording import number
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.devices import resolve_device
from pytest_modelgate.runtime.observing import unobserved
from pytest_modelgate.runtime.seeds import check_seeds, seeded
from pytest_modelgate.statistics.permutations import (
    Matched,
    judge_chance,
    matched_classes,
    matched_scores,
    matched_values,
)
from pytest_modelgate.statistics.ranks import mid_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Train = Callable[[Any, Any], Evaluation | list[Evaluation] | tuple[Evaluation, ...]]

ALL = "all shuffles"
LEAST_SHUFFLES = 3


def audit_shuffled_labels(
    train_fn: Train, features: Any, target: Any, *, shuffles: int = 5, seed: int = 0, confidence: float = CONFIDENCE
) -> DataAudit:
    """How much better than chance a pipeline is on held-out data after its labels were shuffled.

    The skill is 2 ROC-AUC - 1 where scores of two classes were kept, Cohen's kappa for other classes, and the mean
    rank correlation for a regression: 0 at chance and 1 at best.

    Args:
        train_fn: `train_fn(features, shuffled_target)` runs the whole pipeline (selection, encoding, split, training)
            and returns the `Evaluation` of held-out data, or a list of them. It gets copies.
        features: what `train_fn` takes; copied for each call.
        target: [N] a tensor, list or anything that becomes an array; an array is passed on where it was neither.
        shuffles: how often, 3 or more; each has its own seed, `seed`, `seed + 1` and so on, which `train_fn` finds set.
        seed: the first.
        confidence: of the bounds.

    Raises:
        EvidenceError: no `Evaluation` comes back, or a target that shuffling leaves as it is.
        TrainingError: fewer than 3 shuffles, or a seed that is none.
        BarError: a confidence that is none.
    """
    check_confidence(confidence)
    if not callable(train_fn):
        raise TrainingError(
            f"train_fn={train_fn!r} cannot be called: give a function of (features, target) that trains, and returns "
            "the Evaluation of held-out data"
        )
    if isinstance(shuffles, bool) or not isinstance(shuffles, int) or shuffles < LEAST_SHUFFLES:
        raise TrainingError(f"shuffles={shuffles!r}: it takes a whole number of at least {LEAST_SHUFFLES} to tell luck")
    seeds, plain = check_seeds(shuffles, seed), to_numpy(target)
    if plain.ndim == 0 or len(plain) == 0:
        raise EvidenceError("target must hold one entry for each sample, and holds none")
    if all(bool(np.all(each == plain[0])) for each in plain):
        text = f"all {len(plain):,} targets are the same: shuffling changes nothing"
        return _audit(len(plain), 0, len(seeds), [Finding(name="undefined", count=None, of=None, text=text)])
    found: list[list[Evaluation]] = []
    for each in seeds:
        order = np.random.default_rng([each, 0x5F]).permutation(len(plain))
        with seeded(each, resolve_device("auto")), unobserved():
            answer = train_fn(_copied(features), _shuffled(target, plain, order))
        found.append(_evaluations(answer))
    sets = [[_matched(one) for one in evaluations] for evaluations in found]
    rows = sum(one.n for evaluations in found for one in evaluations)
    whole = judge_chance(sets, confidence)
    if whole is None:
        text = "all predictions are alike, or all held-out targets: no order of the targets would change anything"
        findings = [Finding(name="constant", count=None, of=None, text=text)]
    else:
        figure = f"{number(whole.skill)} ({number(whole.lower)} to {number(whole.upper)}), p = {number(whole.p)}"
        text = f"{_skill(found[0][0])} over {counted(len(seeds), 'shuffle')}: {figure}"
        findings = [
            Finding(
                name=ALL,
                count=None,
                of=None,
                estimate=whole.skill,
                lower=whole.lower,
                upper=whole.upper,
                p=whole.p,
                text=text,
            )
        ]
    for each, own in zip(seeds, sets, strict=True):
        one = judge_chance([own], confidence)
        text = f"seed {each}: " + ("nothing to tell" if one is None else number(one.skill))
        findings.append(
            Finding(name=f"seed {each}", count=None, of=None, estimate=None if one is None else one.skill, text=text)
        )
    return _audit(len(plain), rows, len(seeds), findings)


def _audit(samples: int, held_out: int, shuffles: int, findings: list[Finding]) -> DataAudit:
    sizes = {"samples": samples, "held out": held_out, "shuffles": shuffles}
    return DataAudit(about="shuffled labels", sizes=sizes, features=None, findings=tuple(findings))


def _copied(features: Any) -> Any:
    """The features in new memory; a tensor without its history, which cannot be copied otherwise."""
    if callable(getattr(features, "detach", None)):
        return features.detach().clone()
    try:
        return copy.deepcopy(features)
    except (TypeError, RuntimeError) as error:
        raise EvidenceError(
            f"features of type {type(features).__name__} cannot be copied, and each training gets a copy: {error}; "
            "give an array or a tensor, or a list or dict of such"
        ) from None


def _shuffled(target: Any, plain: NDArray[Any], order: NDArray[np.intp]) -> Any:
    """The target in another order, in new memory: a tensor, a list, or else an array."""
    if isinstance(target, list):
        return [target[row] for row in order]
    if callable(getattr(target, "detach", None)):
        import torch

        return target.detach()[torch.as_tensor(order, device=target.device)].clone()
    return plain[order]


def _evaluations(answer: Any) -> list[Evaluation]:
    each = list(answer) if isinstance(answer, (list, tuple)) else [answer]
    wrong = [type(one).__name__ for one in each if not isinstance(one, Evaluation)]
    if wrong or not each:
        kind = f"a {wrong[0]}" if wrong else "an empty list"
        raise EvidenceError(
            f"train_fn returned {kind}: it must return the Evaluation of held-out data, or a list of such, as "
            "`evaluate(...)` and `Evaluation.from_predictions(...)` give"
        )
    return each


def _matched(evaluation: Evaluation) -> Matched:
    """One evaluation's agreement beyond chance, by the most sensitive figure that it holds."""
    rows = evaluation.samples
    if evaluation.task == "regression":
        if rows is None or rows.actual is None or rows.predicted is None:
            raise EvidenceError("the Evaluation of a regression holds no predictions: evaluate with keep='auto'")
        actual, predicted = (
            np.stack([_ranks(column) for column in values.reshape(len(values), -1).T], axis=1)
            for values in (rows.actual, rows.predicted)
        )
        return matched_values(actual, predicted)
    scores = evaluation.scores
    if scores is not None and scores.num_classes == 2:
        values, positive = scores.of_class(1)
        return matched_scores(_ranks(values), positive)
    counts = evaluation.confusion_matrix.counts
    k = len(counts)
    pairs = np.repeat(np.arange(k * k), counts.reshape(-1))
    return matched_classes(pairs // k, pairs % k, k)


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    codes, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    return np.asarray(mid_ranks(counts)[codes.reshape(-1)])


def _skill(evaluation: Evaluation) -> str:
    if evaluation.task == "regression":
        return "rank correlation"
    if evaluation.scores is not None and evaluation.scores.num_classes == 2:
        return "2 ROC-AUC - 1"
    return "Cohen's kappa"
