"""Near-duplicates: found among unlike rows, and silence where rows are near each other by nature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pytest_modelgate.checks.data.neighbours import Nearness, _nearest, nearness


def judged(train: np.ndarray, test: np.ndarray, level: float = 0.01) -> Nearness:
    found = nearness(train, test, level)
    assert isinstance(found, Nearness), found
    return found


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_neighbours_as_scikit_learn(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_modelgate.checks.data.neighbours._BLOCK", 1_000)
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(300, 4)), rng.normal(size=(80, 4))
    distances, places = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(test)
    found = _nearest(test, train)
    assert found[0] == pytest.approx(distances[:, 0], rel=1e-9)
    assert found[1].tolist() == places[:, 0].tolist()
    within, _ = NearestNeighbors(n_neighbors=1).fit(train).kneighbors()
    assert _nearest(train, train, same=True)[0] == pytest.approx(within[:, 0], rel=1e-9)
    usual = judged(train + offset, test + offset).usual
    scaled, _ = NearestNeighbors(n_neighbors=1).fit(train / train.std(axis=0)).kneighbors()
    assert usual == pytest.approx(np.median(scaled), rel=1e-6)


def normal(rng: np.random.Generator, features: int, rows: int = 240) -> np.ndarray:
    return rng.normal(size=(rows, features))


def repeats(rng: np.random.Generator, share: float) -> np.ndarray:
    """So many of the rows are another one with noise."""
    made = rng.normal(size=(240, 10))
    count = round(share * 120)
    made[-count:] = made[:count] + 0.01 * rng.normal(size=(count, 10))
    return made


def counts(rng: np.random.Generator) -> np.ndarray:
    return np.c_[rng.poisson(3, size=(240, 4)), rng.normal(size=240)]


def skewed(rng: np.random.Generator) -> np.ndarray:
    return np.exp(2 * rng.normal(size=(240, 4)))


def flat(rng: np.random.Generator) -> np.ndarray:
    """Twenty features that depend on two numbers."""
    return np.tanh(rng.normal(size=(240, 2)) @ rng.normal(size=(2, 20)))


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "1 feature": lambda rng: normal(rng, 1),
    "2 features": lambda rng: normal(rng, 2),
    "10 features": lambda rng: normal(rng, 10),
    "skewed": skewed,
    "counts": counts,
    "two dimensions of twenty": flat,
    "a tenth repeat": lambda rng: repeats(rng, 0.1),
    "half repeat": lambda rng: repeats(rng, 0.5),
}


def test_what_no_training_row_has_is_a_difference() -> None:
    """Rare flags beside counts: a flag that only test rows have sets them apart, however much the rest is alike."""
    rng = np.random.default_rng(0)
    train = np.c_[np.zeros((200, 3)), np.indices((20, 10)).reshape(2, -1).T]
    test = train[rng.permutation(200)[:60]]
    test[:30, 0], test[30:, 1] = 1, 1
    assert judged(train, test).near == 0
    images = np.c_[np.full((200, 3), 7.0), rng.normal(size=(200, 12))]
    copies = images[:20] + 0.01 * rng.normal(size=(20, 15))  # noise in the features that are constant, too
    assert judged(images, copies).rows.tolist() == list(range(20))


@pytest.mark.parametrize("kind", KINDS)
def test_clean_splits_are_quiet(kind: str) -> None:
    """Each at 1%: at most 4 of 100, which luck gives in 0.3% of cases (measured rates are in the README)."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        made = rng.permutation(KINDS[kind](rng))
        alarms += len(judged(made[:180], made[180:]).rows) > 0
    assert alarms <= 4


@pytest.mark.parametrize(("features", "noise"), [(5, 0.001), (10, 0.01), (30, 0.01)])
def test_one_noisy_row_is_found(features: int, noise: float) -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train, test = np.split(normal(rng, features), [180])
        test[11] = train[33] + noise * rng.normal(size=features)
        said = judged(train, test)
        found += (said.rows.tolist(), said.neighbours.tolist()) == ([11], [33])
    assert found == 20


def test_where_rows_lie_densely_it_takes_more_of_them() -> None:
    """Of 60 rows of two features one may be this near to another by luck, and twelve are not."""
    rng = np.random.default_rng(0)
    train, test = np.split(normal(rng, 2), [180])
    for count, expected in ((1, 0), (12, 12)):
        test[:count] = train[:count] + 0.001 * rng.normal(size=(count, 2))
        rows = judged(train, test).rows.tolist()
        assert rows[:count] == list(range(expected))


def test_more_of_them_than_within_training() -> None:
    """A tenth of the training rows have a twin by nature, half of the test rows a twin in training: all are told."""
    rng = np.random.default_rng(0)
    train = repeats(rng, 0.1)
    test = normal(rng, 10, 60)
    quiet = judged(train, test)
    assert (quiet.near, len(quiet.rows), quiet.within) == (0, 0, 24)
    test[:30] = train[100:130] + 0.01 * rng.normal(size=(30, 10))
    said = judged(train, test)
    assert said.rows.tolist() == list(range(30))
    assert said.neighbours.tolist() == list(range(100, 130))
    assert said.p < 1e-6


def test_a_single_changed_feature() -> None:
    """Counts that are equal by chance say nothing; numbers that hardly repeat do."""
    rng = np.random.default_rng(0)
    numbers, whole = normal(rng, 6), rng.poisson(3, size=(240, 6)).astype(float)
    for made, expected in ((numbers, [5]), (np.c_[whole, numbers[:, 0]], [])):
        train, test = made[:180], made[180:].copy()
        test[5] = train[9]
        test[5, -1] += 0.01
        assert judged(train, test).rows.tolist() == expected


def test_the_level() -> None:
    rng = np.random.default_rng(3)
    train, test = normal(rng, 10, 180), normal(rng, 10, 60)
    test[5] = train[9] + 0.03 * rng.normal(size=10)
    p = judged(train, test).p
    assert 0 < p < 0.01
    assert judged(train, test, p).rows.tolist() == [5]
    assert judged(train, test, 0.99 * p).rows.tolist() == []


def test_numbers_of_every_size() -> None:
    rng = np.random.default_rng(0)
    made = normal(rng, 6) * [1e300, 1e-300, 1e-30, 1e30, 1, 1]
    train, test = made[:180], made[180:].copy()
    test[7] = train[3] * 1.001
    test[8] = [1e308, 1e308, -1e308, 1, 1, 1]
    said = judged(train, test)
    assert (said.rows.tolist(), said.neighbours.tolist()) == ([7], [3])


@pytest.mark.parametrize(
    ("train", "says"), [(np.ones((9, 2)), "only 9 different training rows"), (np.ones((10, 2)), "constant")]
)
def test_what_cannot_be_judged(train: np.ndarray, says: str) -> None:
    said = nearness(train, np.zeros((3, 2)), 0.01)
    assert isinstance(said, str)
    assert says in said
