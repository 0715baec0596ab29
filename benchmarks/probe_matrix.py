"""What the probe says of five penalties, three noises and three kinds of level, as a table.

The cells are those of tests/probing/test_matrix.py. A cell with white noise shows the largest
deviation from the true weighting in 20 bins over 96 % of the draws, of all parts of a sample, and
"equal" where the report calls the loss equal to an entry. A cell with other noise shows whether a
note names it, and whether anything is called equal all the same.

Run: PYTHONPATH=tests/probing python benchmarks/probe_matrix.py [--all]
"""

import argparse

import torch
from test_matrix import CALLS, LEVELS, NOISES, PENALTIES, SOURCES, draws_of, measured, off, white

from diffviz.reports import measurement


def calls_equal(part: object) -> bool:
    """Whether the report of a part calls it equal to an entry."""
    return "equal to" in str(measurement.Report(**{**vars(part), "parts": ()}))


def verdict(cell: tuple) -> str:
    """What is said of one cell, in words."""
    whole = measured(cell, draws_of(cell))
    parts = whole.parts or (whole,)
    equal = ", equal" if any(map(calls_equal, parts)) else ""
    if cell[1] is white:
        return f"{max(map(off, parts)):.2%}{equal}"
    is_named = any("the noise is correlated" in note for note in whole.notes)
    return f"{'named' if is_named else 'not named'}{equal}"


def main() -> None:
    """Print a row for each penalty and noise, with a column for each kind of level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="all sources of times and all calls")
    ways = [(source, call) for source in SOURCES for call in CALLS]
    ways = ways if parser.parse_args().all else ways[:1]
    torch.set_num_threads(1)
    print("| penalty | noise | " + " | ".join(LEVELS) + " |")
    print("|---|---|" + "---|" * len(LEVELS))
    for penalty in PENALTIES:
        for noise in NOISES:
            cells = []
            for level in LEVELS:
                said = {verdict((penalty, noise, level, *way)) for way in ways}
                cells.append("; ".join(sorted(said)))
            names = (function.__name__.replace("_", " ") for function in (penalty, noise))
            print(f"| {' | '.join((*names, *cells))} |", flush=True)


if __name__ == "__main__":
    main()
