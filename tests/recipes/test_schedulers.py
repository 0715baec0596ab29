"""Every scheduler class of diffusers is read as it is, or refused for its reason."""

import inspect

import diffusers
import numpy as np
import pytest
from cells import in_one_test
from real_schedulers import (
    NAMES,
    double_precision,
    in_double,
    logsnr_of_alphas,
    logsnr_of_flow,
    real_class,
)

import diffviz as dv
from diffviz.recipes import schedulers
from diffviz.recipes.betas import BETA_SCHEDULES
from diffviz.recipes.schedulers import BETA_TABLE, CLASSES, EDM, FLOW, REFUSED
from diffviz.recipes.schemes import UNIFORM
from diffviz.theory.targets import EPS, U, X

BETA_CLASSES = [name for name, row in CLASSES.items() if row.kind is BETA_TABLE]
FLOW_CLASSES = [name for name, row in CLASSES.items() if row.kind is FLOW]
EDM_CLASSES = [name for name, row in CLASSES.items() if row.kind is EDM]
FLOW_SOLVERS = [name for name, row in CLASSES.items() if "use_flow_sigmas" in row.defaults]
# parameters of the read classes that bear on sampling only
SAMPLING = {
    "algorithm_type",
    "clip_sample",
    "clip_sample_range",
    "corrector_order",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "eta",
    "euler_at_final",
    "final_sigmas_type",
    "interpolation_type",
    "invert_sigmas",
    "lambda_min_clipped",
    "lower_order_final",
    "predict_x0",
    "predictor_order",
    "sample_max_value",
    "set_alpha_to_one",
    "shift_terminal",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "stochastic_sampling",
    "steps_offset",
    "tau_func",
    "thresholding",
    "timestep_spacing",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "variance_type",
    "kwargs",
    "noise_sampler_seed",
}


def named(name, **entries):
    return {"_class_name": name} | entries


def steps_of(name, **entries):
    """The steps that we read off a config of a class."""
    reading = schedulers.read(named(name, **entries))
    return reading.steps(reading.config)


def test_every_class_of_diffusers_is_read_or_refused():
    assert set(NAMES) == set(CLASSES) | set(REFUSED)
    assert not set(CLASSES) & set(REFUSED)


@in_one_test
@pytest.mark.parametrize("name", CLASSES)
def test_the_entries_of_a_class_are_its_parameters_and_have_its_defaults(name):
    parameters = inspect.signature(real_class(name).__init__).parameters
    theirs = {key: one.default for key, one in parameters.items() if key != "self"}
    ours = CLASSES[name].defaults
    assert {key: theirs[key] for key in ours} == dict(ours)
    bounds_of_sampling = set() if CLASSES[name].kind is EDM else {"sigma_min", "sigma_max"}
    edm_prediction = {"prediction_type"} if CLASSES[name].kind is EDM else set()
    assert set(theirs) - set(ours) <= SAMPLING | bounds_of_sampling | edm_prediction


@in_one_test
@pytest.mark.parametrize("schedule", BETA_SCHEDULES)
@pytest.mark.parametrize("name", BETA_CLASSES)
def test_levels_are_the_alphas_of_the_class(name, schedule):
    entries = {"beta_schedule": schedule, "num_train_timesteps": 60}
    if schedule not in CLASSES[name].beta_schedules:
        with pytest.raises((NotImplementedError, ValueError)):
            real_class(name)(**entries)
        with pytest.raises(ValueError, match=f"{name}: beta_schedule '{schedule}' does not apply"):
            steps_of(name, **entries)
        return
    real = logsnr_of_alphas(in_double(name, entries))
    np.testing.assert_allclose(steps_of(name, **entries).logsnr, real, rtol=1e-9, atol=1e-9)


@in_one_test
@pytest.mark.parametrize("name", BETA_CLASSES)
def test_ends_and_zero_snr_are_those_of_the_class(name):
    defaults = CLASSES[name].defaults
    entries = {"num_train_timesteps": 50, "rescale_betas_zero_snr": True, "snr_shift_scale": 2.0}
    entries |= {"beta_start": 0.001, "beta_end": 0.03, "beta_schedule": "scaled_linear"}
    entries = {key: value for key, value in entries.items() if key in defaults}
    if "beta_start" not in defaults:
        del entries["beta_schedule"]
    scheduler = in_double(name, entries)
    real = logsnr_of_alphas(scheduler)
    np.testing.assert_allclose(steps_of(name, **entries).logsnr, real, rtol=1e-9, atol=1e-9)
    assert ("rescale_betas_zero_snr" in defaults) == (real[-1] < -15)


