"""What can be wrong with a model, as values: kinds, places, strengths, and the seed of each."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from hashlib import blake2b

ZEROED = "zeroed"
REINITIALISED = "re-initialised"
NOISE = "noise"
QUANTISED = "quantised"
CLASSES_SWAPPED = "classes swapped"
CLASS_MERGED = "class merged"
MAJORITY = "majority class"
MEAN = "mean"
THRESHOLD = "threshold shifted"
DROPPED = "feature dropped"
SHUFFLED = "feature shuffled"
RESCALED = "feature rescaled"
DROPOUT = "dropout left on"
BATCHNORM = "BatchNorm statistics lost"

OF_THE_MODEL = (ZEROED, REINITIALISED, NOISE, QUANTISED, DROPOUT, BATCHNORM)
NOISES = (0.25, 0.5, 1.0, 2.0)
BITS = (8, 4, 2)
SHIFTS = (-0.2, -0.1, 0.1, 0.2)
SCALE = 10.0

_NAMES = {
    ZEROED: "weights of {where} zeroed",
    REINITIALISED: "{where} re-initialised",
    NOISE: "noise of {strength:g} in {where}",
    QUANTISED: "{where} quantised to {strength:g} bits",
    CLASSES_SWAPPED: "classes {where} swapped",
    CLASS_MERGED: "class {where}",
    MAJORITY: "always the majority class",
    MEAN: "always the mean",
    THRESHOLD: "threshold shifted by {strength:+g}",
    DROPPED: "{where} dropped",
    SHUFFLED: "{where} shuffled",
    RESCALED: "{where} rescaled",
    DROPOUT: "dropout left on",
    BATCHNORM: "BatchNorm statistics lost",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: one of the kinds above.
        where: the layer's quoted name, the classes, the feature or the channel; empty for the model as a whole.
        strength: of noise in standard deviations of the weights, of quantisation in bits, of a rescaling as a factor,
            of a threshold as what is added to it; else None.
    """

    kind: str
    where: str = ""
    strength: float | None = None

    @property
    def name(self) -> str:
        """What is wrong, in words.

        >>> Fault("noise", "'7'", 0.5).name
        "noise of 0.5 in '7'"
        """
        return _NAMES[self.kind].format(where=self.where, strength=self.strength)


def seed_of(name: str) -> int:
    """A seed from 0 to 2**32 - 1 that a name alone decides.

    >>> seed_of("dropout left on") == seed_of("dropout left on") != seed_of("noise")
    True
    """
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little")
