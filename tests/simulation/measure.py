"""Measures how often verdicts are wrong where the truth is known, and writes the README's table of it.

python tests/simulation/measure.py                      prints the table
python tests/simulation/measure.py --runs 10000         from so many data sets for each scenario
python tests/simulation/measure.py --write              puts it into README.md
python tests/simulation/measure.py --only means areas   some areas alone
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rates import Rate

AREAS = (
    "proportions",
    "composites",
    "areas",
    "calibration",
    "means",
    "groups",
    "paired",
    "gap",
    "seeds",
    "claims",
    "sequences",
)
README = Path(__file__).resolve().parents[2] / "README.md"
START, END = "<!-- rates:start -->", "<!-- rates:end -->"
CONTROLS = 1000
HEAD = (
    "| What | Method | Scenarios | False `PASS`: mean, worst | False `FAIL`: mean, worst |",
    "| --- | --- | --- | --- | --- |",
)


def rows(rates: Iterable[Rate]) -> list[str]:
    """A line for each metric and method: over all scenarios the mean and the worst rate of each error, in percent."""
    found: defaultdict[tuple[str, str], list[Rate]] = defaultdict(list)
    for rate in rates:
        found[rate.metric, rate.method].append(rate)
    return [
        f"| {metric.replace('_', ' ')} | {method} | {_spread(group)} |" for (metric, method), group in found.items()
    ]


def _spread(group: list[Rate]) -> str:
    sides = [[100 * rate.false_pass for rate in group], [100 * rate.false_fail for rate in group]]
    scenarios = f"{len(group)}, exact" if all(rate.runs == 0 for rate in group) else str(len(group))
    return " | ".join([scenarios, *(f"{sum(side) / len(side):.1f}, {max(side):.1f}" for side in sides)])


def table(areas: Iterable[str], runs: int, seed: int) -> str:
    """The whole table: what the verdicts use, and below it what they must not use."""
    used: list[str] = []
    wrong: list[str] = []
    for area in areas:
        module = importlib.import_module(f"simulate_{area}")
        began = time.perf_counter()
        used += rows(module.measure(runs, seed))
        wrong += rows(module.controls(min(runs, CONTROLS), seed))
        print(f"{area}: {time.perf_counter() - began:.0f} s", flush=True)
    return "\n".join(
        [
            f'{runs:,} data sets for each scenario, seed {seed}; "exact" are sums over all that can be drawn, for '
            "proportions at every size from 1 to 500.",
            "",
            *HEAD,
            *used,
            "",
            f"And what verdicts do not use, in the same scenarios (up to {CONTROLS:,} data sets each):",
            "",
            *HEAD,
            *wrong,
        ]
    )


def main() -> None:
    """Measure, print and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="data sets for each scenario")
    parser.add_argument("--only", nargs="+", choices=AREAS, default=AREAS, help="areas")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--seed", type=int, default=1, help="of the draws; the tests take 0")
    asked = parser.parse_args()
    made = table(asked.only, asked.runs, asked.seed)
    print(made)
    if asked.write:
        text = README.read_text("utf-8")
        before, _, rest = text.partition(START)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{START}\n{made}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
