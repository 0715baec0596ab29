"""The command line: ``python -m diffviz COMMAND``; ``--help`` lists the commands and their options.

Each command is a function of the parsed arguments. What is wrong with the input is said in one
sentence on stderr, with exit status 2.
"""

import argparse
import io
import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import expit

import diffviz
from diffviz import extras
from diffviz.checks import MOST, count, place, require, unknown
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective

BASES = ("eps", "x", "v", "u")
OUTPUTS = ("json", "csv", "out", "report")  # options that name files to be written
LEVELS = np.arange(-10.0, 11.0, 4.0)  # log-SNR at which ``show`` prints the weighting

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "_notebooks"  # where a wheel puts the folder ``notebooks`` of the repository
NOTEBOOKS = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "notebooks"


def list_objectives(args: argparse.Namespace) -> None:
    """Print the catalogue, or one family of it, as a table."""
    chosen = [entry for entry in CATALOGUE.values() if args.family in (None, entry.family)]
    if not chosen:
        families = dict.fromkeys(entry.family for entry in CATALOGUE.values())
        raise unknown("family", args.family, families, "python -m diffviz list")
    print(f"{'name':40} {'family':12} {'year':4} {'target':14} {'path':34} monotone")
    for entry in chosen:
        monotone = analysis.verdict(entry).monotone
        print(
            f"{entry.name:40} {entry.family:12} {entry.year:4} "
            f"{entry.target.name:14} {entry.path.name:34} {monotone}"
        )


def show_objective(args: argparse.Namespace) -> None:
    """Print what is known about one objective, and its weighting in every base."""
    chosen = objective(args.name)
    _check_report(args.report)
    for key, value in facts(chosen).items():
        print(f"{key:8} {value}")
    print("\nlogsnr " + "".join(f"{level:>10.0f}" for level in LEVELS))
    for base in BASES:
        weights = chosen.weighting(LEVELS, base)
        print(f"w, {base:4}" + "".join(f"{weight:10.3g}" for weight in weights))
    if args.report:
        _write_report(args, chosen, args.line)


def _check_report(name: str | None) -> None:
    """Refuse a report that cannot be written, before anything is computed."""
    if name:
        from diffviz.reports import page

        page.checked_path(name)


def _write_report(args: argparse.Namespace, item: Any, line: str, **details: Any) -> None:
    """Write the report that ``--report`` asks for, with the line that makes it again."""
    from diffviz.reports import page

    page.report(item, args.report, again=line, **details)
    print(args.report)


def facts(chosen: Objective) -> dict[str, str]:
    """What ``show`` says about an objective, by heading."""
    low, high = chosen.law.support()
    of_weighting = analysis.share_below(chosen)
    of_loss = analysis.share_below(chosen, mmse=expit)
    equals = [
        other.name
        for group in analysis.equivalent(CATALOGUE.values())
        for other in group
        if chosen in group and other is not chosen
    ]
    return {
        "name": chosen.name,
        "family": f"{chosen.family}, {chosen.year}",
        "source": chosen.source,
        "note": chosen.note or "-",
        "path": chosen.path.name,
        "target": chosen.target.name,
        "support": f"logsnr {low:.4g} to {high:.4g}",
        "median": f"logsnr {float(chosen.law.median()):.4g}",
        "verdict": str(analysis.verdict(chosen)),
        "below 0": (
            f"{of_weighting:.1%} of w (eps base), {of_loss:.1%} of the loss on N(0, I), "
            "both on [-10, 10]"
        ),
        "same as": ", ".join(equals) or "-",
    }


def plot_objectives(args: argparse.Namespace) -> None:
    """Draw the weightings of named objectives to a file."""
    from diffviz import plots

    curves = {name: objective(name) for name in args.names}
    ax = plots.weighting_curves(np.linspace(-12, 12, 801), curves, base=args.base)
    print(plots.save(ax.figure, args.out))  # type: ignore[arg-type]


def probe_loss(args: argparse.Namespace) -> None:
    """Measure a training loss of the user's own, and print the nearest objectives."""
    from diffviz import plots
    from diffviz.plots.files import UNDATED

    module = args.loss.partition(":")[0]
    _check_outputs(args, [("the loss", f"{module.replace('.', '/')}.py")])
    if args.out and Path(args.out).suffix not in UNDATED:
        endings = ", ".join(UNDATED)
        raise ValueError(f"--out must end in one of {endings}, got {args.out!r}")
    x = _random_batch(args)
    measured = _probed(args, x)
    print(measured)
    _print_nearest(measured)
    if args.json:
        _write_json(measured, args.json)
    if args.csv:
        np.savetxt(args.csv, measured.table(), delimiter=",", header="logsnr,w", comments="")
    if args.out:
        print(plots.save(measured.plot().figure, args.out))  # type: ignore[arg-type]
    if args.report:
        _write_report(args, measured, args.line, title=f"Training loss {args.loss}")