@in_one_test
@pytest.mark.parametrize("name", BETA_CLASSES)
def test_trained_betas_are_taken_where_the_class_takes_them(name):
    betas = np.geomspace(1e-4, 0.3, 9)
    if "trained_betas" in CLASSES[name].defaults:
        given = betas if name == "RePaintScheduler" else betas.tolist()
        real = logsnr_of_alphas(in_double(name, {"trained_betas": given, "num_train_timesteps": 9}))
        ours = steps_of(name, trained_betas=betas.tolist(), num_train_timesteps=9).logsnr
        np.testing.assert_allclose(ours, real, rtol=1e-9, atol=1e-9)
    else:
        note = dv.from_diffusers(named(name, trained_betas=betas)).note
        assert "Without effect on the training: trained_betas" in note


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", FLOW_CLASSES)
def test_flow_sigmas_are_those_of_the_class(name, shift):
    entries = {"num_train_timesteps": 40, "shift": shift}
    scheduler = in_double(name, entries)
    steps = steps_of(name, **entries)
    np.testing.assert_allclose(steps.logsnr, logsnr_of_flow(scheduler.sigmas), atol=1e-9)
    np.testing.assert_allclose(scheduler.timesteps, 40 * scheduler.sigmas, rtol=1e-12)
    assert steps.target is U


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
@pytest.mark.parametrize("name", EDM_CLASSES)
def test_edm_sigmas_are_those_of_the_class(name, schedule):
    entries = {"num_train_timesteps": 30, "sigma_schedule": schedule}
    entries |= {"sigma_min": 0.01, "sigma_max": 50.0, "rho": 5.0}
    real = in_double(name, entries).sigmas[:30].numpy()  # the examples draw from these
    steps = steps_of(name, **entries)
    np.testing.assert_allclose(steps.logsnr, -2 * np.log(real), rtol=1e-9, atol=1e-9)
    assert steps.target is X


def test_edms_weight_has_the_sigma_data_of_the_config():
    config = named("EDMEulerScheduler", sigma_data=1.0)
    assert "sigma_data" not in dv.from_diffusers(config).note
    ours = dv.from_diffusers(config, "edm")
    assert ours.multiplier(0.0) == dv.multipliers.edm(1.0)(0.0)
    assert dv.from_diffusers(config, "edm", sigma_data=2.0).multiplier(0.0) != ours.multiplier(0.0)


def flow_solver_levels(name, **entries):
    """λ of the steps of a real solver with flow sigmas, without its first and its last."""
    entries |= {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    scheduler = in_double(name, entries | {"num_train_timesteps": 40})
    with double_precision():
        scheduler.set_timesteps(20)
        return logsnr_of_flow(scheduler.sigmas.numpy())[1:-1]


@pytest.mark.parametrize("name", FLOW_SOLVERS)
def test_solvers_with_flow_sigmas_train_flow_matching_with_their_shift(name):
    entries = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    plain = steps_of("FlowMatchEulerDiscreteScheduler", num_train_timesteps=40).logsnr
    real = flow_solver_levels(name, flow_shift=5.0) - flow_solver_levels(name, flow_shift=1.0)
    reading = schedulers.read(named(name, flow_shift=5.0, num_train_timesteps=40, **entries))
    steps = reading.steps(reading.config)
    np.testing.assert_allclose(steps.logsnr[1:] - plain[1:], np.mean(real), atol=1e-9)
    np.testing.assert_allclose(real, np.mean(real), atol=1e-9)
    assert steps.target is U
    assert "flow_shift is the sampler's" in " ".join(reading.remarks)
    assert steps_of(name, **(entries | {"prediction_type": "epsilon"})).target is EPS
    with pytest.raises(ValueError, match="prediction_type of flow matching 'v_prediction'"):
        steps_of(name, **(entries | {"prediction_type": "v_prediction"}))


REASONS = {
    "LCMScheduler": "distilled",
    "SCMScheduler": "Give the scheduler of the teacher",
    "CMStochasticIterativeScheduler": "distilled",
    "CosineDPMSolverMultistepScheduler": "v on the cosine path, which its config does not state",
    "IPNDMScheduler": "states no training schedule",
    "VQDiffusionScheduler": "discrete tokens",
    "ScoreSdeVpScheduler": "draws time continuously",
    "HeliosScheduler": "in stages",
}


@in_one_test
@pytest.mark.parametrize("name", REFUSED)
def test_a_class_without_a_training_is_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=f"^{name} .*{REASONS.get(name, '')}") as error:
        dv.from_diffusers(named(name, num_train_timesteps=1000, beta_schedule="linear"))
    for quoted in str(error.value).split("dv.objective('")[1:]:
        dv.objective(quoted.split("'")[0])


