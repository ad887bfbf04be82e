"""The robust figures of loss curves: by hand, against scipy, and the laws of scale and shift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from pytest_modelgate import EvidenceError
from pytest_modelgate.statistics.curves import Curve, Pair, above, noise_of, running_median

TRAIN = [1.2, 0.9, 0.7, 0.55, 0.45, 0.4, 0.35, 0.32, 0.3, 0.3]
LOSSES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=5, max_size=60)


def falling(epochs: int, noise: float = 0.0, floor: float = 0.1, seed: int = 0) -> np.ndarray:
    course = floor + (1 - floor) * np.exp(-np.arange(epochs) / (epochs / 8))
    return course + noise * np.random.default_rng(seed).standard_normal(epochs)


@given(values=LOSSES, width=st.sampled_from([3, 5, 9]))
@settings(deadline=None, max_examples=100)
def test_running_median_is_scipys_inside(values: list[float], width: int) -> None:
    reach = width // 2
    found = running_median(values, width)
    assert len(found) == len(values)
    assert found[reach:-reach].tolist() == ndimage.median_filter(np.array(values), width)[reach:-reach].tolist()
    for i in range(len(values)):
        assert found[i] == np.median(values[max(0, i - reach) : i + reach + 1])


@pytest.mark.parametrize("values", [[3, 2, 1, 0], [5, 5, 5], [1, 2], [0.5]])
def test_a_straight_line_has_no_noise(values: list[float]) -> None:
    assert noise_of(values) == 0


def test_noise_is_the_standard_deviation() -> None:
    drawn = 3 * np.random.default_rng(0).standard_normal(100_000)
    assert noise_of(drawn) == pytest.approx(3, rel=0.02)
    assert noise_of(drawn + np.linspace(50, 0, 100_000)) == pytest.approx(3, rel=0.02)
    spiked = drawn.copy()
    spiked[::50] += 1000
    assert noise_of(spiked) == pytest.approx(3, rel=0.1)


def test_figures_by_hand() -> None:
    curve = Curve.of(TRAIN)
    assert (curve.start, curve.window) == (1.2, 2)
    assert curve.end == pytest.approx(0.3)
    assert curve.best == pytest.approx(0.3)
    # |second differences|: .1 .05 .05 .05 0 .02 .01 .02; their median is .035.
    assert curve.noise == pytest.approx(1.4826 * 0.035 / math.sqrt(6))
    assert curve.end_error == pytest.approx(1.2533141373 * curve.noise / math.sqrt(2))
    assert curve.rise_error == pytest.approx(1.2533141373 * curve.noise * math.sqrt(1 / 2 + 1 / 3))
    assert curve.fell
    assert not any([curve.flat, curve.diverged, curve.jagged, curve.falls_back])


@pytest.mark.parametrize(
    ("epochs", "window"), [(5, 1), (7, 1), (8, 2), (11, 2), (12, 3), (30, 3), (39, 3), (40, 4), (200, 20)]
)
def test_window(epochs: int, window: int) -> None:
    assert Curve.of(np.linspace(1, 0, epochs)).window == window


def test_shares_by_hand() -> None:
    """Training 1.2 to .3, validation at 1.1: (1.1 - .3) / (1.2 - .3) = .889 did not carry over."""
    pair = Pair(Curve.of(TRAIN), Curve.of([1.1] * 10))
    assert pair.gap_share == pytest.approx(0.8 / 0.9)
    assert pair.gap_limit == pytest.approx(0.5 + pair.train.end_error / 0.9)
    assert pair.gap_is_large
    assert (pair.give_back, pair.gives_back) == (0, False)
    val = [1.1, 0.8, 0.6, 0.5, 0.5, 0.5, 0.6, 0.7, 0.75, 0.8]
    pair = Pair(Curve.of(TRAIN), Curve.of(val))
    assert (pair.val.best, pair.val.best_at) == (0.5, 3)
    assert pair.give_back == pytest.approx((0.775 - 0.5) / (1.2 - 0.5))
    assert pair.gives_back


def test_a_spike_is_no_start_and_no_best() -> None:
    values = falling(40)
    values[3] = 500
    values[20] = -500
    assert Curve.of(values).start == 1
    assert Curve.of(values).best > 0


@pytest.mark.parametrize("keeps", [0.3, 0.5, 0.65, 0.8])
@pytest.mark.parametrize("epochs", [5, 6, 7, 10, 40])
def test_a_loss_that_only_falls_does_not_jump_about(keeps: float, epochs: int) -> None:
    """With few epochs a steep fall has second differences as large as noise."""
    values = keeps ** np.arange(epochs)
    assert Curve.of(values).jaggedness == 0
    assert Curve.of(values + 0.4 * (np.arange(epochs) % 2)).jagged


def test_an_explosion_of_two_epochs_at_the_end() -> None:
    """Ten epochs count as the end of 100, and their median does not see two."""
    values = falling(100)
    assert not Curve.of([*values[:-1], 9]).diverged
    exploded = Curve.of([*values[:-2], 3, 9])
    assert exploded.diverged
    assert exploded.last == 3


def test_an_early_best_is_seen_in_a_long_training() -> None:
    """A median of 21 of 200 epochs would not see a best of three."""
    values = [1.0, 0.5, 0.3, 0.3, 0.4, 0.5, *[0.6] * 194]
    curve = Curve.of(values)
    assert (curve.best, curve.best_width, curve.best_at) == (0.3, 3, 2)
    assert Curve.of(falling(200)).best_width == 21
    assert Curve.of([0.6, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1]).best_at == 1


@pytest.mark.parametrize("swing", [2, 3, 4, 7])
def test_swings_of_any_period_are_seen(swing: int) -> None:
    """A running median of 5 alone follows a swing of two epochs, and leaves nothing of it."""
    values = falling(60) + 0.3 * np.sin(2 * np.pi * np.arange(60) / swing + 1)
    assert Curve.of(values).jagged
    assert not Curve.of(falling(60, 0.02)).jagged


def test_diverged_and_falls_back() -> None:
    back = np.concatenate([falling(30), np.linspace(0.1, 0.9, 10)])
    assert Curve.of(back).diverged
    assert Curve.of(back).falls_back
    returned = np.concatenate([falling(30), np.linspace(0.1, 0.9, 10), np.linspace(0.9, 0.05, 20)])
    assert not Curve.of(returned).diverged
    assert Curve.of(returned).falls_back
    assert Curve.of([1, 1, 2, 3, 4, 5, 6]).diverged


def test_slope_is_scipys() -> None:
    values = falling(40, 0.05)
    falls, _ = Curve.of(values).slope
    assert falls == pytest.approx(-stats.theilslopes(values[-10:]).slope)


@pytest.mark.parametrize("constant", [0.0, 0.1, 2.302585, -7.0, 1e6])
def test_flat(constant: float) -> None:
    curve = Curve.of([constant] * 8)
    assert curve.flat
    assert not any([curve.fell, curve.diverged, curve.jagged, curve.falls_back, curve.came_down])
    jitter = np.float32(constant) * (1 + np.array([0, 1, 0, 0, -1, 0, 1, 0]) * np.finfo(np.float32).eps)
    curve = Curve.of(jitter)
    assert curve.flat
    assert not any([curve.fell, curve.came_down])


def test_rare_jumps_of_a_level_metric_are_noise() -> None:
    """The median second difference of a metric with few values is 0, and any dip would look like a start."""
    values = [0.5] * 20
    values[1] = 0.6
    values[9] = 0.6
    values[15] = 0.6
    assert noise_of(values) == 0
    assert not Curve.of(values).came_down
    assert Curve.of([0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.5, 0.5]).came_down


@given(
    train=LOSSES,
    seed=st.integers(0, 1000),
    change=st.sampled_from([(1000, 0), (1e-3, 0), (1, 5), (1, -5), (1, 1e6), (1e-3, 5), (7, -3)]),
)
@settings(deadline=None, max_examples=300)
def test_scale_and_shift_change_nothing(train: list[float], seed: int, change: tuple[float, float]) -> None:
    """Losses with few decimals lie on the limits themselves, where rounding would tip the scales."""
    factor, shift = change
    # What lies within the resolution of float32 is no change: 1e-6 of fall on a loss of 5.
    assume(np.ptp(train) == 0 or factor * np.ptp(train) > 3e-7 * (factor * max(train) + abs(shift)))
    val = np.random.default_rng(seed).permutation(train)
    said = []
    for scale, by in ((1, 0), (factor, shift)):
        pair = Pair(Curve.of(scale * np.array(train) + by), Curve.of(scale * val + by))
        one = pair.train
        answers = [one.fell, one.diverged, one.jagged, one.falls_back, one.came_down, one.flat]
        if one.fell:
            answers += [pair.gap_is_large, pair.gives_back]
        said.append(answers)
    assert said[0] == said[1]


@pytest.mark.parametrize("factor", [1, 1e3, 1e-3, 3])
@pytest.mark.parametrize("shift", [0, 5, -5, 1e6])
def test_on_the_limit_is_within_it(factor: float, shift: float) -> None:
    """A share of exactly .5, and of exactly .15, without noise."""
    train = np.array([1, 1] + [0] * 18) * factor + shift
    half = np.array([1, 1] + [0.5] * 18) * factor + shift
    assert not Pair(Curve.of(train), Curve.of(half)).gap_is_large
    assert Pair(Curve.of(train), Curve.of(half + 0.001 * factor)).gap_is_large
    back = np.array([1, 1] + [0] * 9 + [0.15] * 9) * factor + shift
    assert not Pair(Curve.of(train), Curve.of(back)).gives_back
    more = np.array([1, 1] + [0] * 9 + [0.151] * 9) * factor + shift
    assert Pair(Curve.of(train), Curve.of(more)).gives_back


def test_nan_exceeds_nothing() -> None:
    assert not above(math.nan, 0)
    assert not above(1, math.nan)


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [], [[1, 2, 3, 4, 5]], [1, 2, math.nan, 4, 5], [1, 2, 3, 4, 1e101]])
def test_what_is_no_curve(values: list[float]) -> None:
    with pytest.raises(EvidenceError, match=r"at least 5|not finite"):
        Curve.of(values)


def test_noise_alone_neither_falls_nor_gives_back() -> None:
    """White noise as wide as what is to be seen: over 200 curves no rule may take its best for a turn."""
    rng = np.random.default_rng(0)
    noise = [Curve.of(rng.standard_normal(30)) for _ in range(200)]
    assert sum(curve.fell for curve in noise) <= 2
    assert sum(curve.came_down for curve in noise) <= 2
    pairs = [Pair(Curve.of(falling(30)), Curve.of(falling(30, 0.1, seed=seed))) for seed in range(200)]
    assert sum(pair.gives_back for pair in pairs) <= 4


def test_two_spikes_side_by_side_are_no_setback() -> None:
    values = falling(40)
    values[20:22] += 3
    assert not Curve.of(values).falls_back
    values[22:26] += 3
    assert Curve.of(values).falls_back


def test_a_few_rare_jumps_after_a_dip_are_no_gain() -> None:
    values = [0.6] + [0.5] * 19
    for at in (6, 9, 13, 17):
        values[at] = 0.6
    assert noise_of(values[:6]) == 0
    assert not Curve.of(values).came_down


def test_what_validation_had_gained_counts_from_the_higher_start() -> None:
    pair = Pair(Curve.of(TRAIN), Curve.of([2.2, 1.0, 0.7, 0.6, 0.5, 0.5, 0.5, 0.6, 0.7, 0.7]))
    assert pair.gained == pytest.approx(2.2 - 0.5)
    assert pair.learned == pytest.approx(2.2 - 0.3)


@pytest.mark.parametrize(
    "values", [[0.0, 2e-309, 0.125, 0.25, 0.0], [0.0, 1.0, 2e-309, 0.0, 0.0], [0, 1e99, 0, -1e99, 0]]
)
def test_a_drop_next_to_nothing_overflows_nothing(values: list[float]) -> None:
    curve = Curve.of(values)
    assert curve.jagged
    assert not curve.fell
