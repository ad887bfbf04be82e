"""Robust figures of loss curves: what training learned, what validation did not follow, what it gave back.

All of them stay the same, or grow with the losses, where every loss is multiplied or shifted: no rule that is made of
their ratios changes its mind with the loss's scale. Lower is better; turn a metric's sign where higher is.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEWEST = 5
"""Epochs: with fewer, the noise of a curve cannot be told from its course."""

GAP = 0.5
GIVE_BACK = 0.15
JAGGEDNESS = 0.08
RISE = 0.2
PACE = 0.5
"""The limits of the rules, shares all of them; see the README for the error rates that they give."""

BLOWN = 1e100
"""A loss as large as this has blown up like one that is not finite."""

_RESOLUTION = 2.0**-22
"""Of the largest loss: float32 losses that differ by less may be the same number, rounded."""

_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""The standard error of a median of many over that of a mean: 1.2533."""

_MEAN_TO_DEVIATION = math.sqrt(math.pi / 2) / math.sqrt(6)
"""The standard deviation of plain noise over the mean size of its second differences."""

_ROOM = 1e-6
"""So much must a share exceed its limit by: losses on the limit itself are not tossed about by their rounding."""


def above(value: float, limit: float, unit: float = 1.0) -> bool:
    """Whether a value exceeds a limit by more than rounding, in units of what the loss fell by; NaN does not.

    >>> above(0.5, 0.5), above(0.51, 0.5), above(0.0, 2 * 0.0, 0.0)
    (False, True, False)
    """
    return value - limit > _ROOM * unit


def running_median(values: Sequence[float] | NDArray[Any], width: int) -> NDArray[np.float64]:
    """The median of each value and its neighbours; the window is cut off at both ends.

    >>> running_median([1, 9, 1, 1, 5], 3).tolist()
    [5.0, 1.0, 1.0, 1.0, 3.0]
    """
    array, reach = np.asarray(values, dtype=np.float64), width // 2
    count = len(array)
    found = np.empty(count)
    if count >= width:
        inner = np.sort(np.lib.stride_tricks.sliding_window_view(array, width), axis=1)
        found[reach : count - reach] = inner[:, reach]
    listed = array.tolist()
    for i in range(count):
        if i < reach or i >= count - reach:
            found[i] = statistics.median(listed[max(0, i - reach) : i + reach + 1])
    return found


