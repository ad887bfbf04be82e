"""Faults in what a model answers: they act on the sound model's outputs and need no forward pass of their own."""

from __future__ import annotations

__tracebackhide__ = True

import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.checks.mutation.faults import CLASS_MERGED, CLASSES_SWAPPED, Fault, seed_of
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pytest_modelgate.metrics.labels import Label

_PAIRS = 3
_MERGES = 10


def answer_faults(labels: Sequence[Label]) -> list[tuple[Fault, int, int]]:
    """Classes that are swapped or answered as the next one, each with the indices of the two."""
    classes = len(labels)
    pairs = [(one, one + 1) for one in range(classes - 1)]
    draw = random.Random(seed_of(f"{_PAIRS} pairs of {classes} classes"))
    swapped = sorted(draw.sample(pairs, min(_PAIRS, len(pairs))))
    most = min(_MERGES, classes)
    merged = [round(number * (classes - 1) / (most - 1)) for number in range(most)]
    return [
        *((Fault(CLASSES_SWAPPED, f"{labels[one]} and {labels[other]}"), one, other) for one, other in swapped),
        *(
            (Fault(CLASS_MERGED, f"{labels[one]} answered as {labels[(one + 1) % classes]}"), one, (one + 1) % classes)
            for one in merged
        ),
    ]


def change_scores(
    outputs: torch.Tensor, kind: str, one: int, other: int, *, what: str, threshold: float
) -> torch.Tensor:
    """Scores with two classes swapped, or with `one` answered as `other`.

    Swapped are the head's two outputs. Of more than two classes, one is answered as another by exchanging their scores
    wherever the one's is the higher. Of two, scores on the one's side of the threshold are mirrored to the other side:
    about the threshold's logit, or, for probabilities, stretched so that they stay in [0, 1].

    Args:
        outputs: [N], [N, 1] or [N, K].
        kind: `CLASSES_SWAPPED` or `CLASS_MERGED`.
        one, other: the classes' indices.
        what: "logits" or "probabilities".
        threshold: for two classes: positive iff probability >= threshold.
    """
    import torch

    columns = outputs.shape[1] if outputs.ndim == 2 else 1
    if kind == CLASSES_SWAPPED and columns == 1:
        return -outputs if what == "logits" else 1 - outputs
    if kind == CLASSES_SWAPPED or columns > 2:
        first, second = outputs[:, one], outputs[:, other]
        if kind == CLASS_MERGED:
            first, second = torch.maximum(first, second), torch.minimum(first, second)
        changed = outputs.clone()
        changed[:, other], changed[:, one] = first, second
        return changed
    score = outputs if columns == 1 else outputs[:, 1] - outputs[:, 0] if what == "logits" else outputs[:, 1]
    mirrored = _mirrored(score, what, threshold, up=other == 1)
    if columns == 1:
        return mirrored
    if what == "probabilities":
        both = torch.stack([1 - mirrored, mirrored], dim=1)
    else:
        logsigmoid = torch.nn.functional.logsigmoid
        both = torch.stack([logsigmoid(-mirrored), logsigmoid(mirrored)], dim=1)
    return torch.where((mirrored == score)[:, None], outputs, both)


def _mirrored(score: torch.Tensor, what: str, threshold: float, *, up: bool) -> torch.Tensor:
    """Scores that are all at the threshold or above (`up`), or all below it, as far as there is such a side."""
    import torch

    if threshold in (0, 1):  # one side is empty, or all but empty
        return score
    at = threshold if what == "probabilities" else math.log(threshold / (1 - threshold))
    low = score < at
    if what == "logits":
        moved = 2 * at - score
    elif up:
        moved = threshold + (threshold - score) / threshold * (1 - threshold)
    else:
        moved = threshold - (score - threshold) / (1 - threshold) * threshold
    rounding = torch.finfo(score.dtype).eps
    if what == "logits":
        apart = 8 * rounding * max(abs(at), 1)  # so that none lands on the line
    else:
        apart = min(2 * rounding * at, 1 - at)
        moved = moved.clamp(0, 1)
    if up:
        return torch.where(low, moved.clamp(min=at + apart), score)
    return torch.where(low, score, moved.clamp(max=at - apart))


def change_labels(preds: torch.Tensor, kind: str, one: int, other: int, names: Sequence[Any]) -> torch.Tensor:
    """Decided classes with two swapped, or with `one` answered as `other`; `names` is what each index is written as."""
    changed = preds.clone()
    changed[preds == names[one]] = names[other]
    if kind == CLASSES_SWAPPED:
        changed[preds == names[other]] = names[one]
    return changed


def always(counts: Sequence[int], like: torch.Tensor, *, what: str, names: Sequence[Any]) -> torch.Tensor:
    """One row of outputs, shaped as `like`'s rows, that answers with the classes' shares: the most frequent class wins.

    A class that never occurs counts as half a sample, so that its logarithm is finite.

    Args:
        counts: how often each class is the target.
        like: outputs of the model.
        what: "logits", "probabilities" or "labels".
        names: what each index is written as, for labels.
    """
    import torch

    if what == "labels":
        return torch.full((1, *like.shape[1:]), names[int(np.argmax(counts))], dtype=like.dtype, device=like.device)
    shares = torch.tensor([max(float(count), 0.5) for count in counts], dtype=torch.float64)
    shares /= shares.sum()
    if like.ndim == 1 or like.shape[1] == 1:
        row = shares[1:].log() - shares[:1].log() if what == "logits" else shares[1:]
        return row.reshape(1, *like.shape[1:]).to(like)
    return (shares.log() if what == "logits" else shares)[None].to(like)


def mean_answer(targets: Sequence[torch.Tensor], like: torch.Tensor) -> torch.Tensor | None:
    """One row of outputs, shaped as `like`'s rows: the mean target; None where targets have another size."""
    import torch

    every: Any = np.concatenate([to_numpy(target).reshape(len(target), -1) for target in targets])
    if every.dtype.kind not in "fiub" or every.shape[1] != like[:1].numel():
        return None
    mean = torch.from_numpy(every.mean(axis=0, dtype=np.float64))
    return mean.reshape(1, *like.shape[1:]).to(like)
