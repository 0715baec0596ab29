"""The command ``python -m diffviz search``."""

import argparse
import sys

from diffviz.search.experiment import SURFACES, TOGETHER, search
from diffviz.search.settings import choices

DESCRIPTION = """\
Search a family of weightings for the best one for a data set and a goal. Finished trainings are
kept in a CSV file, and the same command goes on from there."""


def main(argv: list[str]) -> None:
    """Run the command and print what was found.

    Ctrl-C loses the batches under way and no more.

    Args:
        argv: The options, without the name of the command.

    Raises:
        SystemExit: With status 2 for an option that is unknown or no number, with status 1 after
            Ctrl-C, and with 0 after ``--help``.
        OSError: Another search is writing the file, or the cluster does not answer.
        ValueError: A name is unknown, a number is out of range, or the file is of another search or
            damaged.
    """
    options = _parser().parse_args(argv)
    try:
        found = search(
            data=options.data,
            goal=options.goal,
            family=options.family,
            points=options.points,
            seeds=options.seeds,
            steps=options.steps,
            out=options.out,
            law=options.law,
            surface=options.surface,
            batch=options.batch,
            learning_rate=options.learning_rate,
            tell=_tell,
            together=options.together,
            jobs=options.jobs,
            cluster=options.cluster,
        )
    except KeyboardInterrupt:
        raise SystemExit(
            f"stopped; finished trainings are in {options.out}, and the same command goes on "
            "from there"
        ) from None
    print(found)


def _tell(news: str) -> None:
    """Print a line of news beside the result."""
    print(news, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    """The options, one for each argument of ``search``."""
    parser = argparse.ArgumentParser("python -m diffviz search", description=DESCRIPTION)
    names = {setting: ", ".join(options) for setting, options in choices().items()}
    default = "; default: %(default)s"
    parser.add_argument("--data", default="ring8", help=f"one of {names['data']}{default}")
    parser.add_argument("--goal", default="likelihood", help=f"one of {names['goal']}{default}")
    parser.add_argument(
        "--family", default="logit-normal", help=f"one of {names['family']}{default}"
    )
    parser.add_argument("--points", type=int, default=16, help=f"points of the design{default}")
    parser.add_argument("--seeds", type=int, default=4, help=f"trainings of each point{default}")
    parser.add_argument("--steps", type=int, default=400, help=f"steps of each training{default}")
    parser.add_argument(
        "--out",
        default="search.csv",
        help=f"CSV of finished trainings, from which the search goes on{default}",
    )
    parser.add_argument(
        "--law", default="same", help=f"how levels are drawn, one of {names['law']}{default}"
    )
    parser.add_argument(
        "--surface",
        default="quadratic",
        help=f"through the means, one of {', '.join(SURFACES)}{default}",
    )
    parser.add_argument("--batch", type=int, default=256, help=f"data points of each step{default}")
    parser.add_argument(
        "--learning-rate", type=float, default=1e-2, help=f"learning rate of Adam{default}"
    )
    parser.add_argument(
        "--together", type=int, default=TOGETHER, help=f"candidates of a task, at most{default}"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help=f"processes on this machine that train{default}"
    )
    parser.add_argument(
        "--cluster", help="address of a Dask scheduler whose workers train, tcp://HOST:8786"
    )
    return parser