def noise_of(values: Sequence[float] | NDArray[Any]) -> float:
    """The standard deviation of a curve's noise: 1.4826 median |second difference| / sqrt 6; 0 for a smooth curve.

    A course that bends slowly and single spikes leave it alone. Neighbouring epochs are taken as independent.

    >>> noise_of([3, 2, 1, 0])
    0.0
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 3:
        return 0.0
    return 1.4826 * float(np.median(np.abs(np.diff(array, 2)))) / math.sqrt(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve of one loss, in figures that single epochs do not upset.

    Attributes:
        values: the losses, epoch by epoch.
        start: the first loss, or the largest running median of 3 in the first fifth of the epochs, if that is more.
        end: the median of the last `window` epochs.
        best, best_at: the lowest running median, and its position.
        best_width: of how many epochs that median is: 3 in the first fifth of the epochs, where a loss may fall and
            rise again within a few of them; later as wide as `window`, and odd.
        noise: the standard deviation of the noise; see `noise_of`.
        window: E / 10 epochs, at least 3, at most E / 4 and at least 1.
    """

    values: NDArray[np.float64]
    start: float
    end: float
    best: float
    best_at: int
    best_width: int
    noise: float
    window: int

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[Any]) -> Curve:
        """The figures of a curve of at least 5 finite losses.

        Raises:
            EvidenceError: there are fewer, or one is not finite or 1e100 and more.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or len(array) < FEWEST:
            raise EvidenceError(f"a curve of {array.size} epochs is too short: give at least {FEWEST}")
        if not bool((np.abs(array) < BLOWN).all()):
            raise EvidenceError("a loss is not finite")
        epochs = len(array)
        window = max(1, min(epochs // 4, max(3, epochs // 10)))
        width, early, narrow = max(3, window | 1), epochs // 5, running_median(array, 3)
        smooth = running_median(array, width)
        smooth[:early] = narrow[:early]
        best_at = int(smooth.argmin())
        return cls(
            values=array,
            start=max(float(array[0]), float(narrow[1 : max(2, early)].max())),
            end=float(np.median(array[-window:])),
            best=float(smooth[best_at]),
            best_at=best_at or int(array[:2].argmin()),  # the first median is that of two epochs
            best_width=3 if best_at < early else width,
            noise=noise_of(array),
            window=window,
        )

    @property
    def fall(self) -> float:
        """From the start to the end."""
        return self.start - self.end

    @property
    def drop(self) -> float:
        """From the start to the best."""
        return self.start - self.best

    @property
    def flat(self) -> bool:
        """Whether all losses are one number, or as good as."""
        return not float(np.ptp(self.values)) > _RESOLUTION * float(np.abs(self.values).max())

    @property
    def fell(self) -> bool:
        """Whether it fell by more than 6 standard deviations of its noise."""
        return not self.flat and above(self.fall, 6 * self.noise, abs(self.drop))

    @property
    def end_error(self) -> float:
        """The standard error of `end`."""
        return _MEDIAN_ERROR * self.noise / math.sqrt(self.window)

    @property
    def rise_error(self) -> float:
        """The standard error of the rise from `best` to `end`."""
        return _MEDIAN_ERROR * self.noise * math.sqrt(1 / self.window + 1 / self.best_width)

    @property
    def last(self) -> float:
        """The end, or the lower of the last two losses where that is higher: an explosion may take two epochs."""
        return max(self.end, float(self.values[-2:].min()))

    @property
    def diverged(self) -> bool:
        """Whether it ends above its best by a fifth of the drop, and by 6 standard deviations of its noise."""
        rise = self.last - self.best
        return not self.flat and above(rise, RISE * self.drop, rise) and above(rise, 6 * self.noise, rise)

    @property
    def jaggedness(self) -> float:
        """How much it jumps about, over the drop: the spread of the last three quarters; 0 for a curve that is flat.

        The root mean square of what a running median of 5 leaves, each clipped at 6 median absolute deviations, or the
        noise where that is larger: a running median of 5 follows a loss that swings up and down every other epoch. But
        at each epoch at most what lies between the lowest loss so far and the highest from there on: a loss that only
        falls does not jump about, however steeply it does, and with few epochs that would look like noise.
        """
        if self.flat:
            return 0.0
        width = float(np.ptp(self.values))  # the drop may be next to nothing, and must not be divided by too soon
        drop, late = self.drop / width, len(self.values) // 4
        left = ((self.values - running_median(self.values, 5)) / width)[late:]
        turns = np.maximum.accumulate(self.values[::-1])[::-1] - np.minimum.accumulate(self.values)
        most = (turns / width)[late:]
        left = np.clip(left, -most, most)
        clip = 6 * 1.4826 * float(np.median(np.abs(left - np.median(left))))
        spread = math.sqrt(float(np.mean(np.clip(left, -clip, clip) ** 2)))
        noise = min(noise_of(self.values[late:]) / width, math.sqrt(float(np.mean(most**2))))
        return max(spread, noise) / drop if drop > 0 else math.inf

    @property
    def setback(self) -> float:
        """The largest rise of the running median above its lowest value so far, in the loss's units.

        A median of 3, or from 15 epochs of 5: two spikes side by side are no setback.
        """
        width = 5 if len(self.values) >= 15 else 3
        smooth = running_median(self.values, width)[width // 2 : -(width // 2)]
        return float((smooth - np.minimum.accumulate(smooth)).max())

    @property
    def jagged(self) -> bool:
        """Whether it jumps about by more than .08 of its drop."""
        return above(self.jaggedness, JAGGEDNESS)

    @property
    def falls_back(self) -> bool:
        """Whether its running median once rose by more than a fifth of the drop, and 6 standard deviations of noise."""
        rise = self.setback
        return not self.flat and above(rise, RISE * self.drop, rise) and above(rise, 6 * self.noise, rise)

    @property
    def slope(self) -> tuple[float, float]:
        """How much it still falls an epoch, over the last quarter (at least 5 epochs), and the standard error of that.

        The median of the slopes between all pairs of epochs (Theil 1950, Sen 1968).
        """
        late = self.values[-max(FEWEST, len(self.values) // 4) :][-200:]
        first, second = np.triu_indices(len(late), 1)
        falls = float(np.median((late[first] - late[second]) / (second - first)))
        return falls, self.noise * math.sqrt(12 / (len(late) ** 3 - len(late)))

    @property
    def gain(self) -> tuple[float, float, float]:
        """From where to where it came down, and what chance may bring it down by: of some comparisons the clearest one.

        From the start to the end: chance may be 6 standard deviations of the noise. From the median of the first epochs
        (3, a tenth, a fifth) to that of the last quarter: 5 standard errors. For metrics, which may take few values,
        the noise is at least that of the mean second difference of the last three quarters: it sees rare jumps between
        values that are else the same.
        """
        values, epochs = self.values, len(self.values)
        late = np.abs(np.diff(values[epochs // 4 :], 2))
        noise = max(self.noise, _MEAN_TO_DEVIATION * float(late.mean()))
        found = [(self.start, self.end, 6 * noise)]
        if epochs >= 12:
            last = epochs // 4
            end = float(np.median(values[-last:]))
            for first in sorted({3, max(3, epochs // 10), max(3, epochs // 5)}):
                error = _MEDIAN_ERROR * noise * math.sqrt(1 / first + 1 / last)
                found.append((float(np.median(values[:first])), end, 5 * error))
        return max(found, key=lambda one: one[0] - one[1] - one[2])

    @property
    def came_down(self) -> bool:
        """Whether it came down by more than chance; see `gain`."""
        start, end, chance = self.gain
        return not self.flat and above(start - end, chance, abs(start - end))

    @property
    def trend(self) -> float:
        """By how many standard errors the mean of the first epochs lies above that of the last half.

        Of the first 2, 3, tenth and fifth the clearest. Means, since swings even out in them that a curve's noise
        cannot be told from.
        """
        epochs = len(self.values)
        last = self.values[-max(3, epochs // 2) :]
        spread = float(last.std(ddof=1))
        found = []
        for first in sorted({2, 3, max(3, epochs // 10), max(3, epochs // 5)}):
            difference = float(self.values[:first].mean() - last.mean())
            error = spread * math.sqrt(1 / first + 1 / len(last))
            found.append(difference / error if error > 0 else math.copysign(math.inf, difference))
        return max(found)


@dataclass(frozen=True, slots=True)
class Pair:
    """The training and the validation loss of the same epochs."""

    train: Curve
    val: Curve

    @property
    def learned(self) -> float:
        """What training learned: from the larger of both starts to the end of the training loss."""
        return max(self.train.start, self.val.start) - self.train.end

    @property
    def gap(self) -> float:
        """By how much validation ends above training."""
        return self.val.end - self.train.end

    @property
    def gap_share(self) -> float:
        """The share of what training learned that validation did not follow."""
        return self.gap / self.learned

    @property
    def gap_error(self) -> float:
        """The standard error of the share, while it is near one half."""
        return math.hypot(self.val.end_error, self.train.end_error / 2) / self.learned

    @property
    def gained(self) -> float:
        """What validation had gained at its best."""
        return max(self.train.start, self.val.start) - self.val.best

    @property
    def given_back(self) -> float:
        """By how much the validation loss has risen since its best."""
        return self.val.end - self.val.best

    @property
    def gap_limit(self) -> float:
        """The share of what training learned that validation may fail to follow: one half and two standard errors."""
        return GAP + 2 * self.gap_error

    @property
    def give_back(self) -> float:
        """The share of what validation had gained that it gave back; 0 where it neither gained nor rose."""
        if not self.given_back > 0:
            return 0.0
        return self.given_back / self.gained if self.gained > 0 else math.inf

    @property
    def give_back_limit(self) -> float:
        """The share that may be given back: .15, or 5 standard errors of the rise where that is more."""
        return max(GIVE_BACK, 5 * self.val.rise_error / self.gained if self.gained > 0 else 0.0)

    @property
    def gap_is_large(self) -> bool:
        """Whether validation did not follow what training learned."""
        return above(self.gap_share, self.gap_limit)

    @property
    def gives_back(self) -> bool:
        """Whether validation gave back too much of what it had gained, and more than its noise explains."""
        rise = self.given_back
        return above(rise, GIVE_BACK * self.gained, self.learned) and above(rise, 5 * self.val.rise_error, self.learned)