def test_a_real_object_is_refused_as_its_config_is():
    for scheduler in (diffusers.LCMScheduler(), diffusers.CMStochasticIterativeScheduler()):
        with pytest.raises(ValueError, match="distilled"):
            dv.from_diffusers(scheduler)


class OwnDDPM(diffusers.DDPMScheduler):
    """A scheduler that somebody derived."""


def test_an_object_is_read_by_its_class_even_a_derived_one():
    config = {"beta_schedule": "scaled_linear"}
    ours = dv.from_diffusers(OwnDDPM(**config))
    assert ours.identity == dv.from_diffusers(named("DDPMScheduler", **config)).identity
    assert ours.note == ""
    # a config keeps the name of the class that it was saved by
    euler = diffusers.EulerDiscreteScheduler.from_config(named("PNDMScheduler", **config))
    assert dv.from_diffusers(euler).name == "EulerDiscreteScheduler"


def test_an_unknown_class_is_answered_with_the_way_out():
    with pytest.raises(ValueError, match=r"CLASSES lists all 27\); .* leave _class_name out"):
        dv.from_diffusers(named("FlowUniPCMultistepScheduler", shift=3.0))


@pytest.mark.parametrize("entries", [{}, {"use_karras_sigmas": True}])
def test_the_samplers_config_of_stable_video_diffusion_is_refused(entries):
    config = named("EulerDiscreteScheduler", beta_schedule="scaled_linear", sigma_max=700.0)
    config |= {"prediction_type": "v_prediction", "timestep_type": "continuous"} | entries
    for given in (config, {key: config[key] for key in config if key != "_class_name"}):
        with pytest.raises(ValueError, match="states no law of training"):
            dv.from_diffusers(given)


def test_a_flow_config_that_carries_betas_is_flow_matching():
    config = named("FlowMatchEulerDiscreteScheduler", shift=3.0, num_train_timesteps=1000)
    carried = {"beta_schedule": "linear", "beta_start": 1e-4, "prediction_type": "epsilon"}
    ours = dv.from_diffusers(config | carried)
    assert ours.identity == dv.from_diffusers(config).identity
    assert ours.target is U
    assert (
        ours.note.split(". ")[-1]
        == "Without effect on the training: beta_schedule, beta_start, prediction_type."
    )
    with pytest.raises(ValueError, match="beta_schedule, shift, which belong to different"):
        dv.from_diffusers({**config, **carried, "_class_name": None})


def test_a_flow_config_with_sigma_data_is_flow_matching():
    config = named("FlowMatchEulerDiscreteScheduler", shift=1.0, num_train_timesteps=1000)
    cosmos = {"sigma_data": 1.0, "sigma_max": 80.0, "sigma_min": 0.002}
    ours = dv.from_diffusers(config | cosmos)
    assert ours.identity == dv.from_diffusers(config).identity
    assert "Without effect on the training: sigma_data, sigma_max, sigma_min." in ours.note


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (named("DDPMSchedular"), "unknown scheduler 'DDPMSchedular'; did you mean 'DDPMScheduler'"),
        (named("DDPMScheduler", use_flow_sigmas=True), "DDPMScheduler does not know use_flow"),
        (named("DDPMScheduler", prediction_type="flow_prediction"), "prediction_type"),
        (named("DDPMScheduler", beta_schedule=None), "beta_schedule None does not apply"),
        (named("DDPMScheduler", trained_betas=[0.1, 0.2]), "num_train_timesteps is 1000"),
        (named("EDMEulerScheduler", sigma_schedule="cosine"), "sigma_schedule"),
        (named("EDMEulerScheduler", sigma_min=2.0, sigma_max=1.0), "sigma_min"),
        ({"sigma_data": 1.0, "shift": 1.0}, "which belong to different schedulers"),
        ({"beta_schedule": "linear", "use_flow_sigmas": True}, "lacks flow_shift"),
        ({"sigma_data": 1.0}, "lacks"),
    ],
)
def test_contradictions_and_gaps_are_refused_in_words(config, says):
    with pytest.raises(ValueError, match=says):
        dv.from_diffusers(config)


