"""The command ``python -m diffviz search``."""

import argparse
import inspect
import sys

from diffviz.search.experiment import choices, search


def main(argv: list[str]) -> None:
    """``python -m diffviz search``; Ctrl-C loses the batch under way and no more, and ends it with status 1."""
    parser = argparse.ArgumentParser(
        "python -m diffviz search", description=(__doc__ or "").partition("\n")[0]
    )
    words = {
        "points": "of the design", "seeds": "trainings of each point", "steps": "of a training", "batch": "data points a step",
        "learning_rate": "of Adam", "law": "of noise levels", "out": "CSV of finished trainings, from which it goes on",
    }  # fmt: skip
    for name, about in inspect.signature(search).parameters.items():
        if name != "tell":
            default, names = "search.csv" if name == "out" else about.default, choices().get(name)
            says = filter(None, (words.get(name), ", ".join(names or ()), "default: %(default)s"))
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                default=default,
                type=type(default),
                help="; ".join(says),
            )
    options = vars(parser.parse_args(argv))
    try:
        print(search(**options, tell=lambda news: print(news, file=sys.stderr)))
    except KeyboardInterrupt:
        raise SystemExit(
            f"stopped; what is finished stands in {options['out']}, and the same command goes on from there"
        ) from None
