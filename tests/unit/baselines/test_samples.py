"""Sets of samples as bytes: the same for the same content, and never wrong in silence."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_modelgate import EvidenceError
from pytest_modelgate.baselines.samples import StoredSamples, digest_of, pack, unpack

COLUMNS = arrays.arrays(
    st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]), arrays.array_shapes(min_dims=1, max_dims=2)
)


def stored(n: int = 3, **columns: np.ndarray) -> StoredSamples:
    return StoredSamples({"n": n, "labels": ["né", 1]}, columns or {"target": np.arange(n, dtype=np.uint8)})


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from(["target", "misses", "scores"]), COLUMNS, min_size=1), max_size=3))
def test_what_was_packed_comes_back_and_packs_alike(every: list[dict[str, np.ndarray]]) -> None:
    sets = {one.key: one for one in (stored(**columns) for columns in every)}
    content = pack(sets)
    back = unpack(content)
    assert back.keys() == sets.keys()
    for key, one in back.items():
        assert one.about == sets[key].about
        for name, column in sets[key].columns.items():
            np.testing.assert_array_equal(one.columns[name], column, strict=True)
    assert pack(dict(reversed(back.items()))) == content


@given(COLUMNS)
@settings(max_examples=50)
def test_the_key_names_the_content_whatever_its_layout_in_memory(column: np.ndarray) -> None:
    key = stored(scores=column).key
    assert stored(scores=column.astype(column.dtype.newbyteorder(">"))).key == key
    assert stored(scores=np.asfortranarray(column)).key == key
    assert stored(scores=column.astype(np.complex128)).key != key
    assert stored(4, scores=column).key != key
    assert digest_of(column.astype(column.dtype.newbyteorder(">"))) == digest_of(column)
    assert stored(target=column).key != key


def test_the_file_holds_neither_time_nor_machine() -> None:
    one = stored()
    with zipfile.ZipFile(io.BytesIO(pack({one.key: one}))) as archive:
        about = {(entry.date_time, entry.create_system, entry.external_attr >> 16) for entry in archive.infolist()}
    assert about == {((1980, 1, 1, 0, 0, 0), 3, 0o644)}


def test_numpy_reads_the_file() -> None:
    one = stored()
    with np.load(io.BytesIO(pack({one.key: one})), allow_pickle=False) as archive:
        assert archive[f"{one.key}/target"].tolist() == [0, 1, 2]


def test_equal_sets_are_equal() -> None:
    assert stored() == stored()
    assert stored() != stored(4)


def test_other_content_under_a_key_is_refused() -> None:
    one, other = stored(), stored(4)
    with pytest.raises(EvidenceError, match=f"the samples {one.key} are not those that were recorded"):
        unpack(pack({one.key: other}))


def test_a_set_without_its_description_is_refused() -> None:
    file = io.BytesIO()
    np.savez(file, **{"0123/target": np.zeros(3)})
    with pytest.raises(EvidenceError, match="the samples 0123 do not say what they are of"):
        unpack(file.getvalue())


@pytest.mark.parametrize("cut", [0, 1, 50, -1, -30])
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    one = stored(5000, scores=np.random.default_rng(0).normal(size=5000))
    with pytest.raises(EvidenceError, match="damaged or cut off"):
        unpack(pack({one.key: one})[:cut])


def test_a_flipped_bit_is_refused() -> None:
    one = stored(500, scores=np.random.default_rng(0).normal(size=500))
    content = bytearray(pack({one.key: one}))
    content[len(content) // 2] ^= 1
    with pytest.raises(EvidenceError, match="damaged"):
        unpack(bytes(content))


def test_objects_are_never_unpickled() -> None:
    file = io.BytesIO()
    np.savez(file, **{"0123/target": np.array([print], dtype=object)})
    with pytest.raises(EvidenceError, match="Object arrays cannot be loaded"):
        unpack(file.getvalue())
