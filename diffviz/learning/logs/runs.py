"""Which samples of a log count: one run, and of it the last steps.

The steps of a run go up. Where they fall back a little, the run was resumed from a checkpoint and
the steps that were made again replace those before. Where they start anew, another run begins.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import markup
from diffviz.checks import require
from diffviz.learning.logs.cells import Samples

SHOWN = 8  # names of runs in a message
CHANCE = 1e-9  # probability below which the levels of two halves are called others
FEWEST = 200  # samples in each half from which on they are compared
DISTANCE = 0.05  # of the distribution functions of both halves from which on it is mentioned


def one_run(samples: Samples, run: Any) -> tuple[Samples, list[str]]:
    """The samples of one run, or of those that are named.

    Args:
        samples: All samples of the log.
        run: Name of a run, or its number where the log has no names; a list of them; None for the
            only one.

    Returns:
        The samples, and what to note.

    Raises:
        ValueError: There are several runs and none is named, or there is no such run.
    """
    number, starts, notes = _runs_by_step(samples)
    if samples.run is not None and len(set(samples.run)) > 1:
        labels, names = samples.run, list(dict.fromkeys(samples.run))
    else:
        labels, names = number, list(range(len(starts)))
    if len(names) == 1 and run is None:
        return samples.at(_is_kept(samples)), notes
    if run is None:
        listed = ", ".join(map(repr, names[:SHOWN])) + (" ..." if len(names) > SHOWN else "")
        how = ""
        if labels is number:
            times = markup.counted(len(names) - 1, "time")
            how = (
                f": the steps start anew {times}; if that is an epoch, name a column of steps "
                "that go on by step="
            )
        raise ValueError(
            f"the log holds {len(names)} runs{how}; pass run={names[0]!r}, or a list of them to "
            f"take them together ({listed})"
        )
    return _of_runs(samples, labels, names, _chosen(run, names))


def _of_runs(
    samples: Samples, labels: NDArray, names: list[Any], chosen: list[Any]
) -> tuple[Samples, list[str]]:
    """The samples of the runs that are asked for, and what to note."""
    counted = np.zeros(len(samples), dtype=bool)
    notes = []
    for name in chosen:
        of_run = labels.astype(str) == str(name)
        part = samples.at(of_run)
        notes += _runs_by_step(part)[2]
        counted[of_run] = _is_kept(part)
    which = ", ".join(map(str, chosen))
    if len(chosen) == 1:
        notes.append(f"run {which} of {len(names)}")
    else:
        notes.append(f"runs {which} of {len(names)} taken together, each with its last steps")
    return samples.at(counted), notes


def _chosen(run: Any, names: list[Any]) -> list[Any]:
    """The names that are asked for, as they stand in the log."""
    asked = list(run) if isinstance(run, list | tuple) else [run]
    known = {str(name): name for name in names}
    require(asked, "run is an empty list; name a run")
    for one in asked:
        require(
            str(one) in known,
            f"run={one!r} is not in the log; it holds {', '.join(map(repr, names[:SHOWN]))}",
        )
    return [known[str(one)] for one in asked]


def _runs_by_step(samples: Samples) -> tuple[NDArray, NDArray, list[str]]:
    """Number of the run of each sample, where runs start, and notes on what was resumed."""
    step = samples.step
    falls = np.flatnonzero(np.diff(step) < 0) + 1
    if samples.run is not None:  # a run of another name starts where it likes
        falls = falls[samples.run[falls] == samples.run[falls - 1]]
    starts = [0]
    resumed = []
    for place in falls:
        if step[place] <= step[starts[-1]]:
            starts.append(int(place))
        else:
            resumed.append(int(place))
    notes = [
        f"resumed at step {step[place]:g} after step {step[place - 1]:g}: the steps between were "
        "made again, and the later ones count"
        for place in resumed
    ]
    number = np.searchsorted(starts, np.arange(len(step)), side="right") - 1
    return number, np.array(starts), notes


def _is_kept(samples: Samples) -> NDArray:
    """By sample of one run whether its step was not made again, shape (n,)."""
    starts = np.flatnonzero(np.diff(samples.step) < 0) + 1
    resumed_at = np.r_[samples.step[starts], np.inf]
    least_later = np.minimum.accumulate(resumed_at[::-1])[::-1]
    times = np.searchsorted(starts, np.arange(len(samples)), side="right")
    return samples.step < least_later[times]


def is_among_last_steps(samples: Samples, last: float) -> NDArray:
    """By sample whether it belongs to the last share of the steps of its run, shape (n,)."""
    runs = _runs_by_step(samples)[0]
    if samples.run is not None and len(set(samples.run)) > 1:
        runs = samples.run
    counted = np.zeros(len(samples), dtype=bool)
    for one in np.unique(runs):
        step = samples.step[runs == one]
        steps = np.unique(step)
        first = min(int(np.floor(len(steps) * (1 - last) + 1e-9)), len(steps) - 1)
        counted[runs == one] = step >= steps[first]
    return counted


def changes(samples: Samples, logsnr: NDArray) -> list[str]:
    """Settings that change on the way, and levels that are drawn differently later.

    Args:
        samples: The samples of a run, in their order.
        logsnr: Their λ in nats, shape (n,).

    Returns:
        What to note.
    """
    notes = []
    for name, values in samples.settings.items():
        told = np.flatnonzero(values != "")
        changed = np.flatnonzero(values[told][1:] != values[told][:-1])
        for before, place in zip(told[changed][:SHOWN], told[changed + 1][:SHOWN], strict=True):
            notes.append(
                f"{name} changes from {values[before]} to {values[place]} at step "
                f"{samples.step[place]:g}; last= leaves out what was before"
            )
    return notes + _other_levels(samples, logsnr)


def _other_levels(samples: Samples, logsnr: NDArray) -> list[str]:
    """A note where the second half of a run draws other levels than the first."""
    half = len(logsnr) // 2
    parts = [part[np.isfinite(part)] for part in (logsnr[:half], logsnr[half:])]
    if min(map(len, parts)) < FEWEST:
        return []
    test = stats.ks_2samp(*parts, method="asymp")
    if test.pvalue > CHANCE or test.statistic < DISTANCE:
        return []
    before, after = (np.median(part) for part in parts)
    return [
        f"the levels of the second half, from step {samples.step[half]:g}, are drawn differently "
        f"from those of the first (median λ {after:.2g}, {before:.2g} before): were settings "
        "changed?"
    ]
