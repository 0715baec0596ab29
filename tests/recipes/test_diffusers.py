"""The schedulers and training weights of diffusers, run with an oracle, against objectives."""

import copy
import pickle
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from diffusers.training_utils import (
    compute_density_for_timestep_sampling,
    compute_loss_weighting_for_sd3,
    compute_snr,
)

import diffviz as dv
from diffviz.recipes.diffusers import BETA_SCHEDULES, KINDS, from_diffusers
from diffviz.theory.targets import EPS

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def bump(logsnr, centre=0.0):
    """The squared eps error that an imaginary model makes at each level."""
    return np.exp(-(((logsnr - centre) / 3) ** 2))


def loss_of(objective, centre=0.0):
    """½ ∫ w bump dλ, bin by bin of the atoms' histogram."""
    low, high = objective.law.support()
    grid = np.linspace(low, high, 400_001)
    grid = (grid[1:] + grid[:-1]) / 2
    return 0.5 * (objective.weighting(grid) * bump(grid, centre)).sum() * (high - low) / len(grid)


def scheduler_loss(scheduler, weight, centre):
    """The training loss of the examples over every timestep, with the noising of the scheduler.

    With x, eps = (1, 0) and (0, 1) the noising gives alpha and sigma.
    """
    steps = torch.arange(scheduler.config.num_train_timesteps)
    one, zero = torch.ones(len(steps), 1), torch.zeros(len(steps), 1)
    alpha, sigma = scheduler.add_noise(one, zero, steps), scheduler.add_noise(zero, one, steps)
    eps_off = torch.sqrt(torch.as_tensor(bump(2 * torch.log(alpha / sigma).numpy(), centre)))
    x_off = -sigma / alpha * eps_off
    kind = scheduler.config.prediction_type
    # the target is linear, so its error is what the scheduler makes of the errors
    off = {"epsilon": eps_off, "sample": x_off}.get(kind)
    off = scheduler.get_velocity(x_off, eps_off, steps) if off is None else off
    return (weight(steps) * off[:, 0] ** 2).double()[alpha[:, 0] > 0].mean().item()


def min_snr_of_the_examples(scheduler, gamma):
    """train_text_to_image.py."""

    def weight(steps):
        snr = compute_snr(scheduler, steps)
        least = torch.minimum(snr, torch.tensor(gamma))
        return {"epsilon": least / snr, "v_prediction": least / (snr + 1), "sample": least}[
            scheduler.config.prediction_type
        ]

    return weight


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize(
    ("schedule", "centre"),
    [
        ({}, 0),
        (SD, 1),
        ({"beta_schedule": "squaredcos_cap_v2"}, -1),
        ({"beta_schedule": "sigmoid"}, 0),
        ({"trained_betas": np.linspace(1e-4, 0.02, 1000).tolist()}, 0),
        (SD | {"num_train_timesteps": 500}, 2),
    ],
)
def test_beta_tables_train_the_loss_that_diffusers_trains(kind, schedule, centre):
    scheduler = diffusers.DDPMScheduler(prediction_type=kind, **schedule)
    plain = scheduler_loss(scheduler, lambda steps: 1.0, centre)
    assert loss_of(from_diffusers(scheduler), centre) == pytest.approx(plain, rel=2e-3)
    weighted = scheduler_loss(scheduler, min_snr_of_the_examples(scheduler, 5.0), centre)
    assert loss_of(from_diffusers(scheduler, "min_snr", gamma=5.0), centre) == pytest.approx(
        weighted, rel=2e-3
    )


