"""A report: verdicts by a paired t-test, and what it says of failures and of one seed."""

import types

import numpy as np
import pytest
from scipy import stats

from diffviz.search import report
from diffviz.search.experiment import search


def compared(second):
    surface = types.SimpleNamespace(values=np.zeros((7, 4)))
    return report.Search({}, surface, second)


def test_verdicts_are_those_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    seeds = 3 * rng.standard_normal(8)
    second = {"optimum": seeds + 0.1 * rng.standard_normal(8)}
    second |= {
        f"{difference:.2f}": seeds + difference + 0.1 * rng.standard_normal(8)
        for difference in np.linspace(-0.3, 0.3, 13)
    }
    found = compared(second)
    for name, values in second.items():
        if name == "optimum":
            continue
        test = stats.ttest_rel(values, second["optimum"])
        kind = report.WORSE if test.statistic > 0 else report.BETTER
        kind = report.ALIKE if test.pvalue > 0.05 else kind
        assert name in found.verdicts[kind]
        low, high = test.confidence_interval()
        assert found.beside[name] == pytest.approx(((low + high) / 2, (high - low) / 2))
        assert found.apart(name, "optimum") == found.beside[name]
        back, half = found.apart("optimum", name)
        assert (-back, half) == pytest.approx(found.beside[name])
    with pytest.raises(ValueError, match="candidate"):
        found.apart("optimum", "nobody")
    assert all(found.verdicts[kind] for kind in (report.WORSE, report.BETTER, report.ALIKE))


@pytest.mark.parametrize(
    ("optimum", "other"),
    [
        (np.zeros(3), np.array([1, np.nan, 1])),
        (np.full(3, np.nan), np.ones(3)),
        (np.zeros(1), np.ones(1)),
    ],
    ids=["a failure", "a failed optimum", "one seed"],
)
def test_a_failure_or_one_seed_has_no_verdict(optimum, other):
    assert compared({"optimum": optimum, "a": other}).verdicts["no verdict"] == ["a"]


def test_a_second_round_without_the_optimum_is_refused():
    with pytest.raises(ValueError, match="must have an 'optimum'"):
        compared({"a": np.zeros(3)})


def test_one_seed_says_that_there_is_no_estimate_of_the_noise(untrained):
    text = str(search(points=7, seeds=1, steps=10))
    assert "one seed: no estimate of the noise" in text
    assert "no verdict: fm-ot" in text
    assert "nan" not in text


def test_a_report_has_a_row_for_each_point_coefficient_and_candidate(untrained, fast):
    found = search(**fast)
    lines = str(found).splitlines()
    assert lines[0] == "likelihood on ring8: held-out −ELBO [nats], less is better"
    assert lines[1] == "logit-normal, 7 points x 2 seeds, 10 steps of 256, levels by law 'same'"
    points, coefficients = lines.index("") + 1, lines.index("", 4) + 1
    assert coefficients - points == 1 + 7 + 1
    assert lines[coefficients + 6].endswith("std std")
    assert sum(line.startswith("optimum: ") for line in lines) == 2
    assert all(sum(line.startswith(name) for line in lines) >= 1 for name in found.second)
