"""What a model answers to a batch: every tensor in its output, and how far two answers are apart."""

from __future__ import annotations

__tracebackhide__ = True

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.judging import judged
from pytest_modelgate.checks.wiring.setting import copies, differing
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.runtime.data import call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from pytest_modelgate.gates.verdict import Outcome, Verdict

    Answers = dict[str, torch.Tensor]

LOOSE = 0.01
_FILL = 1e4
_SAMPLED = 1 << 17


def answers(module: torch.nn.Module, inputs: Any) -> Answers:
    """Copies of all tensors in a model's output, by where they stand in it; the inputs stay as they are.

    Raises:
        EvidenceError: there is no tensor in the output, or BatchNorm refuses a batch of one.
    """
    return answers_and_change(module, inputs)[0]


def answers_and_change(module: torch.nn.Module, inputs: Any) -> tuple[Answers, str | None]:
    """The same, and which input the model changed in place, in words."""
    import torch

    lent = copies(inputs)
    try:
        with torch.no_grad():
            outputs = call(module, lent)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise EvidenceError(
            "BatchNorm takes the statistics of the batch in evaluation mode too, so that one row cannot be run: it "
            f"is in training mode after eval(), or keeps no running statistics ({error})"
        ) from error
    found = {path: tensor.detach().clone() for path, tensor in leaves(outputs)}
    if not found:
        raise EvidenceError(
            f"{type(module).__name__} gave {type(outputs).__name__} without a tensor in it; wrap it in a module that "
            "returns tensors, or a tuple or dict of them"
        )
    return found, differing(inputs, lent)


def leaves(value: Any, path: str = "output") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in tuples, lists, mappings and dataclasses, each with its place, such as `output['logits']`."""
    import torch

    if isinstance(value, torch.Tensor):
        dense = torch.nested.to_padded_tensor(value, 0.0) if value.is_nested else value
        dense = dense.dequantize() if dense.is_quantized else dense
        yield path, dense if dense.layout == torch.strided else dense.to_dense()
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{path}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}[{number}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")


def not_finite(found: Answers) -> str | None:
    """What cannot be compared in an answer, in words: NaN or infinity; None where all is well.

    Minus infinity is how classes and tokens are masked out, unless there is nothing else.
    """
    for path, tensor in found.items():
        if tensor.is_floating_point() or tensor.is_complex():
            bad = tensor.isnan()
            if not tensor.is_complex():
                bad |= tensor == math.inf
            if bool(bad.any()) or (tensor.numel() and not bool(tensor.isfinite().any())):
                return f"the model's {path} is not finite"
    return None


def tolerance(module: torch.nn.Module, found: Iterable[torch.Tensor]) -> float:
    """Half the digits of the coarsest floating type of a model and its outputs: 3.5e-4 in float32.

    Rounding stays far below it: kernels add the same numbers in another order.
    """
    import torch

    dtypes = {tensor.dtype for tensor in (*module.parameters(), *module.buffers(), *found)}
    steps = [torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point or dtype.is_complex]
    return math.sqrt(max(steps, default=torch.finfo(torch.float32).eps))


def apart(one: torch.Tensor, other: torch.Tensor, scale: float | None = None) -> float:
    """The largest difference between two tensors, relative to the values or, of small ones, to the usual size.

    It is 0 of equal tensors and at most 2; infinite where shapes differ or one is NaN, infinite or masked and the
    other not. Of whole numbers and booleans it is 1 where they are not all equal.
    """
    import torch

    if one.shape != other.shape:
        return math.inf
    if one.numel() == 0:
        return 0.0
    other = other.to(one.device)
    if not (one.is_floating_point() or one.is_complex()) or one.dtype.is_complex != other.dtype.is_complex:
        return float(not torch.equal(one, other))
    one, other = wide(one), wide(other)
    same = (one == other) | (one.isnan() & other.isnan())
    if bool(same.all()):
        return 0.0
    size = torch.maximum(one.abs(), other.abs()).clamp(min=usual_size(one) if scale is None else scale)
    relative = ((one - other).abs() / size).masked_fill(same, 0.0)
    largest = float(relative.max())
    return largest if math.isfinite(largest) else math.inf


def furthest(one: Answers, other: Answers, *, floats_only: bool = False) -> tuple[float, str]:
    """How far two answers are apart, and where in the output.

    Args:
        one, other: as `answers` gives them.
        floats_only: leave out whole numbers, such as predicted classes, which a last bit may tip; for answers that
            came by other kernels.
    """
    if one.keys() != other.keys():
        return math.inf, "output"
    floats = [path for path, tensor in one.items() if tensor.is_floating_point() or tensor.is_complex()]
    paths = floats if floats_only and floats else list(one)
    return max(((apart(one[path], other[path]), path) for path in paths), key=lambda pair: pair[0])


def usual_size(tensor: torch.Tensor) -> float:
    """The largest value of usual size: masks such as -1e9, 10,000 times the lower quartile and more, do not count."""
    sizes = tensor.abs().flatten()
    sizes = sizes[:: max(1, len(sizes) // _SAMPLED)]
    sizes = sizes[sizes.isfinite() & (sizes > 0)]
    if len(sizes) == 0:
        return 0.0
    quartile = sizes.kthvalue(1 + (len(sizes) - 1) // 4).values
    return float(sizes[sizes <= _FILL * quartile].max())


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """A floating tensor of float32 or wider, to calculate with."""
    import torch

    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def compared(
    name: str,
    outcome: Outcome,
    sentence: str,
    *,
    support: int,
    difference: float | None = None,
    bar: float = 0.0,
    notes: Iterable[str] = (),
    details: Iterable[tuple[str, Any]] = (),
) -> Verdict:
    """The verdict of a check whose estimate is the largest relative difference between two answers."""
    return judged(
        name,
        outcome,
        sentence,
        support=support,
        estimate=difference if difference is not None and math.isfinite(difference) else None,
        bar=bar,
        direction="at_most",
        notes=notes,
        details=details,
    )


def how_far(difference: float) -> str:
    """A difference in words, after "differ" or "changes".

    >>> how_far(0.0213), how_far(math.inf)
    ('by up to 0.021 of its size', 'in its shape, or in where it is finite')
    """
    if math.isinf(difference):
        return "in its shape, or in where it is finite"
    return f"by up to {difference:.2g} of its size"


def first_line(error: BaseException, longest: int = 200) -> str:
    """An error's type and the first line of what it says, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= longest else text[: longest - 3] + "..."