@pytest.mark.parametrize(
    ("cls", "config"),
    [
        (diffusers.DDPMScheduler, {"beta_schedule": "laplace"}),
        (diffusers.DDIMScheduler, SD),
        (diffusers.DDPMScheduler, {"beta_schedule": "sigmoid"}),
        (diffusers.EulerDiscreteScheduler, {}),
        (diffusers.CogVideoXDDIMScheduler, {}),
        (diffusers.DDIMScheduler, {"beta_schedule": "squaredcos_cap_v2"}),
    ],
)
def test_levels_are_the_schedulers_own_alphas_cumprod(cls, config):
    scheduler = cls(**config)
    ours = from_diffusers(scheduler)
    alphas = scheduler.alphas_cumprod.double().numpy()
    levels = np.sort(np.log(alphas) - np.log1p(-alphas))
    edges = ours.law.ppf(np.arange(1, len(levels)) / len(levels))
    np.testing.assert_allclose(
        edges, (levels[1:] + levels[:-1]) / 2, atol=2e-3
    )  # theirs are float32
    assert "left out" not in ours.note


def test_the_step_without_signal_is_left_out_and_named():
    scheduler = diffusers.DDIMScheduler(
        rescale_betas_zero_snr=True, prediction_type="v_prediction", **SD
    )
    ours = from_diffusers(scheduler)
    assert "left out" in ours.note and "0.001" in ours.note
    assert np.isfinite(ours.law.support()).all() and ours.law.support()[0] < -15
    assert loss_of(ours) == pytest.approx(
        scheduler_loss(scheduler, lambda steps: 1.0, 0.0), rel=3e-3
    )


def sd3_loss(scheduler, scheme, preconditioned, n=400_000, **options):
    """The loss of train_dreambooth_sd3.py, with an oracle whose eps error is the bump."""
    draws = {"logit_mean": 0.0, "logit_std": 1.0, "mode_scale": 1.29} | options
    u = compute_density_for_timestep_sampling(
        scheme, n, generator=torch.Generator().manual_seed(0), **draws
    )
    sigma = scheduler.sigmas[(u * scheduler.config.num_train_timesteps).long()].double()
    sigma = sigma[sigma < 1]
    alpha = 1 - sigma
    eps_off = torch.as_tensor(bump(2 * torch.log(alpha / sigma).numpy())).sqrt()
    x_off = -sigma / alpha * eps_off
    pred_off = eps_off - x_off  # the model is trained to give noise - model_input
    off = -sigma * pred_off if preconditioned else pred_off
    return (compute_loss_weighting_for_sd3(scheme, sigma) * off**2).mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("preconditioned", [True, False])
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("none", {}),
        ("logit_normal", {"logit_mean": 0.5, "logit_std": 0.8}),
        ("mode", {"mode_scale": 0.81}),
        ("cosmap", {}),
        ("sigma_sqrt", {}),
    ],
)
def test_flow_matching_trains_the_loss_that_diffusers_trains(
    scheme, options, shift, preconditioned
):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    ours = from_diffusers(scheduler, scheme, precondition_outputs=preconditioned, **options)
    assert loss_of(ours) == pytest.approx(
        sd3_loss(scheduler, scheme, preconditioned, **options), rel=1e-2
    )


def test_logit_mean_has_the_opposite_sign_to_sd3():
    ours = from_diffusers(
        diffusers.FlowMatchEulerDiscreteScheduler(), "logit_normal", logit_mean=0.5
    )
    assert ours.law.mean() == pytest.approx(+1.0, abs=0.02)
    assert dv.families.flow(0.5).law.mean() == pytest.approx(-1.0)
    assert dv.compare(ours, dv.families.flow(-0.5), np.linspace(-5, 4, 300)).deviation < 0.05


def test_dynamic_shifting_trains_on_the_plain_table():
    one, plain = (
        from_diffusers(diffusers.FlowMatchEulerDiscreteScheduler(**c))
        for c in ({"shift": 3.0, "use_dynamic_shifting": True}, {})
    )
    assert one.law.support() == plain.law.support()