def _random_batch(args: argparse.Namespace) -> Any:
    """A batch of normal data of the shape that the options ask for; a ValueError if it is none."""
    import torch

    sizes = args.shape.split(",")
    require(
        all(size.strip().isdecimal() for size in sizes),
        f"--shape must be sizes such as 3,32,32, got {args.shape!r}",
    )
    shape = (count(args.batch, "--batch"), *(count(int(size), "--shape") for size in sizes))
    too_many = (
        f"--shape {args.shape} with --batch {args.batch} holds more numbers than the memory; ask "
        "for a smaller shape or batch"
    )
    require(math.prod(shape) <= MOST, too_many)
    try:
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))
    except RuntimeError as error:  # torch has no error of its own for too little memory here
        raise ValueError(too_many) from error


def _probed(args: argparse.Namespace, x: Any) -> Any:
    """The measurement that the options ask for; a ValueError where the loss itself fails."""
    from diffviz.reports import measurement

    loss = load_loss(args.loss)
    try:
        return measurement.probe(
            loss,
            x,
            inputs=_position_or_keyword(args.inputs),
            output=args.output,
            model=args.model,
            scale=args.scale,
            mode=args.mode,
            draws=args.draws,
        )
    except (ValueError, TypeError):
        raise
    except Exception as error:  # whatever the loss raises
        raise ValueError(f"{args.loss} fails with {type(error).__name__}: {error}") from error


def _position_or_keyword(text: str | None) -> int | str | None:
    """A whole number, also from the end, or a name."""
    is_number = text is not None and text.removeprefix("-").isdecimal()
    return int(text) if text is not None and is_number else text


def _check_outputs(
    args: argparse.Namespace, inputs: Iterable[tuple[str, str | Path | None]]
) -> None:
    """Refuse outputs that cannot be written or would replace another file of the same line.

    Args:
        args: The parsed arguments. Those of ``OUTPUTS`` that are text name files to be written.
        inputs: What messages call an input, and its file; a text that names no file, or None, is
            passed over.
    """
    named = {f"--{name}": getattr(args, name, None) for name in OUTPUTS}
    outputs = {option: name for option, name in named.items() if isinstance(name, str) and name}
    taken = [(what, Path(name)) for what, name in inputs if name and _is_file(name)]
    for option, name in outputs.items():
        _check_folder(name)
        for what, file in taken:
            require(
                not _is_same(Path(name), file),
                f"{option} {name!r} is also the file of {what}, and one would replace the other; "
                "name another file",
            )
        taken.append((option, Path(name)))
    _check_report(outputs.get("--report"))


def _is_file(name: str | Path) -> bool:
    """Whether a text names a file; a long one, such as settings, is no name."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through links too, be it there or not."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _check_folder(name: str) -> None:
    """Refuse a file that cannot be written, before anything is computed."""
    path = Path(name).absolute()
    if not path.parent.is_dir():
        raise ValueError(f"the folder of {name!r} does not exist; make it first")
    if path.is_dir():
        raise ValueError(f"{name!r} is a folder; name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"{name!r} cannot be written; name a file where you have the right to")


def _print_nearest(measured: Any) -> None:
    """Print the nearest objectives, where the loss has a weighting."""
    from diffviz.recipes import nearest

    try:
        matches = nearest.closest(measured)
    except ValueError:  # the notes say why
        return
    for match in matches:
        table = f", {match.table}" if match.table else ""
        print(
            f"  {match.name:32} deviates by {match.deviation:.2%} at most, "
            f"at λ = {match.at:.1f}{table}"
        )
    if matches and matches[0].alike:
        print(f"  these draws do not tell the first from {', '.join(matches[0].alike)}")


def _write_json(measured: Any, name: str) -> None:
    """Write what was measured as JSON, with the weighting where there is one."""
    content = {
        "target": measured.kind,
        "path": measured.frame,
        "scale": measured.scale,
        "draws": len(measured.logsnr),
        "exact": measured.exact,
        "notes": list(measured.notes),
    }
    try:
        logsnr, w = measured.table().T
    except ValueError as error:
        content["no weighting"] = str(error)
    else:
        content |= {"logsnr": logsnr.tolist(), "w": w.tolist()}
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    Path(name).write_text(text, encoding="utf-8", newline="\n")


def read_settings(args: argparse.Namespace) -> None:
    """Print what a trainer's settings train on."""
    from diffviz.recipes import settings

    _check_outputs(args, [("the settings", args.text)])
    text = sys.stdin.read() if args.text == "-" else args.text
    explained = settings.explain(text, trainer=args.trainer, model=args.model, tokens=args.tokens)
    if args.json:
        print(_json_for_stdout(explained.as_dict()))
    else:
        print(explained)
    if args.explain and not args.json:
        print()
        print(explained.table())
    if args.report:
        _write_settings_report(args, explained)


