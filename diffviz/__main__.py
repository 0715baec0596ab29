"""The command line: ``python -m diffviz list | show NAME | figures | search | plot NAME ... | probe module:function``."""

import argparse
import sys
from importlib import import_module
from typing import Any

import numpy as np
from scipy.special import expit

import diffviz
from diffviz.checks import unknown
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective


def _list(args) -> None:
    found = [o for o in CATALOGUE.values() if args.family in (None, o.family)]
    if not found:
        raise unknown(
            "family",
            args.family,
            dict.fromkeys(o.family for o in CATALOGUE.values()),
            "python -m diffviz list",
        )
    print(f"{'name':40} {'family':12} {'year':4} {'target':14} {'path':34} monotone")
    for o in found:
        print(
            f"{o.name:40} {o.family:12} {o.year:4} {o.target.name:14} {o.path.name:34} {analysis.verdict(o).monotone}"
        )


def _show(args) -> None:
    o: Objective = objective(args.name)
    low, high = o.law.support()
    facts = {
        "name": o.name, "family": f"{o.family}, {o.year}", "source": o.source, "note": o.note or "-", "path": o.path.name,
        "target": o.target.name, "support": f"logsnr {low:.4g} to {high:.4g}", "median": f"logsnr {float(o.law.median()):.4g}",
        "verdict": str(analysis.verdict(o)),
        "below 0": f"{analysis.share_below(o):.1%} of w (eps base), {analysis.share_below(o, mmse=expit):.1%} of the loss on N(0, I), "
        "both on [-10, 10]",
        "same as": ", ".join(p.name for g in analysis.equivalent(CATALOGUE.values()) if o in g for p in g if p is not o) or "-",
    }  # fmt: skip
    for key, value in facts.items():
        print(f"{key:8} {value}")
    print("\nlogsnr " + "".join(f"{level:>10}" for level in range(-10, 11, 4)))
    for base in ("eps", "x", "v", "u"):
        print(
            f"w, {base:4}"
            + "".join(f"{value:10.3g}" for value in o.weighting(np.arange(-10.0, 11, 4), base))
        )


def _plot(args) -> None:
    from diffviz import plots

    ax: Any = plots.weighting_curves(
        np.linspace(-12, 12, 801), {name: objective(name) for name in args.names}, base=args.base
    )
    print(plots.save(ax.figure, args.out))


def _probe(args) -> None:
    import torch

    from diffviz import plots
    from diffviz.recipes import nearest
    from diffviz.report import measurement

    place, _, name = args.loss.partition(":")
    sys.path.insert(0, "")  # the user's own module, from where the command is run
    loss = getattr(import_module(place), name, None)
    if not callable(loss):
        raise ValueError(
            f"{args.loss!r} names no loss; write module:function, for a function loss(model, x)"
        )
    if not all(size.strip().isdigit() for size in args.shape.split(",")):
        raise ValueError(f"--shape must be sizes such as 3,32,32, got {args.shape!r}")
    shape = args.batch, *(int(size) for size in args.shape.split(","))
    measured: Any = measurement.probe(
        loss, torch.randn(shape, generator=torch.Generator().manual_seed(0)), draws=args.draws
    )
    print(measured)
    for match in nearest.closest(measured):
        print(f"  {match.name:32} deviates by {match.deviation:.2%} at most, at λ = {match.at:.1f}")
    if args.out:
        print(plots.save(measured.plot().figure, args.out))


def _figures(args) -> None:
    from diffviz.lab.figures import gallery

    gallery.main(args.rest)


def _search(args) -> None:
    from diffviz.search import command

    command.main(args.rest)


COMMANDS = {
    "list": _list,
    "show": _show,
    "figures": _figures,
    "search": _search,
    "plot": _plot,
    "probe": _probe,
}
OWN_OPTIONS = ("figures", "search")  # these parse their own options


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0, or 2 with a sentence on stderr where the input is wrong."""
    parser = argparse.ArgumentParser(
        "python -m diffviz", description="What does this diffusion loss really optimise?"
    )
    parser.add_argument("--version", action="version", version=f"diffviz {diffviz.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    commands.add_parser("list", help="the catalogue as a table").add_argument(
        "--family", help="only this family"
    )
    commands.add_parser("show", help="everything about one objective").add_argument("name")
    commands.add_parser("figures", help="write the figures (all by default)", add_help=False)
    commands.add_parser(
        "search", help="measure which weighting is best for a data set and a goal", add_help=False
    )
    one = commands.add_parser("plot", help="weighting curves of named objectives")
    one.add_argument("names", nargs="+")
    one.add_argument("--out", required=True, help="svg, pdf or png file")
    one.add_argument("--base", default="eps", choices=("eps", "x", "v", "u"))
    one = commands.add_parser("probe", help="what a training loss of your own weights")
    one.add_argument("loss", help="module:function, for a function loss(model, x) -> tensor")
    one.add_argument("--shape", default="2", help="of one datum, e.g. 3,32,32 (default: 2)")
    one.add_argument("--batch", type=int, default=64)
    one.add_argument("--draws", type=int, default=20_000)
    one.add_argument("--out", help="svg, pdf or png file for the plot")
    args, rest = parser.parse_known_args(argv)
    args.rest = rest
    if rest and args.command not in OWN_OPTIONS:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        COMMANDS[args.command](args)
    except BrokenPipeError:  # a reader such as head has had enough
        sys.stdout = None
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"diffviz: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
