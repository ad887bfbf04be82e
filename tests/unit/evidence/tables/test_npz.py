"""numpy's .npz: arrays of any layout, and files that are none or cut off."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from pytest_modelgate import Evaluation
from pytest_modelgate.evidence.tables import npz
from pytest_modelgate.exceptions import EvidenceError

RNG = np.random.default_rng(0)
N = 50
TABLE = RNG.dirichlet((1, 1, 1), N)
TARGET = RNG.integers(0, 3, N)
ASKED = {"target": "target", "preds": "score", "outputs": "probabilities"}


def saved(compressed=False, **columns):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **columns)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_any_layout(read, compressed, order, kind, chunk_rows):
    scores = np.array(TABLE.astype(kind), order=order)
    found = read("p.npz", saved(compressed, target=TARGET.astype(">i2"), score=scores), chunk_rows=chunk_rows)
    wanted = Evaluation.from_predictions(target=TARGET, preds=scores.astype(kind[1:]), outputs="probabilities")
    assert found == wanted


def test_large_and_column_by_column(read, monkeypatch):
    monkeypatch.setattr(npz, "_WHOLE_BYTES", TABLE.nbytes - 1)
    assert read("p.npz", saved(target=TARGET, score=TABLE)).n == N
    with pytest.raises(EvidenceError, match=r"'score' stands column by column.*: save np.ascontiguousarray of it"):
        read("p.npz", saved(target=TARGET, score=np.asfortranarray(TABLE)))


@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.array([b"a", b"b", b"c"])])
def test_names(read, names):
    found = read("p.npz", saved(target=names[TARGET], score=TABLE), labels=["a", "b", "c"])
    assert found.metric("accuracy") == np.mean(TABLE.argmax(axis=1) == TARGET)


def test_half_precision_and_bools(read):
    scores = np.array([0.25, 0.75, 0.5], np.float16)
    found = read("p.npz", saved(target=np.array([False, True, True]), score=scores))
    assert found.metric("recall") == 1


def wrong(**columns):
    good = {"target": np.array([0, 1, 1]), "score": np.array([0.1, 0.2, 0.3])}
    return saved(**good | columns)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (wrong(score=np.array([0.1, np.nan, 0.2])), r"p.npz, row 1, column 'score': the value is NaN"),
        (wrong(score=np.array([0.1, np.inf, 0.2])), r"p.npz, row 1, column 'score': inf is not finite"),
        (wrong(score=np.array([0.1, 0.2])), r"p.npz has columns of different lengths: score 2, target 3"),
        (wrong(score=np.array(["a", "b", "c"])), r"p.npz, row 0, column 'score': .*'a'.* is no number"),
        (wrong(score=np.zeros((3, 2, 2))), r"array 'score' has the shape \[3, 2, 2\]; a column is \[N\] or \[N, K\]"),
        (wrong(score=np.float64(1)), r"array 'score' has the shape \[\]"),
        (wrong(score=np.zeros((3, 0))), r"array 'score' has the shape \[3, 0\]"),
        (wrong(score=np.array([1j, 0, 0])), r"array 'score' is of the type complex128: save numbers"),
        (
            wrong(score=np.array(["a", 1, None], object)),
            r"array 'score' is of the type object: it would have to be unp",
        ),
        (wrong(score=np.zeros(3, "f4,i4")), r"array 'score' is of the type .*: save numbers"),
        (wrong(target=np.array([0, 1, 2])), r"p.npz, row 2, column 'target': 2 is no class index from 0 to 1"),
        (wrong(target=np.array([0, 1, -1])), r"p.npz, row 2, column 'target': -1 is no class index from 0 to 1"),
        (wrong(target=np.array([0, 1, 0.5])), r"p.npz, row 2, column 'target': 0.5 is no class index"),
        (wrong(target=np.array([0, 1, np.nan])), r"p.npz, row 2, column 'target': the value is NaN"),
        (wrong(target=np.array(["", "a", "b"])), r"p.npz, row 0, column 'target': the cell is empty"),
        (wrong(target=np.zeros((3, 2))), r"p.npz, column 'target': one class a row is wanted, not 2 values"),
        (wrong(target=np.array([b"\xff", b"a", b"b"])), r"p.npz, array 'target' is text that is not UTF-8"),
        (saved(target=np.zeros(0), score=np.zeros(0)), r"p.npz has no rows"),
        (saved(score=np.zeros(3)), r"p.npz has no column 'target'"),
        (b"", r"p.npz is no .npz file, or is cut off"),
        (b"target,score\n0,0.1\n", r"p.npz is no .npz file, or is cut off"),
        (wrong()[:-30], r"p.npz is no .npz file, or is cut off"),
    ],
)
def test_what_is_wrong(read, content, says):
    with pytest.raises(EvidenceError, match=says):
        read("p.npz", content)


def array(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("target.npy", array(np.array([0, 1, 1])))
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive(score=array(np.zeros(3))[:-4]), r"array 'score' is cut off: it ends before row 3 of 3"),
        (archive(score=array(np.zeros(3))[:40]), r"array 'score' cannot be read"),
        (archive(score=b"no array"), r"array 'score' cannot be read"),
        (archive(score=b""), r"array 'score' cannot be read"),
        (archive(score=pickle.dumps([0.1, 0.2, 0.3])), r"array 'score' cannot be read"),
        (
            archive(score=array(np.zeros(3)).replace(b"\x01\x00", b"\x09\x00", 1)),
            r"array 'score' is no array of numbers",
        ),
        (archive(score=array(np.zeros(3, "U1")).replace(b"<U1", b"<U0")), r"array 'score' .* a column is"),
        (archive(score=array(np.zeros(3)).replace(b"(3,)", b"(-3)")), r"array 'score' cannot be read"),
    ],
)
def test_what_is_wrong_with_an_array(read, content, says):
    with pytest.raises(EvidenceError, match=says):
        read("p.npz", content)


def test_what_is_claimed_takes_no_memory(read):
    """Zeros are packed a thousand to one: what a header claims is not what fits."""
    wide = array(np.zeros((3, 2))).replace(b"(3, 2), ", b"(3, 10000000000), ")
    header = b"\x93NUMPY\x02\x00" + (1 << 30).to_bytes(4, "little") + b" " * (1 << 24)
    tracemalloc.start()
    try:
        with pytest.raises(EvidenceError, match=r"array 'score' has rows of 80,000,000,000 bytes, which are too large"):
            read("p.npz", archive(score=wide))
        content = archive(score=header)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(EvidenceError, match=r"array 'score' cannot be read: EOF: reading array header"):
            read("p.npz", content)
        assert tracemalloc.get_traced_memory()[1] - before < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_damaged_byte(read):
    content = bytearray(wrong(score=np.array([0.1, 0.2, 0.3])))
    at = bytes(content).index(np.float64(0.2).tobytes())
    content[at] ^= 1
    with pytest.raises(EvidenceError, match="array 'score' cannot be read: Bad CRC-32"):
        read("p.npz", bytes(content))


def test_nothing_is_unpickled(read):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    with pytest.raises(EvidenceError, match="it would have to be unpickled"):
        read("p.npz", saved(target=np.zeros(2), score=np.array([Bomb(), Bomb()], object)))


@pytest.mark.parametrize(("column", "says"), [(np.zeros(3), "not float64"), (np.zeros((3, 2), int), "one value a row")])
def test_no_names(read, column, says):
    with pytest.raises(EvidenceError, match=f"p.npz, column 'id': .*{says}"):
        read("p.npz", wrong(id=column), ids="id")