@pytest.mark.parametrize(
    "config",
    [{}, {"sigma_schedule": "exponential"}, {"sigma_data": 1.0, "rho": 5.0, "sigma_min": 0.01}],
)
def test_edm_levels_and_preconditioning_are_the_schedulers_own(config):
    scheduler = diffusers.EDMEulerScheduler(**config)
    sigma = scheduler.sigmas[:1000].double()
    eps_off = torch.as_tensor(bump(-2 * torch.log(sigma).numpy())).sqrt()
    data = scheduler.config.sigma_data
    zero = torch.zeros(1000, 1, dtype=torch.float64)
    # the error of the preconditioned output comes from the network's: x = c_skip z + c_out F
    x_off = -sigma * eps_off
    c_out = torch.cat(
        [
            scheduler.precondition_outputs(z, z + 1, s[None].float())
            for z, s in zip(zero, sigma, strict=True)
        ]
    )
    assert torch.allclose(
        (sigma * data / (sigma**2 + data**2).sqrt())[:, None],
        c_out.double().reshape(1000, 1),
        rtol=1e-5,
    )
    assert loss_of(from_diffusers(scheduler)) == pytest.approx((x_off**2).mean().item(), rel=1e-3)
    weighted = ((sigma**2 + data**2) / (sigma * data) ** 2 * x_off**2).mean().item()
    assert loss_of(from_diffusers(scheduler, "edm", sigma_data=data)) == pytest.approx(
        weighted, rel=1e-3
    )


def test_a_config_says_the_same_as_its_scheduler_and_dv_finds_the_door():
    for scheduler in (
        diffusers.DDPMScheduler(**SD),
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        diffusers.EDMEulerScheduler(),
    ):
        one, two = (
            dv.from_diffusers(scheduler),
            dv.from_diffusers(dict(scheduler.config) | {"_class_name": type(scheduler).__name__}),
        )
        assert one.name == two.name and dv.compare(one, two, np.linspace(-4, 6, 50)).deviation == 0


def test_tables_come_near_the_catalogues_continuous_limits():
    table = from_diffusers(diffusers.DDPMScheduler())
    assert dv.compare(table, dv.objective("ddpm-linear"), np.linspace(-8, 4, 200)).deviation < 0.02
    sd2 = diffusers.DDPMScheduler(prediction_type="v_prediction", **SD)
    assert (
        dv.compare(
            from_diffusers(sd2), dv.objective("sd2-v-scaled-linear"), np.linspace(-4.5, 3, 200)
        ).deviation
        < 0.05
    )
    edm_style = from_diffusers(diffusers.EDMEulerScheduler())
    assert (
        dv.compare(
            edm_style, dv.objective("diffusers-edm-style"), np.linspace(-8, 12, 200)
        ).deviation
        < 0.01
    )


def test_a_callable_is_the_multiplier_on_the_targets_own_error():
    ours = from_diffusers(diffusers.DDPMScheduler(prediction_type="sample"), np.exp)
    assert (
        dv.compare(
            ours, from_diffusers(diffusers.DDPMScheduler()), np.linspace(-8, 6, 99)
        ).deviation
        < 1e-12
    )


TABLE, FLOW, EDM = (
    diffusers.DDPMScheduler(),
    diffusers.FlowMatchEulerDiscreteScheduler(),
    diffusers.EDMEulerScheduler(),
)