def test_the_classes_for_flax_state_what_those_for_torch_state():
    flax = dv.from_diffusers(named("FlaxDDIMScheduler", num_train_timesteps=10))
    torch = dv.from_diffusers(named("DDIMScheduler", num_train_timesteps=10))
    assert flax.identity == torch.identity


def test_a_class_name_that_is_no_text_is_a_type_error():
    with pytest.raises(TypeError, match="_class_name must be text"):
        dv.from_diffusers({"_class_name": 3})


def test_without_a_class_the_note_says_what_was_assumed():
    config = dict(diffusers.DDPMScheduler().config)
    assert "read by its entries, as a scheduler of the kind 'beta table'" in (
        dv.from_diffusers(config).note
    )
    flow = {"num_train_timesteps": 1000, "flow_shift": 3.0, "use_flow_sigmas": True}
    assert "of the kind 'flow'" in dv.from_diffusers(flow).note


def test_the_note_says_what_the_class_filled_in_and_what_only_samples():
    note = dv.from_diffusers(
        named("DDPMScheduler", beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
        | {"timestep_spacing": "trailing", "thresholding": True, "variance_type": "learned_range"}
    ).note
    assert "As the class sets it: num_train_timesteps 1000, prediction_type epsilon." in note
    assert "Without effect on the training: thresholding, timestep_spacing." in note
    assert "The loss of the variance (learned_range) is not counted." in note
    flow = named("FlowMatchEulerDiscreteScheduler", shift=3.0, num_train_timesteps=9)
    flow |= {"invert_sigmas": True, "shift_terminal": 0.1, "use_karras_sigmas": True}
    real = diffusers.FlowMatchEulerDiscreteScheduler(
        **{key: value for key, value in flow.items() if key != "_class_name"}
    )
    ours = dv.from_diffusers(flow)
    np.testing.assert_allclose(
        steps_of(flow["_class_name"], shift=3.0, num_train_timesteps=9).logsnr[1:],
        logsnr_of_flow(real.sigmas.double())[1:],
        atol=1e-4,  # theirs are float32
    )
    assert "training: invert_sigmas, use_karras_sigmas, shift_terminal." in ours.note


def test_the_step_that_a_sampler_keeps_is_an_atom():
    entries = {"rescale_betas_zero_snr": True, "num_train_timesteps": 20}
    kept = dv.from_diffusers(named("EulerDiscreteScheduler", **entries))
    lost = dv.from_diffusers(named("DDIMScheduler", **entries))
    assert len(kept.law.dist.levels) == 20 and "left out" not in kept.note
    assert len(lost.law.dist.levels) == 19 and "left out" in lost.note
    assert kept.law.dist.levels[0] == pytest.approx(-24 * np.log(2), abs=1e-6)


def test_uniform_time_takes_each_step_equally_often():
    assert UNIFORM.cdf(0.25) == 0.25
    law = dv.from_diffusers(named("UnCLIPScheduler", num_train_timesteps=8)).law.dist
    np.testing.assert_allclose(law.mass, 1 / 8)


FLOW_CLASS = "FlowMatchEulerDiscreteScheduler"


@pytest.mark.parametrize(
    ("config", "settings", "error", "says"),
    [
        (
            {"_class_name": FLOW_CLASS, "num_train_timesteps": 1},
            {},
            ValueError,
            "num_train_timesteps=1 steps 0 hold signal",
        ),
        (
            {"_class_name": FLOW_CLASS, "use_dynamic_shifting": "true"},
            {},
            ValueError,
            "unknown use_dynamic_shifting 'true': it is text, so leave out its quotes",
        ),
        ({"_class_name": FLOW_CLASS}, {"weighting": ["mode"]}, ValueError, "does not apply"),
        ({"_class_name": FLOW_CLASS}, {"weighting": ""}, ValueError, "does not apply"),
        ({"_class_name": "DDPMScheduler", "beta_end": 1.0}, {}, ValueError, "got 1 at step 999"),
        ("scheduler_config.json", {}, TypeError, r"pass what json\.load returns"),
    ],
)
def test_odd_values_are_refused_by_their_name(config, settings, error, says):
    with pytest.raises(error, match=says):
        dv.from_diffusers(config, **settings)


def test_mu_may_be_an_array_of_one_number():
    config = {"_class_name": FLOW_CLASS, "use_dynamic_shifting": True}
    one = dv.from_diffusers(config, mu=[1.15])
    assert one.law.median() == dv.from_diffusers(config, mu=1.15).law.median()
