"""A slice is the evidence that its samples alone would have given, and the slices of a column add up to the whole."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, EvidenceError
from pytest_modelgate.evidence.origin import Call, replay
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.slicing import slice_column

N = 120
RNG = np.random.default_rng(0)
REGION = RNG.choice(["north", "south", "west"], N)
HOUR = RNG.integers(0, 4, N)
URGENT = RNG.random(N) < 0.3
SLICES = {"region": REGION, "hour": HOUR, "urgent": URGENT}
DESIGN = {"ids": np.arange(N), "groups": np.arange(N) // 3, "weights": RNG.random(N)}


def made(kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "binary": {"target": rng.integers(0, 2, N), "preds": rng.random(N), "outputs": "probabilities"},
        "labels": {"target": rng.integers(0, 3, N), "preds": rng.integers(0, 3, N), "outputs": "labels"},
        "classes": {"target": rng.integers(0, 4, N), "preds": rng.normal(size=(N, 4)), "outputs": "logits"},
        "scores": {"target": rng.integers(0, 4, N), "preds": rng.dirichlet(np.ones(4), N), "outputs": "probabilities"},
        "values": {"target": rng.normal(size=N), "preds": rng.normal(size=N), "outputs": "values"},
    }[kind]


KINDS = ("binary", "labels", "classes", "scores", "values")


def of(kind: str, rows: Any = slice(None), **given: Any) -> Evaluation:
    fixed: dict[str, Any] = {"labels": {"labels": ("a", "b", "c")}, "scores": {"keep": "scores"}}.get(kind, {})
    parts = made(kind) | {"slices": SLICES} | given
    cut = {name: {n: c[rows] for n, c in one.items()} if name == "slices" else one for name, one in parts.items()}
    return Evaluation.from_predictions(
        **{name: one[rows] if isinstance(one, np.ndarray) else one for name, one in cut.items()}, **fixed
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [(), ("ids",), ("groups",), ("weights",), tuple(DESIGN)])
def test_as_if_evaluated_alone(kind: str, names: tuple[str, ...]) -> None:
    design = {name: DESIGN[name] for name in names}
    whole = of(kind, **design)
    assert list(whole.slices) == [
        *("region=north", "region=south", "region=west"),
        *(f"hour={hour}" for hour in range(4)),
        *("urgent", "not urgent"),
    ]
    for name, rows in (("region=south", REGION == "south"), ("hour=2", HOUR == 2), ("not urgent", ~URGENT)):
        found, alone = whole.slices[name], of(kind, rows, **design)
        assert found == alone
        assert found.fingerprint == (alone.fingerprint if "ids" in design else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", [{}, DESIGN], ids=["plain", "designed"])
def test_slices_add_up_to_the_whole(kind: str, design: dict[str, Any]) -> None:
    whole = of(kind, **design)
    for column in whole.slices.columns:
        parts = whole.slices.by(column)
        assert tuple(parts) == whole.slices.names(column)
        assert sum(parts.values()) == whole
        assert all(whole.slices[name] == part for name, part in parts.items())


def test_against_sklearn() -> None:
    given, whole = made("binary"), of("binary")
    for hour, part in enumerate(whole.slices.by("hour").values()):
        rows = hour == HOUR
        target, p = given["target"][rows], given["preds"][rows]
        assert part.n == rows.sum()
        assert part.metric("recall") == sk.recall_score(target, p >= 0.5)
        assert part.metric("precision") == sk.precision_score(target, p >= 0.5)
        assert part.metric("roc_auc") == pytest.approx(sk.roc_auc_score(target, p))
        assert part.metric("brier") == pytest.approx(sk.brier_score_loss(target, p))
        assert part.at_threshold(0.3).metric("f1") == pytest.approx(sk.f1_score(target, p >= 0.3))
    values, part = made("values"), of("values").slices["urgent"]
    assert part.metric("mae") == pytest.approx(
        sk.mean_absolute_error(values["target"][URGENT], values["preds"][URGENT])
    )
    weighed = of("labels", weights=DESIGN["weights"]).slices["north"]
    rows = REGION == "north"
    given = made("labels")
    assert weighed.metric("accuracy") == pytest.approx(
        sk.accuracy_score(given["target"][rows], given["preds"][rows], sample_weight=DESIGN["weights"][rows])
    )


@pytest.mark.parametrize("kind", KINDS[:3])
def test_counts_alone_keep_classes_and_codes(kind: str) -> None:
    whole = of(kind, keep="counts", slices={"region": REGION})
    assert whole.samples is not None
    assert whole.scores is None
    assert {name: column.dtype.itemsize for name, column in whole.samples.columns()} == {"target": 1, "preds": 1}
    assert whole.slices["north"].confusion_matrix == of(kind).slices["north"].confusion_matrix
    assert sum(whole.slices.by("region").values()) == whole


def test_a_loss_that_was_not_kept_sample_by_sample() -> None:
    whole = replace(of("binary", keep="counts"), mean_loss=MeanLoss.of("log", np.ones(N)))
    with pytest.raises(
        EvidenceError, match=r"evaluate with loss=..., one that gives a value for each sample, and keep"
    ):
        whole.slices["north"].metric("loss")


def test_without_anything_of_single_samples() -> None:
    with pytest.raises(EvidenceError, match=r"kept nothing of single samples.*keep='auto'"):
        of("values", keep="counts").slices["north"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("north", "region=north"),
        (("region", "north"), "region=north"),
        (2, "hour=2"),
        ("2", "hour=2"),
        (("hour", 2), "hour=2"),
        (("hour", np.int64(2)), "hour=2"),
        (("urgent", True), "urgent"),
        (("urgent", np.bool_(False)), "not urgent"),
    ],
)
def test_other_names(key: Any, name: str) -> None:
    slices = of("binary").slices
    assert key in slices
    assert slices[key] == slices[name]
    assert slices[key].origin.steps == (name,)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("nroth", "no slice 'nroth': there are 'region=north', 'region=south', .*; did you mean 'north'"),
        ("region=nord", "did you mean 'region=north'"),
        (("region", "nord"), "no slice 'region=nord'"),
        (("regoin", "north"), "no slices by 'regoin', only by 'region', 'hour', 'urgent'; did you mean 'region'"),
        (9, "no slice 9"),
        (("hour", True), "no slice 'hour=True'"),
        ("True", "no slice 'True': .*'not urgent'[^?]*$"),
        (("urgent", 1), "no slice 'urgent=1'"),
        (True, "no slice True"),
        ("", "no slice ''"),
        (None, "no slice None"),
    ],
)
def test_unknown(key: Any, says: str) -> None:
    slices = of("binary").slices
    assert key not in slices
    with pytest.raises(EvidenceError, match=says):
        slices[key]
    with pytest.raises(EvidenceError, match=says):
        slices.get(key)


def test_a_value_of_two_columns_needs_the_whole_name() -> None:
    both = of("binary", slices={"region": REGION, "office": REGION[::-1]}).slices
    with pytest.raises(EvidenceError, match="slice 'north' could be 'region=north' and 'office=north'"):
        both["north"]
    assert both["office=north"].n == (REGION == "north").sum()


def test_many_are_not_all_listed() -> None:
    with pytest.raises(EvidenceError, match=r"'day=11' and 28 more$"):
        of("binary", slices={"day": np.arange(N) % 40}).slices["x"]


def test_no_slices() -> None:
    for evaluation in (of("binary", slices={}), of("binary", slices={}, ids=np.arange(N))):
        with pytest.raises(EvidenceError, match="no slices were given: evaluate with slices="):
            _ = evaluation.slices
    with pytest.raises(EvidenceError, match="no slices by 'regoin'"):
        of("binary").slices.by("regoin")


def test_an_empty_slice_is_no_silence() -> None:
    whole = of("binary", slices={"never": np.zeros(N, bool), "region": REGION})
    assert "never" not in whole.slices
    assert list(whole.slices)[:1] == ["not never"]
    assert len(whole.slices) == 4
    for ask in (lambda: whole.slices["never"], lambda: whole.slices.by("never")):
        with pytest.raises(EvidenceError, match="empty slice 'never': none of the 120 samples is in it"):
            ask()
    inner = whole.slices["north"].slices
    assert list(inner) == ["not never", "region=north"]
    with pytest.raises(EvidenceError, match="no slice 'region=south'"):
        inner["region=south"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_law_on_small_sets(rows: list[tuple[str, int, int]]) -> None:
    column, target, preds = (list(part) for part in zip(*rows, strict=True))
    whole = Evaluation.from_predictions(
        target=target, preds=preds, outputs="labels", labels=(0, 1, 2), slices={"c": column}
    )
    parts = whole.slices.by("c")
    assert sum(parts.values()) == whole
    assert {name: part.n for name, part in parts.items()} == {f"c={c}": column.count(c) for c in sorted(set(column))}
    again = Evaluation.from_json(whole.to_json())
    assert again == whole
    assert again.slices.by("c") == parts


def test_functions_of_predictions_and_targets() -> None:
    whole = of("binary", slices={})
    given = made("binary")
    found = Evaluation.from_predictions(
        **given, slices={"sure": lambda preds, target: np.abs(preds - 0.5) > 0.3, "class": lambda preds, target: target}
    )
    assert found.slices["sure"].n == (np.abs(given["preds"] - 0.5) > 0.3).sum()
    assert found.slices["class=1"].metric("recall") == whole.metric("recall")
    lists = Evaluation.from_predictions(
        target=[0, 1], preds=[0.2, 0.9], outputs="probabilities", slices={"high": lambda p, t: p > 0.5}
    )
    assert lists.slices["high"].n == 1
    with pytest.raises(EvidenceError, match="slices 'few': its function gave 3 values for a batch of 120 samples"):
        Evaluation.from_predictions(**given, slices={"few": lambda preds, target: target[:3]})


@pytest.mark.parametrize(
    ("slices", "says"),
    [
        ({"region": REGION[:-1]}, "119 slices 'region' for 120 samples: give one for each sample"),
        ({"region": []}, "0 slices 'region' for 120 samples"),
        ({"region": [None, *REGION[1:]]}, "slices 'region': row 0 is None"),
        (["region"], "slices= takes a mapping of names to columns.* not list"),
        ("region", "slices= takes a mapping of names to columns.* not str"),
        ({"region=x": REGION}, "cannot be named 'region=x'"),
        ({3: REGION}, "a column is named by a string, not 3"),
    ],
)
def test_columns_that_do_not_fit(slices: Any, says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        Evaluation.from_predictions(**made("binary"), slices=slices)


def test_it_can_be_derived_again_of_another_pass() -> None:
    call = Call()
    first = of("binary")
    first = replace(first, origin=replace(first.origin, derivation=call))
    derived = first.at_threshold(0.4).slices["region=north"].slices["urgent"]
    assert derived.origin.steps == ("at_threshold(0.4)", "region=north", "urgent")
    rows = (REGION == "north") & URGENT
    other = of("binary", preds=made("binary")["preds"][::-1])
    assert derived.origin.derivation is not None
    found = replay(derived.origin.derivation, lambda one: other)
    assert found == of("binary", rows, preds=made("binary")["preds"][::-1]).at_threshold(0.4)


def test_evaluations_of_other_slices_do_not_add_up() -> None:
    with pytest.raises(EvidenceError, match="with slices and one without cannot be merged"):
        of("binary") + of("binary", slices={})
    with pytest.raises(EvidenceError, match=r"with the slices \['region'\] and \['hour'\] cannot be merged"):
        of("binary", slices={"region": REGION}) + of("binary", slices={"hour": HOUR})
    with pytest.raises(EvidenceError, match=r"slices 'c' are .* here and .* there"):
        of("binary", slices={"c": REGION}) + of("binary", slices={"c": HOUR})


def test_equality_sees_slices() -> None:
    one = of("binary", slices={"c": HOUR, "d": REGION})
    assert one == of("binary", slices={"d": REGION, "c": HOUR})
    coded = {"c": slice_column("x", HOUR), "d": REGION.tolist()}
    assert one == Evaluation.from_predictions(**made("binary"), slices=coded)
    assert one != of("binary", slices={"c": HOUR[::-1], "d": REGION})
    assert one != of("binary", slices={"c": HOUR + 1, "d": REGION})
    assert of("binary", slices={"c": HOUR % 2}) != of("binary", slices={"c": HOUR % 2 == 1})
    assert one != of("binary", slices={"c": HOUR})
    assert one != of("binary", slices={})
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_slice_says_what_it_is() -> None:
    slices = of("binary").slices
    assert repr(slices) == "<Slices: region (3), hour (4), urgent (2)>"
    assert slices.columns == ("region", "hour", "urgent")
    assert slices["north"].summary()["derivation"] == ["region=north"]


class TestMultilabel:
    RNG = np.random.default_rng(3)
    TARGET, P = RNG.integers(0, 2, (N, 3)), RNG.random((N, 3))

    def of(self, rows: Any = slice(None), **given: Any) -> Evaluation:
        return Evaluation.from_predictions(
            target=self.TARGET[rows],
            preds=self.P[rows],
            outputs="probabilities",
            task="multilabel",
            labels=("cat", "dog", "owl"),
            slices={"region": REGION[rows]},
            **given,
        )

    @pytest.mark.parametrize("keep", ["auto", "counts"])
    def test_as_if_evaluated_alone(self, keep: str) -> None:
        whole, rows = self.of(keep=keep), REGION == "west"
        found = whole.slices["west"]
        assert found == self.of(rows, keep=keep)
        assert sum(whole.slices.by("region").values()) == whole
        assert found.metric("recall", label="owl") == sk.recall_score(self.TARGET[rows, 2], self.P[rows, 2] >= 0.5)
        assert found.metric("exact_match") == sk.accuracy_score(self.TARGET[rows], self.P[rows] >= 0.5)
        assert found.metric("f1", average="macro") == pytest.approx(
            sk.f1_score(self.TARGET[rows], self.P[rows] >= 0.5, average="macro")
        )
        assert Evaluation.from_json(whole.to_json()).slices["west"] == found


def test_slices_of_tokens() -> None:
    rng = np.random.default_rng(4)
    target, p = rng.integers(0, 2, (N, 5)), rng.random((N, 5))
    target[rng.random((N, 5)) < 0.2] = -100
    target[:2] = -100
    given: dict[str, Any] = {"outputs": "probabilities", "task": "binary", "ignore_index": -100}
    whole = Evaluation.from_predictions(target=target, preds=p, slices={"region": REGION}, ids=np.arange(N), **given)
    rows = REGION == "south"
    kept = (target != -100) & rows[:, None]
    found = whole.slices["south"]
    assert found.n == kept.sum()
    assert found.metric("recall") == sk.recall_score(target[kept], p[kept] >= 0.5)
    alone = Evaluation.from_predictions(
        target=target[rows], preds=p[rows], slices={"region": REGION[rows]}, ids=np.arange(N)[rows], **given
    )
    assert found == alone
    assert sum(whole.slices.by("region").values()) == whole