@pytest.mark.parametrize(
    ("scheduler", "weighting", "options", "says"),
    [
        (TABLE, "logit_normal", {}, "take none, min_snr"),
        (FLOW, "min_snr", {}, "take none, logit_normal"),
        (EDM, "min_snr", {}, "take none, edm"),
        (diffusers.DDPMScheduler(prediction_type="v_prediction"), "p2", {}, "eps error"),
        (FLOW, "cosmap", {"logit_mean": 0.5}, "no effect"),
        (TABLE, "min_snr", {"k": 2}, "no effect"),
        (TABLE, None, {"precondition_outputs": True}, "no effect"),
        (TABLE, "min_snr", {"gamma": 0}, "gamma"),
        (FLOW, "mode", {"mode_scale": 3.0}, "mode scale"),
        (FLOW, "logit_normal", {"logit_std": -1.0}, "std"),
        (FLOW, np.exp, {"gamma": 1}, "no effect"),
        (
            {"beta_schedule": "linera"}
            | {"beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 9},
            None,
            {},
            "scaled_linear",
        ),
        ({"beta_schedule": "linear"}, None, {}, "lacks"),
        ({"num_train_timesteps": 1000}, None, {}, "betas, flow matching or EDM"),
        (dict(TABLE.config) | {"prediction_type": "flow"}, None, {}, "v_prediction"),
        (dict(TABLE.config) | {"trained_betas": [0.1, 1.5]}, None, {}, "within"),
        (dict(TABLE.config) | {"trained_betas": [0.1, np.nan]}, None, {}, "finite"),
        (dict(TABLE.config) | {"use_flow_sigmas": True}, None, {}, "FlowMatch"),
        (dict(FLOW.config) | {"shift": 0.0}, None, {}, "shift"),
    ],
)
def test_what_does_not_apply_is_refused_with_the_way_out(scheduler, weighting, options, says):
    with pytest.raises(ValueError, match=says):
        from_diffusers(scheduler, weighting, **options)


@pytest.mark.parametrize("std", [0.3, 0.5, 0.7, 1.0])
def test_a_table_of_a_narrow_law_is_that_law(std):
    """Steps in its tails are drawn with a probability down to 1e-130."""
    config = {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": 1.0,
    }
    table = dv.from_diffusers(config, "logit_normal", logit_std=std)
    law = dv.paths.push_forward(dv.laws.logit_normal(0, std), dv.paths.LINEAR)
    assert dv.compare(table, replace(dv.objective("fm-ot"), law=law)).same


def test_a_table_with_steps_that_are_never_drawn_is_itself():
    config = {"_class_name": "DDPMScheduler", "prediction_type": "epsilon"}
    path = dv.from_diffusers(config).path
    weight = np.ones(1000)
    weight[[300, 301, 900]] = 0
    table = dv.from_weighting({"timestep": np.arange(1000), "weight": weight}, path=path)
    assert dv.compare(table, table).deviation == 0
    assert len(dv.equivalent([table, copy.deepcopy(table)])) == 1


def test_a_table_of_which_most_steps_are_not_drawn_agrees_on_the_others():
    level, even = np.linspace(-6, 8, 50), np.ones(50)
    some = np.where(np.arange(50) < 30, 0.0, 1.0)
    edm = dv.objective("edm")
    one, other = (replace(edm, law=dv.laws.atoms(level, mass)) for mass in (even, some))
    for pair, elsewhere in (((one, other), np.inf), ((other, one), 0.0)):
        ratio = dv.compare(*pair).ratio
        np.testing.assert_allclose(ratio[30:], 1)
        assert (ratio[:30] == elsewhere).all()


def test_schemes_and_tables_pickle_and_copy():
    functions = [scheme for kind in KINDS for scheme in kind.schemes.values()]
    for function in (*functions, *BETA_SCHEDULES.values()):
        assert pickle.loads(pickle.dumps(function)) == copy.deepcopy(function) == function
    scheme = pickle.loads(pickle.dumps(KINDS[2].schemes["cosmap"]))(EPS)
    assert scheme.multiplier(0.0) == pytest.approx(4 / np.pi)


@pytest.mark.parametrize("bad", [None, "ddpm", 3])
def test_what_is_no_scheduler_is_a_type_error(bad):
    with pytest.raises(TypeError, match="diffusers scheduler"):
        from_diffusers(bad)


def test_a_config_without_a_class_is_called_config():
    config = dict(diffusers.DDPMScheduler().config)
    config.pop("_class_name", None)
    assert from_diffusers(config).name == "config"
    assert from_diffusers(config, "min_snr").name == "config min_snr"


@pytest.mark.parametrize(("std", "is_noted"), [(1.0, False), (4.0, True)])
def test_a_step_without_signal_is_noted_if_it_is_drawn(std, is_noted):
    config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0}
    config["num_train_timesteps"] = 1000
    note = from_diffusers(config, "logit_normal", logit_std=std).note
    # sigma = 1 is drawn with u below 1/1000, that is with logit below −6.9 of a normal law
    assert ("One step without signal" in note) == is_noted