def _json_for_stdout(content: Any) -> str:
    """JSON in the letters that stdout has; others as JSON escapes them, so that it stays JSON."""
    text = json.dumps(content, ensure_ascii=False, indent=1)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=1)
    return text


def _write_settings_report(args: argparse.Namespace, explained: Any) -> None:
    """Write the report on settings; its line holds the options that were read, and no paths."""
    from diffviz.reports import page

    line = page.settings_line(explained, model=args.model, tokens=args.tokens)
    title = f"What settings of {explained.trainer.title} train"
    page.report(explained.objective, args.report, title=title, again=line)
    if not args.json:
        print(args.report)


def load_loss(address: str):
    """The function at ``module:function``, where the module may lie in the current folder."""
    module, _, name = address.partition(":")
    if module.endswith(".py") or "/" in module:
        raise ValueError(
            f"{address!r} names a file; write {Path(module).stem}:{name or 'function'} in the "
            "folder that holds it"
        )
    sys.path.insert(0, "")
    loss = getattr(_module(module), name, None) if module and name else None
    if not callable(loss) or isinstance(loss, type):
        raise ValueError(
            f"{address!r} names no loss; write module:function, for a function loss(model, x)"
        )
    return loss


def _module(name: str) -> ModuleType:
    """A module of the user's; the error says where it was looked for."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks one that it imports
        raise ModuleNotFoundError(
            f"no module {name!r} in {Path.cwd()} or in this environment; "
            "go to the folder that holds it",
            name=error.name,
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"module {name!r} fails when it is imported, with {type(error).__name__}: {error}; a "
            "script needs its work under if __name__ == '__main__'"
        ) from error


def read_log(args: argparse.Namespace) -> None:
    """Print where the loss of a finished run is, by its log."""
    import diffviz as dv
    from diffviz import plots
    from diffviz.data.points import read_stored
    from diffviz.learning.logs import sources

    inputs = [("the log", file) for file in sources.files_behind(args.file)]
    _check_outputs(args, [*inputs, ("--data", args.data), ("--scheduler", args.scheduler)])
    log = dv.read_log(
        args.file,
        loss=args.loss,
        timestep=args.timestep,
        sigma=args.sigma,
        logsnr=args.logsnr,
        step=args.step,
        run=args.run_name,
        scheduler=args.scheduler,
        base=args.base,
        dim=args.dim,
        last=args.last,
        decay=args.decay,
    )
    print(log)
    floor = dv.floor(read_stored(args.data), log.middle) if args.data else None
    _print_loss(log)
    if args.csv:
        weighting = log.table()[:, 1]
        columns = np.column_stack([log.middle, log.mean, log.stderr, log.spent[1:-1], weighting])
        head = "logsnr,loss,stderr,spent,weighting"
        np.savetxt(args.csv, columns, delimiter=",", header=head, comments="")
    if args.out:
        print(plots.save(log.plot(floor=floor).figure, args.out))  # type: ignore[arg-type]
    if args.report:
        _write_report(args, log, args.line, floor=floor, title=f"Loss of {args.file}")


def _print_loss(log: Any) -> None:
    """Print the loss by log-SNR, a row for each bin that has been seen."""
    print(f"\n{'logsnr':>8}{'eps error':>12}{'stderr':>10}{'draws':>10}{'spent':>8}")
    rows = zip(log.middle, log.mean, log.stderr, log.count[1:-1], log.spent[1:-1], strict=True)
    for middle, mean, stderr, draws, spent in rows:
        if draws:
            print(f"{middle:8.2f}{mean:12.4g}{stderr:10.2g}{draws:10.0f}{spent:8.1%}")


def write_figures(args: argparse.Namespace) -> None:
    """Write the registered figures; ``gallery`` parses the options."""
    from diffviz.lab.figures import gallery

    gallery.main(args.rest)


def write_slides(args: argparse.Namespace) -> None:
    """Write a deck of slides; ``slides`` parses the options."""
    from diffviz.lab import slides

    slides.main(args.rest)


def write_popular(args: argparse.Namespace) -> None:
    """Print what popular settings weight; or write it as a table and a picture into a folder."""
    from diffviz.lab.experiments import popular

    if args.out is None:
        print(popular.markdown(popular.rows()), end="")
        return
    from diffviz.lab import figures

    folder = place(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "popular-settings.inc"
    table.write_text(popular.markdown(popular.rows()), encoding="utf-8", newline="\n")
    print(table)
    print(*figures.write(["popular-settings"], folder, "png"))


def run_search(args: argparse.Namespace) -> None:
    """Search for the best weighting; ``search.command`` parses the options."""
    from diffviz.search import command

    command.main(args.rest)


def copy_notebooks(args: argparse.Namespace) -> None:
    """Copy the notebooks, with the pictures that they show, into a folder."""
    require(args.folder, "the name of the folder is empty; '.' is the current folder")
    folder = place(args.folder)
    sources = sorted([*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("*.png")])
    refuse_to_overwrite(folder, sources, args.force)
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    print(f"{len(sources)} files are in {folder}; open them with")
    print(f"  jupyter lab {folder}")
    missing = [name for name in ("torch", "ipywidgets", "jupyterlab") if not installed(name)]
    if missing:
        print(f"They need {', '.join(missing)}: pip install 'diffviz[lab]'")


def refuse_to_overwrite(folder: Path, sources: list[Path], force: bool) -> None:
    """Raise an OSError where the folder is a file, or holds files of these names without force."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the notebooks")
    present = [source.name for source in sources if (folder / source.name).exists()]
    if present and not force:
        raise FileExistsError(
            f"{folder} already holds {len(present)} of these files, such as {present[0]}; "
            "name another folder, or overwrite them with --force"
        )


