"""Each note appears where its assumption fails, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffviz.probing.coefficients import Assumptions, Method
from diffviz.probing.dropped import Dropped, nothing_dropped
from diffviz.probing.first_look import FirstLook
from diffviz.probing.notes import NOTES, Evidence, any_is_grave, write_notes

ASSUMPTIONS = Assumptions(torch.ones(64))
FIRST_LOOK = FirstLook(
    assumptions=ASSUMPTIONS,
    tolerance=2e-3,
    components=64,
    one_level=False,
    factor_readable=True,
    notes=(),
)
RESIDUALS = dict.fromkeys(("data", "noise", "target", "apart", "squared", "factor"), 0.0)
FINE = Evidence(FIRST_LOOK, RESIDUALS, lost=0.0, kurtosis=3.0)


def assuming(**changes):
    return replace(
        FINE, first_look=replace(FIRST_LOOK, assumptions=replace(ASSUMPTIONS, **changes))
    )


def off(**residuals):
    return replace(FINE, residuals=RESIDUALS | residuals)


FAILURES = {
    "few bits": replace(FINE, first_look=replace(FIRST_LOOK, tolerance=0.05)),
    "gave no finite log-SNR": replace(FINE, lost=0.001),
    "in 0.5 of the samples the data do not reach the network": replace(
        FINE,
        dropped=Dropped(np.array([True, False]), np.ones(2), "the data do not reach the network"),
    ),
    "0.25 of the draws have a weight of 0 at levels at which others": replace(FINE, skipped=0.25),
    "0.25 of the draws have a weight of 0; they count": replace(FINE, unweighted=0.25),
    "0.25 of the draws have a negative weight": replace(FINE, negative=0.25),
    "data reach the network changed": assuming(changed_data=True),
    "noise is not made of recorded draws": assuming(estimated_noise=True),
    "the noise is not Gaussian (kurtosis 1.80)": replace(
        assuming(estimated_noise=True, external_noise=True), kurtosis=1.8
    ),
    "the target holds other noise than z (off by 0.1)": off(apart=0.1),
    "the target is no a x + b eps (off by 0.1)": off(target=0.1),
    "in 0.08 of the draws z or the target is made otherwise": replace(FINE, misread=0.08),
    "in 0.08 of the draws the target is another one": replace(FINE, other_targets=0.08),
    "the target is a multiple of z": replace(FINE, of_z_alone=True),
    "factors at the same λ scatter by 0.1": off(factor=0.1),
    "the factor cannot be told": replace(
        FINE, first_look=replace(FIRST_LOOK, factor_readable=False)
    ),
}


def test_there_is_nothing_to_say_of_a_loss_that_keeps_all_assumptions():
    assert write_notes(FINE) == []


@pytest.mark.parametrize("text", FAILURES)
def test_one_assumption_that_fails_gives_one_note(text):
    (note,) = write_notes(FAILURES[text])
    assert text in note


def test_every_note_is_tested():
    assert len(NOTES) == len(FAILURES) + 1  # that on levels of lost draws comes beside another


def test_lost_draws_whose_levels_are_not_told_are_said_to_make_w_scatter():
    evidence = replace(FINE, lost=0.1, dropped=nothing_dropped(told=False))
    lost, levels = write_notes(evidence)
    assert "0.1 of the draws gave no finite log-SNR" in lost
    assert "w scatters as those that are left" in levels
    assert any_is_grave(evidence)
    assert not any_is_grave(replace(FINE, lost=0.1))


def test_noise_that_was_not_drawn_by_torch_is_said_by_the_first_look_alone():
    assert write_notes(assuming(estimated_noise=True, external_noise=True)) == []


def test_averages_over_components_are_no_failing_target():
    averaged = assuming(method=Method.TWO_OUTPUTS)
    assert write_notes(replace(averaged, residuals=RESIDUALS | {"target": 0.1})) == []


def test_a_kurtosis_of_few_components_is_too_noisy_to_be_said():
    few = replace(assuming(estimated_noise=True, external_noise=True), kurtosis=1.8)
    assert write_notes(replace(few, first_look=replace(few.first_look, components=8))) == []
