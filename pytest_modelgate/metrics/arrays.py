"""What comes in: sequences, arrays and tensors as numpy arrays, checked."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_numpy(values: object) -> NDArray[Any]:
    """Any sequence, array or tensor (of any device) as a numpy array; a CPU tensor is not copied.

    Known by its `detach` method, so torch need not be importable. bfloat16, which numpy lacks, becomes float32.

    Raises:
        EvidenceError: where rows have different lengths, values are masked, or a tensor has no values or is no table of
            numbers, as on the "meta" device, or sparse or quantized.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise EvidenceError("masked values can be neither counted nor left out silently: drop these samples first")
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    detach = getattr(values, "detach", None)
    if callable(detach):
        try:
            return values.numpy()  # type: ignore[attr-defined, no-any-return]
        except (RuntimeError, TypeError):  # it needs a gradient, lies on a device, or is of a type that numpy lacks
            return _from_tensor(detach())
    if not hasattr(values, "__len__") and hasattr(values, "__iter__"):
        values = list(values)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise EvidenceError(f"rows of different lengths are not an array: {error}") from None


def _from_tensor(tensor: Any) -> NDArray[Any]:
    try:
        tensor = tensor.cpu()
        if str(tensor.dtype).endswith("bfloat16"):
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    except (NotImplementedError, RuntimeError, TypeError) as error:
        what = f"a {tensor.dtype} tensor ({str(tensor.layout).removeprefix('torch.')}) on {tensor.device}"
        raise EvidenceError(
            f"{what} cannot become an array: give dense tensors of numbers (.to_dense(), .dequantize()) on a device "
            "that holds values"
        ) from error


def whole_numbers(values: object, what: str) -> NDArray[Any]:
    """`values` as an array of integers in the machine's byte order; floats are accepted where every one is whole.

    Raises:
        EvidenceError: names `what`, says how many are not whole numbers, and where the first stands.
    """
    array = to_numpy(values)
    kind = array.dtype.kind
    if kind in "iu":
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if kind == "b":
        return array.view(np.uint8)
    if array.size == 0:
        return array.astype(np.int64)
    if kind == "O":
        array = _plain(array, f"{what} must be whole numbers below 2**63")
        if array.dtype.kind == "i":
            return array
    elif kind != "f":
        raise EvidenceError(f"{what} must be whole numbers, but their type is {array.dtype}")
    array = array.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):
        bad = ~((array == np.floor(array)) & (np.abs(array) < 2.0**63))
    if bad.any():
        raise EvidenceError(f"{what} must be whole numbers: {some_of(array, bad)}")
    return array.astype(np.int64)


def check_scores(scores: object, what: str = "scores") -> NDArray[Any]:
    """`scores` as a float32 or float64 array of any shape, every one finite.

    float16 and bfloat16 become float32, integers float64.

    Raises:
        EvidenceError: says how many are NaN or infinite, and where the first stands.

    >>> check_scores([0.1, float("nan"), 0.3])
    Traceback (most recent call last):
    pytest_modelgate.EvidenceError: scores must be finite: 1 of 3, the first is nan at position 1
    """
    array = as_floats(scores, what)
    finite = np.isfinite(array)
    if not finite.all():
        raise EvidenceError(f"{what} must be finite: {some_of(array, ~finite)}")
    return array


def as_floats(scores: object, what: str = "scores") -> NDArray[Any]:
    """`scores` as float32 or float64, whichever holds them exactly; nothing is checked but the type."""
    array = to_numpy(scores)
    if array.dtype in (np.float32, np.float64) and array.dtype.isnative:
        return array
    if array.dtype.kind == "f" and array.dtype.itemsize <= 4:
        return array.astype(np.float32)
    if array.dtype.kind not in "fiubO":
        raise EvidenceError(f"{what} must be numbers, but their type is {array.dtype}")
    if array.dtype.kind == "O":
        array = _plain(array, f"{what} must be numbers")
    return array.astype(np.float64)


def some_of(array: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """How many entries are bad, which is the first, and where: the middle of an error message."""
    first = np.unravel_index(int(np.argmax(bad)), bad.shape)
    place = f"position {int(first[0])}" if len(first) == 1 else f"[{', '.join(str(int(i)) for i in first)}]"
    value = array[first].item() if isinstance(array[first], np.generic) else array[first]
    return f"{int(np.count_nonzero(bad)):,} of {bad.size:,}, the first is {value!r} at {place}"


def _plain(array: NDArray[Any], rule: str) -> NDArray[Any]:
    """Python objects as int64 where all are integers, else float64; EvidenceError where some are no numbers."""
    values = array.ravel().tolist()
    odd = next((value for value in values if not isinstance(value, (int, float, np.number))), None)
    if odd is not None or any(value is None for value in values):
        raise EvidenceError(f"{rule}, but hold {odd!r}")
    try:
        whole = all(isinstance(value, (int, np.integer)) for value in values)
        return array.astype(np.int64 if whole else np.float64)
    except OverflowError:
        raise EvidenceError(f"{rule}, but hold {max(values, key=abs)!r}") from None