def installed(package: str) -> bool:
    """Whether a package is there to be imported."""
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def show_cache(args: argparse.Namespace) -> None:
    """Print where results are kept, and how much is; or remove them."""
    from diffviz.compute import cache

    place = cache.folder()
    if place is None:
        print(f"off, by {cache.VARIABLE}")
        return
    require(
        not place.is_file(),
        f"{cache.VARIABLE} names {place}, which is a file; name a folder, or off",
        NotADirectoryError,
    )
    if args.action == "clear":
        cache.clear()
    size, entries = cache.size()
    require(
        args.action != "clear" or not entries,
        f"{entries} results are still in {place}: you have no right to remove them, or another "
        "process has just written them",
        OSError,
    )
    print(f"{place}: {size / 1e6:.1f} MB, {entries} results")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``run`` of what it parses is the function of the command."""
    top = argparse.ArgumentParser(
        "python -m diffviz", description="What does this diffusion loss really optimise?"
    )
    top.add_argument("--version", action="version", version=f"diffviz {diffviz.__version__}")
    commands = top.add_subparsers(required=True, metavar="command", dest="command")

    command = commands.add_parser("list", help="the catalogue as a table")
    command.add_argument("--family", help="only this family")
    command.set_defaults(run=list_objectives)

    command = commands.add_parser("show", help="everything about one objective")
    command.add_argument("name", help="an entry of the catalogue, such as edm")
    _add_report(command)
    command.set_defaults(run=show_objective)

    command = commands.add_parser("plot", help="weighting curves of named objectives")
    command.add_argument(
        "names", nargs="+", metavar="name", help="entries to draw, such as sd3 edm"
    )
    command.add_argument("--out", required=True, help="svg, pdf or png file")
    command.add_argument(
        "--base", default="eps", choices=BASES, help="error that w acts on (default: eps)"
    )
    command.set_defaults(run=plot_objectives)

    command = commands.add_parser(
        "figures", help="write the figures (all by default)", add_help=False
    )
    command.set_defaults(run=write_figures)

    command = commands.add_parser("slides", help="write a deck of the figures", add_help=False)
    command.set_defaults(run=write_slides)

    command = commands.add_parser(
        "search", help="measure which weighting is best for a data set and a goal", add_help=False
    )
    command.set_defaults(run=run_search)

    _add_probe(commands)
    _add_settings(commands)
    _add_log(commands)

    command = commands.add_parser("popular", help="what popular settings really weight")
    command.add_argument("--out", metavar="DIR", help="write the table and a picture to a folder")
    command.set_defaults(run=write_popular)

    command = commands.add_parser("cache", help="where results of experiments are kept")
    command.add_argument("action", nargs="?", choices=("clear",), help="clear: remove them")
    command.set_defaults(run=show_cache)

    command = commands.add_parser("notebooks", help="copy the notebooks into a folder")
    command.add_argument("folder", help="where they go; it is made if it does not exist")
    command.add_argument("--force", action="store_true", help="overwrite files that are there")
    command.set_defaults(run=copy_notebooks)
    return top


def _add_report(command: Any) -> None:
    """Add the option ``--report``."""
    command.add_argument("--report", metavar="FILE", help="html page or png to share")


def _add_probe(commands: Any) -> None:
    """Add the command ``probe`` with its options."""
    command = commands.add_parser("probe", help="what a training loss of your own weights")
    command.add_argument("loss", help="module:function, for a function loss(model, x) -> tensor")
    command.add_argument("--shape", default="2", help="of one datum, e.g. 3,32,32 (default: 2)")
    command.add_argument("--batch", type=int, default=64, help="data points (default: 64)")
    command.add_argument(
        "--draws", type=int, default=20_000, help="noise levels to record (default: 20000)"
    )
    command.add_argument("--inputs", help="position or keyword of z among the network's arguments")
    command.add_argument("--output", help="name of the network's output that the loss reads")
    command.add_argument("--model", help="dotted name of the network, for a loss(x)")
    command.add_argument("--scale", type=float, help="factor of the data inside the loss")
    command.add_argument(
        "--mode",
        choices=("stratified", "as-is"),
        default="stratified",
        help="quantiles in the place of times, or the loss's own (default: stratified)",
    )
    command.add_argument("--json", metavar="FILE", help="write the measurement to this file")
    command.add_argument("--csv", metavar="FILE", help="write λ and w to this file")
    command.add_argument("--out", help="svg, pdf or png file for the plot")
    _add_report(command)
    command.set_defaults(run=probe_loss)


def _add_settings(commands: Any) -> None:
    """Add the command ``settings`` with its options."""
    command = commands.add_parser("settings", help="what a trainer's options really weight")
    command.add_argument(
        "text", help="a command line, TOML, YAML or JSON in quotes; a file of these; - for stdin"
    )
    command.add_argument("--trainer", help="the trainer, where the settings do not show it")
    command.add_argument("--model", help="the model, where the settings do not say it")
    command.add_argument("--tokens", type=int, help="tokens of an image, for shifts by resolution")
    command.add_argument(
        "--explain", action="store_true", help="list each option, from where, and its effect"
    )
    command.add_argument("--json", action="store_true", help="print all of it as JSON")
    _add_report(command)
    command.set_defaults(run=read_settings)


def _add_log(commands: Any) -> None:
    """Add the command ``log`` with its options."""
    command = commands.add_parser("log", help="where the loss of a finished run is")
    command.add_argument("file", help="JSON lines, CSV, event file, or a folder with one")
    command.add_argument("--loss", metavar="COLUMN", help="column of losses (default: by name)")
    command.add_argument("--timestep", metavar="COLUMN", help="column of timesteps")
    command.add_argument("--sigma", metavar="COLUMN", help="column of sigmas")
    command.add_argument("--logsnr", metavar="COLUMN", help="column of log-SNR")
    command.add_argument("--step", metavar="COLUMN", help="column of training steps")
    command.add_argument("--run", dest="run_name", help="name or number of the run")
    command.add_argument(
        "--scheduler", help="entry of the catalogue, scheduler_config.json, or settings in quotes"
    )
    command.add_argument("--base", help="what was logged: eps, x, v, u, weighted or an entry")
    command.add_argument("--dim", type=int, help="components that the loss is a mean over")
    command.add_argument("--last", type=float, help="share of the steps that count (default: 0.5)")
    command.add_argument("--decay", type=float, help="decay a step, in the place of --last")
    command.add_argument(
        "--data", help="file of points as they were trained on, whose floor is drawn under the loss"
    )
    command.add_argument("--csv", metavar="FILE", help="write the loss by log-SNR to this file")
    command.add_argument("--out", help="svg, pdf or png file for the plot")
    _add_report(command)
    command.set_defaults(run=read_log)


OWN_OPTIONS = (write_figures, write_slides, run_search)  # commands that parse their own options


def _escape_what_cannot_be_encoded() -> None:
    """Let a terminal that has no λ show its code, so that no measurement is lost to encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 2 where the input is wrong, with a sentence on stderr.
    """
    _escape_what_cannot_be_encoded()
    top = parser()
    args, rest = top.parse_known_args(argv)
    if rest and args.run not in OWN_OPTIONS:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    args.line = shlex.join(["python", "-m", "diffviz", *(sys.argv[1:] if argv is None else argv)])
    try:
        with extras.needed_by(f"python -m diffviz {args.command}"):
            args.run(args)
    except BrokenPipeError:  # a reader such as head has had enough
        sys.stdout = None
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"diffviz: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
