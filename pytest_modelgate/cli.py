"""The command line beside pytest: `python -m pytest_modelgate plan --bar 0.90 --expected 0.93`."""

from __future__ import annotations

__tracebackhide__ = True

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from pytest_modelgate.exceptions import ModelgateError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
examples:
  python -m pytest_modelgate plan --bar 0.90 --expected 0.93
  python -m pytest_modelgate plan --metric false_positive_rate --bar 0.05 --expected 0.02 --power 0.9
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, or 2 after wrong use, which is one line on stderr.

    Args:
        arguments: the words after `python -m pytest_modelgate`; by default those of this process.
    """
    asked = _parser().parse_args(arguments)
    try:
        print(asked.run(asked))
    except ModelgateError as error:
        print(f"python -m pytest_modelgate {asked.command}: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pytest_modelgate",
        description="Beside pytest: what can be asked without running a test.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    plan = commands.add_parser(
        "plan",
        help="how many samples prove that a model meets a bar",
        description="How many samples prove that a model meets a bar, if its true value is the expected one.",
        epilog="Without enough samples a gate is INCONCLUSIVE, and its colour is up to luck.\n\n" + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument(
        "--metric", default="recall", help="such as recall, precision, accuracy, f1, roc_auc (%(default)s)"
    )
    plan.add_argument("--bar", type=float, required=True, help="what the gate requires, such as 0.90")
    plan.add_argument("--expected", type=float, required=True, help="the true value that is hoped for, such as 0.93")
    plan.add_argument("--confidence", type=float, default=0.95, help="how sure the proof must be (%(default)s)")
    plan.add_argument("--power", type=float, default=0.8, help="how probable the proof must be (%(default)s)")
    plan.set_defaults(run=_plan)
    return parser


def _plan(asked: argparse.Namespace) -> str:
    from pytest_modelgate.gates.planning import chance_to_prove, counted, plan_sample_size, share_text
    from pytest_modelgate.gates.wording import plain
    from pytest_modelgate.metrics.registry import get_metric

    sure = {"confidence": asked.confidence, "power": asked.power}
    size = plan_sample_size(asked.metric, asked.bar, asked.expected, **sure)
    metric = get_metric(asked.metric)
    sign, best = ("at least", 1.0) if metric.higher_is_better else ("at most", 0.0)
    flawless = plan_sample_size(metric.name, asked.bar, best, **sure)
    half = size // 2
    chance = chance_to_prove(metric.name, half, asked.bar, asked.expected, confidence=asked.confidence)
    return (
        f"{size:,} {counted(metric.name)} prove that {metric.title} is {sign} "
        f"{plain(asked.bar)} in {share_text(asked.power)} of cases, if its true value is {plain(asked.expected)} "
        f"({100 * asked.confidence:.10g}% confidence).\n"
        f"Half as many do in {share_text(chance)} of cases, and else most likely leave it INCONCLUSIVE; "
        f"a flawless run needs {flawless:,}."
    )
