"""Predictions in a file are the evidence that the same columns in memory are, whatever the format and the chunks."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score, roc_auc_score

from pytest_modelgate import Evaluation
from pytest_modelgate.exceptions import EvidenceError

RNG = np.random.default_rng(0)
N = 61
SCORES = RNG.random(N)
TARGET = (RNG.random(N) < SCORES).astype(int)
TABLE = RNG.dirichlet((1, 1, 1), N)
CLASSES = RNG.integers(0, 3, N)
IDS = RNG.permutation(N) + 100
WEIGHTS = RNG.random(N)
GROUPS = np.array([f"patient {n}" for n in RNG.integers(0, 9, N)])
REGION = np.array(["north", "south", "west"])[RNG.integers(0, 3, N)]
URGENT = RNG.random(N) < 0.5
NAMES = np.array(["cat", "dog", "eel"])
CHUNKS = (None, 1, 7, N, 1000)

BINARY = {"outputs": "probabilities", "labels": ["stays", "churns"]}


def in_memory(**arguments):
    return Evaluation.from_predictions(**arguments)


@pytest.mark.parametrize("chunk_rows", CHUNKS)
class TestAFileIsItsColumns:
    def test_scores_with_a_design(self, save, chunk_rows):
        file = save(
            target=TARGET,
            score=SCORES,
            id=IDS,
            weight=WEIGHTS,
            patient=GROUPS,
            region=REGION,
            urgent=URGENT,
            more=SCORES,
        )
        found = Evaluation.from_predictions(
            file=file,
            chunk_rows=chunk_rows,
            target="target",
            preds="score",
            ids="id",
            weights="weight",
            groups="patient",
            slices=["region", "urgent"],
            threshold=0.4,
            **BINARY,
        )
        wanted = in_memory(
            target=TARGET,
            preds=SCORES,
            ids=IDS,
            weights=WEIGHTS,
            groups=GROUPS,
            slices={"region": REGION, "urgent": URGENT},
            threshold=0.4,
            **BINARY,
        )
        assert found == wanted
        assert found.fingerprint == wanted.fingerprint
        assert found.samples.ids.tolist() == wanted.samples.ids.tolist()
        assert [column.values for column in found.samples.slices] == [c.values for c in wanted.samples.slices]

    def test_a_score_for_each_class(self, save, chunk_rows):
        columns = {f"p{k}": TABLE[:, k] for k in range(3)}
        file = save(target=NAMES[CLASSES], **columns)
        given = {"outputs": "probabilities", "labels": NAMES.tolist(), "keep": "scores"}
        found = Evaluation.from_predictions(
            file=file, chunk_rows=chunk_rows, target="target", preds=list(columns), **given
        )
        assert found == in_memory(target=CLASSES, preds=TABLE, **given)

    @pytest.mark.parametrize("labels", [None, NAMES.tolist()])
    def test_decided_names(self, save, chunk_rows, labels):
        order = np.argsort(CLASSES)  # each chunk has few of the names
        target, preds = NAMES[CLASSES][order], NAMES[RNG.integers(0, 3, N)]
        file = save(target=target, label=preds)
        given = {"outputs": "labels", "labels": labels}
        found = Evaluation.from_predictions(file=file, chunk_rows=chunk_rows, target="target", preds="label", **given)
        assert found == in_memory(target=target, preds=preds, **given)

    @pytest.mark.parametrize("labels", [None, ["no", "yes", "perhaps"], [3, 5, 8]])
    def test_decided_numbers(self, save, chunk_rows, labels):
        names = np.array([3, 5, 8]) if labels == [3, 5, 8] else np.arange(3)
        target, preds = names[CLASSES], names[RNG.integers(0, 3, N)]
        given = {"outputs": "labels", "labels": labels}
        file = save(target=target, label=preds, id=IDS)
        found = Evaluation.from_predictions(
            file=file, chunk_rows=chunk_rows, target="target", preds="label", ids="id", **given
        )
        assert found == in_memory(target=target, preds=preds, ids=IDS, **given)

    def test_values(self, save, chunk_rows):
        file = save(target=SCORES, value=WEIGHTS)
        found = Evaluation.from_predictions(
            file=file, chunk_rows=chunk_rows, target="target", preds="value", outputs="values"
        )
        assert found == in_memory(target=SCORES, preds=WEIGHTS, outputs="values")

    def test_several_values_a_row(self, save, chunk_rows):
        names = {"target": ["a", "b", "c"], "preds": ["d", "e", "f"]}
        other = TABLE[::-1]
        file = save(**dict(zip("abcdef", [*TABLE.T, *other.T], strict=True)))
        found = Evaluation.from_predictions(file=file, chunk_rows=chunk_rows, outputs="values", **names)
        assert found == in_memory(target=TABLE, preds=other, outputs="values")

    @pytest.mark.parametrize("labels", [None, [3, 5]])
    def test_targets_to_ignore(self, save, chunk_rows, labels):
        target = (TARGET if labels is None else np.array(labels)[TARGET]).copy()
        target[[2, 30]] = -100
        given = {"outputs": "probabilities", "labels": labels, "ignore_index": -100}
        file = save(target=target, score=SCORES, id=IDS)
        found = Evaluation.from_predictions(
            file=file, chunk_rows=chunk_rows, target="target", preds="score", ids="id", **given
        )
        assert found == in_memory(target=target, preds=SCORES, ids=IDS, **given)
        assert found.n == N - 2

    def test_several_labels_a_row(self, save, chunk_rows):
        columns = {f"p{k}": TABLE[:, k] for k in range(3)} | {f"y{k}": k == CLASSES for k in range(3)}
        given = {"outputs": "probabilities", "labels": NAMES.tolist(), "task": "multilabel"}
        found = Evaluation.from_predictions(
            file=save(**columns), chunk_rows=chunk_rows, target=["y0", "y1", "y2"], preds=["p0", "p1", "p2"], **given
        )
        assert found == in_memory(target=CLASSES[:, None] == np.arange(3), preds=TABLE, **given)


@pytest.mark.parametrize("format", ["npz", "jsonl", "parquet"])
def test_one_column_of_k_scores(read, format):
    found = read(f"p.{format}", {"target": CLASSES, "score": TABLE}, chunk_rows=7)
    assert found == in_memory(target=CLASSES, preds=TABLE, outputs="probabilities")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from(["no", "yes"]), st.floats(0, 1), st.text(min_size=1)), min_size=1),
    chunk_rows=st.integers(1, 9),
    suffix=st.sampled_from(["csv", "jsonl"]),
)
def test_any_text_and_any_cut(write_columns, tmp_path_factory, rows, chunk_rows, suffix):
    """Ids of any characters: quotes, line ends, numbers in other scripts."""
    rows = [row for row in {row[2]: row for row in rows}.values() if "\0" not in row[2]] or [("no", 0.5, "a")]
    target, score, ids = ([row[k] for row in rows] for k in range(3))
    file = tmp_path_factory.mktemp("any") / f"preds.{suffix}"
    write_columns(file, {"target": target, "score": score, "id": ids})
    given = {"outputs": "probabilities", "labels": ["no", "yes"]}
    found = Evaluation.from_predictions(
        file=file, chunk_rows=chunk_rows, target="target", preds="score", ids="id", **given
    )
    whole = [int(one) if suffix == "csv" and re.fullmatch("-?[1-9][0-9]*|0", one) else one for one in ids]
    assert found == in_memory(target=target, preds=score, ids=whole, **given)


def test_values_of_scikit_learn(save):
    found = Evaluation.from_predictions(
        file=save(target=TARGET, score=SCORES), chunk_rows=9, target="target", preds="score", **BINARY
    )
    assert found.metric("recall") == pytest.approx(recall_score(TARGET, SCORES >= 0.5), rel=1e-12)
    assert found.metric("roc_auc") == pytest.approx(roc_auc_score(TARGET, SCORES), rel=1e-12)
    assert found.origin.model.startswith("preds.")


def test_memory_holds_a_chunk_where_counts_are_kept(tmp_path):
    rows = 400_000
    np.savez(tmp_path / "many.npz", target=np.arange(rows) % 2, score=np.linspace(0, 1, rows))
    given = {"target": "target", "preds": "score", "outputs": "probabilities", "keep": "counts"}
    Evaluation.from_predictions(file=tmp_path / "many.npz", chunk_rows=1000, **given)
    tracemalloc.start()
    found = Evaluation.from_predictions(file=tmp_path / "many.npz", chunk_rows=1000, **given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n == rows
    assert peak < 2_000_000  # the columns have 6,400,000 bytes


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, None])
def test_the_place_is_counted_over_all_chunks(save, chunk_rows):
    file = save(target=[0, 1, 0, 1, 0, 1], score=[0.1, 0.2, 0.3, 0.4, 0.5, np.nan])
    place = {".csv": ":7", ".jsonl": ":6"}.get(file.suffix, ", row 5")
    with pytest.raises(EvidenceError, match=f"{file.name}{place}, column 'score'"):
        Evaluation.from_predictions(
            file=file, chunk_rows=chunk_rows, target="target", preds="score", outputs="probabilities"
        )


class TestIds:
    CSV = "id,target,score\n{}\n"

    def ids(self, read, *ids):
        lines = "\n".join(f"{one},{row % 2},0.{row + 1}" for row, one in enumerate(ids))
        return read("p.csv", self.CSV.format(lines), ids="id").samples.ids.tolist()

    def test_whole_numbers_in_text_are_numbers(self, read):
        wanted = in_memory(target=[0, 1, 0], preds=[0.1, 0.2, 0.3], outputs="probabilities", ids=[17, -4, 0])
        assert self.ids(read, "17", "-4", "0") == wanted.samples.ids.tolist()

    def test_unless_they_would_be_written_otherwise(self, read):
        names = ["017", "1_7", "+17", "17.0", "-0", " 17", "a", str(2**70)]
        wanted = in_memory(
            target=[0] * 8, preds=[0.1] * 8, outputs="probabilities", ids=[*names[:-1], 2**70], labels=["a", "b"]
        )
        assert self.ids(read, *names) == wanted.samples.ids.tolist()

    def test_an_id_stands_once(self, save):
        ids = IDS.copy()
        ids[40] = ids[3]
        file = save(target=TARGET, score=SCORES, id=ids)
        places = {".csv": (":42", ":5"), ".jsonl": (":41", ":4")}.get(file.suffix, (", row 40", ", row 3"))
        for chunk_rows in CHUNKS:
            with pytest.raises(EvidenceError) as caught:
                Evaluation.from_predictions(
                    file=file, chunk_rows=chunk_rows, target="target", preds="score", ids="id", **BINARY
                )
            says = f"{file}{places[0]}, column 'id': {ids[3]} is also in {file}{places[1]}, and an id names one sample"
            assert str(caught.value).replace("'", "") == says.replace("'", "")

    def test_more_that_repeat_are_counted(self, read):
        with pytest.raises(EvidenceError, match=r"and an id names one sample; 2 more rows repeat one"):
            self.ids(read, "a", "b", "a", "b", "b")

    def test_not_asked_for_they_may_repeat(self, read):
        assert read("p.csv", "id,target,score\na,0,0.1\na,1,0.2\n").n == 2


def test_text_of_true_and_false_is_bools(read):
    found = read("p.csv", "target,score,vip\n0,0.1,True\n1,0.2,False\n", slices={"important": "vip"})
    assert list(found.slices) == ["important", "not important"]


@pytest.mark.parametrize("chunk_rows", [1, 2, None])
def test_slices_of_text_are_what_the_whole_column_reads_as(read, chunk_rows):
    cells = [("true", "10"), ("false", "9"), ("unknown", "10"), ("true", "-1")]
    rows = "".join(f"{row % 2},0.1,{known},{age}\n" for row, (known, age) in enumerate(cells))
    found = read("p.csv", f"target,score,known,age\n{rows}", slices=["known", "age"], chunk_rows=chunk_rows)
    known, age = found.samples.slices
    assert known.values == ("false", "true", "unknown")
    assert age.values == (-1, 9, 10)
    assert found.slices[("age", 10)].n == 2


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"preds": "scroe"}, r"p.csv has no column 'scroe'; did you mean 'score'\? \(it has 'target', 'score'"),
            ({"target": None}, r"target=None: with file= give the name of a column, or a list"),
            ({"target": [0, 1]}, r"target=\[0, 1\]: with file= give the name"),
            ({"preds": ["score", "score"]}, r"preds=\['score', 'score'\]: each column must be named once"),
            ({"preds": []}, r"preds=\[\]: with file="),
            ({"ids": ["a", "b"]}, r"ids=\['a', 'b'\]: with file= give the name of a column"),
            ({"slices": "region"}, r"slices='region': with file= give a list of names of columns"),
            ({"slices": ["a", "a"]}, r"slices=\['a', 'a'\]: .* each once"),
            ({"slices": {"a": len}}, r"slices=\{'a': .*with file= give a list of names"),
            ({"slices": ["regoin"]}, r"no column 'regoin'"),
            ({"chunk_rows": 0}, r"chunk_rows=0 is no number of rows"),
            ({"chunk_rows": True}, r"chunk_rows=True is no number of rows"),
            ({"target": ["target", "weight"]}, r"one class a sample stands in one column"),
            ({"outputs": "probs"}, r"^outputs='probs' is not one of"),
            ({"keep": "counts", "ids": "weight"}, r"^ids, groups and weights are kept sample by sample"),
            ({"outputs": "labels", "ignore_index": -1}, r"needs labels="),
        ],
    )
    def test_is_told(self, read, given, says):
        with pytest.raises(EvidenceError, match=says):
            read("p.csv", "target,score,weight\n0,0.1,1\n1,0.2,1\n", **given)

    def test_names_of_columns_need_a_file(self):
        with pytest.raises(EvidenceError, match=r"target='y' is the name of a column: say file="):
            in_memory(target="y", preds="p", outputs="labels")
        with pytest.raises(EvidenceError, match=r"chunk_rows=5 is for predictions in a file"):
            in_memory(target=[0, 1], preds=[0, 1], outputs="labels", chunk_rows=5)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"outputs": "logits"}, r"p.csv: outputs='logits', but the outputs of all 2 samples"),
            ({"labels": ["a", "b", "c"]}, r"p.csv: 3 labels .* were given"),
            ({"outputs": "values", "threshold": 0.4}, r"p.csv: threshold=0.4 is for the scores"),
        ],
    )
    def test_what_the_evidence_refuses_names_the_file(self, read, given, says):
        with pytest.raises(EvidenceError, match=says):
            read("p.csv", "target,score\n0,0.1\n1,0.2\n", **given)
