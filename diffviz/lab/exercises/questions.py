"""The questions that notebooks ask before they answer. Each truth is computed."""

import math
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit

from diffviz.few_steps.objectives import LOGIT_NORMAL, few_step
from diffviz.lab.exercises.predictions import Choice, Number, prediction
from diffviz.lab.experiments import (
    elbo,
    few_steps,
    forward_process,
    masked,
    perception,
    policy,
    prior,
    roads,
    sampling,
    schedule,
    search,
    side_by_side,
    tracking,
    training,
)
from diffviz.masked import noises
from diffviz.masked.entries import masked_objective
from diffviz.perception import sensitivities
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis, elbo_mixture, paths
from diffviz.theory import prior as prior_theory

YES, NO = "yes", "no"
HARDLY, TEN, FAR_MORE = "hardly at all", "about ten", "more than a thousand"
NOTHING = "nothing about the networks"
UNDECIDED = "it cannot be told"
OF_EPS = "projection of ε"
FLOW, ALIKE = "flow matching", "all about alike"


# --- notebook 0 ---------------------------------------------------------------------------------


def _targets_differ() -> str:
    """Whether the errors of x̂ and ε̂ have one ratio at a level, whatever the error."""
    alpha, sigma = np.sqrt(expit(2.0)), np.sqrt(expit(-2.0))
    z, errors = 0.3, np.array([0.1, -0.4, 2.0])
    ratios = ((z - sigma * (0.5 + errors)) / alpha - (z - sigma * 0.5) / alpha) / errors
    same = bool(np.ptp(ratios) < 1e-12)
    return "only in how strongly each noise level counts" if same else "in what they have to know"


prediction(
    "three-networks",
    Choice(
        "One network predicts the noise, one the picture, one a mixture of both. In what do their "
        "losses differ?",
        {
            "in what they have to know": "Whoever knows z and the noise also knows the picture.",
            "only in how strongly each noise level counts": (
                "At one noise level the squared errors differ by a factor that depends on λ alone."
            ),
            "in nothing": "The factor between the squared errors depends on the noise level.",
        },
        _targets_differ,
    ),
)


# --- notebook 1 ---------------------------------------------------------------------------------


def _shape_of_eps() -> str:
    """Where the weighting of ε-prediction with the cosine schedule is largest."""
    noise, middle, data = CATALOGUE["iddpm-cosine"].weighting([-8.0, 0.0, 8.0])
    if noise == middle == data:
        return "nowhere: it is constant"
    return "in the middle" if middle > max(noise, data) else "at one of the ends"


def _one_weighting() -> str:
    """In what flow matching and v-prediction with the cosine schedule differ."""
    pair = CATALOGUE["fm-ot"], CATALOGUE["v-cosine"]
    if not analysis.compare(*pair).same:
        return "in the network that is best"
    noise = [schedule.draw_variance(one.law) for one in pair]  # of one draw of the same loss
    return "in nothing" if noise[0] == noise[1] else "in how noisily the loss is seen"


def _on_the_x_error() -> str:
    """What flow matching's weighting does on the error of x."""
    noise, data = CATALOGUE["fm-ot"].weighting([-8.0, 8.0], base="x")
    return "it rises towards data" if data > noise else "it falls towards data, as before"


def _trimmed_ends() -> str:
    """The ends of λ at which SD3 weights less than flow matching, relative to λ = 0."""
    levels = [-8.0, 0.0, 8.0]
    ratio = CATALOGUE["sd3"].weighting(levels) / CATALOGUE["fm-ot"].weighting(levels)
    noise, data = (bool(ratio[end] < ratio[1]) for end in (0, 2))
    both = {(True, True): "both, by the same factor", (True, False): "the noise end"}
    return both.get((noise, data), "the data end")


def _which_are_elbos() -> str:
    """Which of three objectives have a weighting that never rises."""
    names = ("fm-ot", "edm", "sd3")
    falling = [name for name in names if analysis.verdict(CATALOGUE[name]).monotone]
    return {("fm-ot",): "flow matching alone", (): "none"}.get(tuple(falling), "all three")


prediction(
    "unweighted-eps",
    Choice(
        "The ε loss of DDPM is called unweighted: c = 1 and gain = 1. With the cosine schedule, "
        "where is its weighting w largest?",
        {
            "nowhere: it is constant": "The density of λ is a factor of w, and it is not flat.",
            "in the middle": (
                "w is twice the density of λ here, and the schedule passes λ = 0 slowest."
            ),
            "at one of the ends": "The schedule rushes through both ends.",
        },
        _shape_of_eps,
    ),
)
prediction(
    "one-weighting",
    Choice(
        "Two recipes have the same weighting, but draw their noise levels with different "
        "densities. In what do their losses differ?",
        {
            "in the network that is best": "Each is the same function of the network on average.",
            "in how noisily the loss is seen": (
                "A level that is drawn seldom counts more each time, and that makes a loss noisy."
            ),
            "in nothing": "On average they do not. But a training sees single draws.",
        },
        _one_weighting,
    ),
)
prediction(
    "on-the-x-error",
    Choice(
        "On the ε error, flow matching's weighting falls by a factor of e^8 from λ = −8 to λ = 8. "
        "The same loss is now written with the squared error of x. What does its weighting do?",
        {
            "it falls towards data, as before": "The errors of x and ε differ by a factor in λ.",
            "it rises towards data": "On x it is e^λ times as large, and e^(λ − λ/2) rises.",
            "it is flat": "Flat it is on no error but one between ε and x.",
        },
        _on_the_x_error,
    ),
)
prediction(
    "trimmed-ends",
    Choice(
        "Stable Diffusion 3 draws its times from a logit-normal law in the place of a uniform one. "
        "Which end of λ loses weight, relative to λ = 0?",
        {
            "the noise end": "It does, and so does the other end.",
            "the data end": "It does, and so does the other end.",
            "both, by the same factor": "The law of logit t is even about 0, before and after.",
        },
        _trimmed_ends,
    ),
)
prediction(
    "which-are-elbos",
    Choice(
        "Of flow matching, EDM and SD3: which have a weighting that never rises with λ?",
        {
            "all three": "Two of them have a peak at the noise end.",
            "flow matching alone": "EDM and SD3 rise up to a peak at the noise end.",
            "none": "Flow matching falls as e^(−λ/2) everywhere.",
        },
        _which_are_elbos,
    ),
)


# --- notebook 2 ---------------------------------------------------------------------------------


def _beyond_ten() -> float:
    """Percent of the cosine schedule's draws beyond |λ| = 10."""
    return float(200 * paths.COSINE.schedule.sf(10))


def _price_of_uniform() -> float:
    """Variance of one draw under uniform λ over that under the cosine density."""
    even, cosine = (schedule.SAMPLERS[name] for name in ("uniform λ on [−15, 15]", "cosine"))
    return schedule.draw_variance(even) / schedule.draw_variance(cosine)


def _gain_of_one_draw() -> float:
    """Factor by which the best density lowers the variance of one draw on the digits."""
    gains = list(tracking.variance_gains(tracking.COMPARED).values())
    return float(gains[1]["iddpm-cosine"][0])


def _quietest_rule() -> str:
    """The density with the least E Y² of three, on the ring of eight."""
    moments = tracking.ring_moments()[0]
    densities = {
        "Kingma–Gao: p ∝ w · E‖ε̂ − ε‖²": tracking.FM.weighting(tracking.MIDDLE) * moments,
        "the plain cosine schedule": paths.COSINE.schedule.pdf(tracking.MIDDLE),
        "flow matching's own uniform t": paths.LINEAR.schedule.pdf(tracking.MIDDLE),
    }
    return min(densities, key=lambda name: tracking.over_least(densities[name]))


prediction(
    "beyond-ten",
    Number(
        "The cosine schedule with t drawn uniformly: which percentage of the draws lies beyond "
        "|λ| = 10?",
        _beyond_ten,
        "In time the ends look long; in probability they are almost nothing.",
        "%",
    ),
)
prediction(
    "price-of-uniform",
    Number(
        "The density p has cancelled from the mean, and stays in the variance of one draw. How "
        "many times as large is that variance under uniform λ as under the cosine density?",
        _price_of_uniform,
        "Most of its draws go where the loss is almost 0. The few in the middle are weighted up.",
    ),
)
prediction(
    "quietest-rule",
    Choice(
        "Flow matching's weighting, the ring of eight, the exact denoiser: which of these three "
        "densities makes the value of the loss least noisy?",
        {
            "Kingma–Gao: p ∝ w · E‖ε̂ − ε‖²": (
                "It follows the mean of the error. The least noise needs the root of its mean "
                "square."
            ),
            "the plain cosine schedule": "It learns nothing and is close to the best here.",
            "flow matching's own uniform t": "It looks a little too often at both ends.",
        },
        _quietest_rule,
    ),
)

prediction(
    "gain-of-one-draw",
    Number(
        "A network is trained on digits of 64 dimensions. Its loss is that of ε with the cosine "
        "schedule. By which factor does the best density lower the variance of one draw of the "
        "value?",
        _gain_of_one_draw,
        "The density does not fit, and the dimensions are many. So nearly all of that noise comes "
        "from λ, and a density can remove it.",
    ),
)


# --- notebook 3 ---------------------------------------------------------------------------------


def _smallest_loss() -> str:
    """Whether the exact denoiser itself has different losses under the five objectives."""
    known = side_by_side.known("ring8")
    least = [side_by_side.least_loss(one, known) for one in training.chosen()]
    return NOTHING if max(least) > 2 * min(least) else "which network is best"


def _whom_width_helps() -> str:
    """Whose excess at λ = −6 falls by the largest factor in the wider network."""
    small, large = training.excesses(training.SMALL), training.excesses(training.LARGE)
    at = abs(training.GRID + 6).argmin()
    gain = {name: (small[name] - large[name])[:, at].mean() for name in training.NAMES}
    best = max(gain, key=lambda name: gain[name])
    return {"fm-ot": FLOW, "elbo": "the ELBO"}.get(best, ALIKE)


def _lead_of_edm() -> str:
    """Who is ahead at λ = 4 where EDM and the ELBO draw the same levels."""
    at = abs(training.GRID - 4).argmin()
    gap = training.control().gaps("edm")
    if not gap.excludes_zero[at]:
        return UNDECIDED
    return "EDM" if gap.mean[at] < 0 else "the ELBO"


def _whose_samples_stray_least() -> str:
    """The level whose excess goes best with the share of samples astray, at two widths."""
    networks = [training.at_width(width) for width in (training.SMALL, training.LARGE)]
    pairs = [(one, name) for one in networks for name in training.NAMES]
    astray = [one.astray[name] for one, name in pairs]
    labels = {-6.0: "at low SNR, λ = −6", 4.0: "in the middle, λ = 4", 10.0: "at high SNR, λ = 10"}
    goes_with = {
        level: stats.spearmanr(
            [one.excess_at(name, level) for one, name in pairs], astray
        ).statistic
        for level in labels
    }
    return labels[max(goes_with, key=lambda level: goes_with[level])]


def _where_the_floor_is_known() -> str:
    """The end of λ at which 4,000 images tell the floor."""
    band = training.fashion_floor()
    known = band.logsnr[band.known()]
    return "at the noise end" if known.max() < 0 else "at the data end"


prediction(
    "smallest-loss",
    Choice(
        "Five objectives train the same network on the same data, and each reports its own loss. "
        "What does the smallest of the five tell you?",
        {
            "which network is best": "Even the exact denoiser has five different losses.",
            NOTHING: "Each is the error in units of its own, and most of it is noise.",
            "which objective is the easiest": "A factor in front of an objective changes its loss.",
        },
        _smallest_loss,
    ),
)
prediction(
    "whom-width-helps",
    Choice(
        "The network gets eight times as wide. For whom does the excess at λ = −6 fall by the "
        "largest factor?",
        {
            "the ELBO": (
                "It has the most excess there, but its weight says that this level matters no "
                "more than λ = 4."
            ),
            FLOW: "Its weight there is the largest beside that of λ = 4, so it uses the new room.",
            ALIKE: "Room is spent where the weighting asks for it.",
        },
        _whom_width_helps,
    ),
)
prediction(
    "lead-of-edm",
    Choice(
        "On three seeds EDM had the least excess of the five at λ = 4. Now it and the ELBO draw "
        "the same λ, on five seeds. Who is ahead there?",
        {
            "EDM": "Its lead on three seeds may have been chance, or due to where it looks.",
            "the ELBO": "Its mean is a little ahead, but well within the interval.",
            UNDECIDED: "The difference is smaller than its interval over the seeds.",
        },
        _lead_of_edm,
    ),
)
prediction(
    "who-strays-least",
    Choice(
        "At which level does a network's excess go most with its share of samples that lie "
        "between the modes?",
        {
            "at low SNR, λ = −6": "There a sample has chosen no mode yet.",
            "in the middle, λ = 4": "There the modes part, and a sample takes one of them.",
            "at high SNR, λ = 10": "There a sample is inside its mode, or already astray.",
        },
        _whose_samples_stray_least,
    ),
)
prediction(
    "where-the-floor-is-known",
    Choice(
        "From 4,000 images of clothing, at which noise levels can the least possible loss be told?",
        {
            "at the noise end": "There noise hides which image it was, and 4,000 stand for all.",
            "in the middle": "There a noisy image is already nearest to its own original.",
            "at the data end": "There each image is told from all others.",
        },
        _where_the_floor_is_known,
    ),
)


# --- notebook 4 ---------------------------------------------------------------------------------


def _what_is_the_weighting() -> str:
    """Which product of the parts of EDM's loss has the shape of its weighting."""
    logsnr = np.linspace(-4, 8, 49)
    sigma = np.exp(-logsnr / 2)
    factor = (sigma**2 + 0.25) / (0.5 * sigma) ** 2
    density = stats.norm(2.4, 2.4).pdf(logsnr)
    products = {
        "the variable as it is": factor,
        "the variable times the density of λ": factor * density,
        "the variable times the density of λ times σ²": factor * density * sigma**2,
    }
    known = CATALOGUE["edm"].weighting(logsnr)
    return min(products, key=lambda name: float(np.std(np.log(products[name] / known))))


def _probe_of_huber() -> str:
    """What the probe says of Huber's loss."""
    import torch

    import diffviz as dv
    from diffviz.lab import losses

    x = dv.toy("moons").sample(256, torch.Generator().manual_seed(1)).float()
    measured = dv.probe(losses.huber, x)
    if any("not a squared loss" in note for note in measured.notes):
        return "the curve of small errors, and a warning"
    return "the curve of a square"


prediction(
    "probe-of-huber",
    Choice(
        "The loss of Huber is probed: flow matching, with a gradient that is clipped where an "
        "error is above ½. What should the probe say of its weighting?",
        {
            "nothing: it has none": "For errors below ½ it has one, that of the plain square.",
            "the curve of a square": "That holds for small errors only, and a reader should know.",
            "the curve of small errors, and a warning": (
                "It also says how much smaller the factor is at a larger error."
            ),
        },
        _probe_of_huber,
    ),
)
prediction(
    "where-is-the-weighting",
    Choice(
        "The network predicts x, and the variable “weight” is the factor on its error. What is the "
        "weighting on the ε error?",
        {
            "the variable as it is": "How often each level is drawn counts as well.",
            "the variable times the density of λ": (
                "That is the weighting on the error of x. An error of ε̂ moves x̂ by σ/α as much."
            ),
            "the variable times the density of λ times σ²": (
                "Multiplier, density and gain², which is σ²/α² for the target x, and α is 1 here."
            ),
        },
        _what_is_the_weighting,
    ),
)


# --- notebook 5 ---------------------------------------------------------------------------------


def _coarse_stack() -> float:
    """Nats of the diffusion term with ten layers, on N(0, 1)."""
    import torch

    import diffviz as dv

    one = torch.ones(1, 1)
    bound = dv.elbo(dv.toy("gaussian"), one, levels=10, finite=True, exact=True)
    return bound.diffusion.item()


def _beats_the_bound() -> str:
    """Whether −ELBO of x = 2 is below −log p under N(0, 1)."""
    import torch

    import diffviz as dv

    bound = dv.elbo(dv.toy("gaussian"), torch.full((1, 1), 2.0), levels=10, exact=True)
    return YES if bound.nats.item() < 2 + math.log(2 * math.pi) / 2 else NO


def _minus_sign_of_edm() -> str:
    """The end of λ at which EDM's weighting rises."""
    peak = analysis.verdict(CATALOGUE["edm"]).peak
    return "at the noise end" if peak < 0 else "at the data end"


def _negative_part() -> str:
    """How much of EDM's mixture is negative on the ring of eight, in words."""
    share = elbo.negative_share("edm", "ring8")
    if share < 0.02:
        return "less than a fiftieth"
    return "about a quarter" if share < 0.6 else "nearly as much as is positive"


prediction(
    "coarse-stack",
    Number(
        "Data N(0, 1), the perfect denoiser, λ from −10 to 10. With very many layers the diffusion "
        "term is 5 nats. How many nats does it cost with ten?",
        _coarse_stack,
        "A layer of length Δλ costs e^Δλ − 1 where a thin one costs Δλ, and here Δλ is 2.",
        "nats",
    ),
)
prediction(
    "beat-the-bound",
    Choice(
        "Data N(0, 1), the perfect denoiser, x = 2. Can −ELBO(x) be below −log p_data(x)?",
        {
            YES: "The stack's density is smoothed by noise, and larger than p_data in the tails.",
            NO: "The bound holds for the stack's own density, which is not exactly p_data.",
        },
        _beats_the_bound,
    ),
)
prediction(
    "minus-sign",
    Choice(
        "EDM's weighting rises somewhere, and there ELBOs count with a minus sign. Where?",
        {
            "at the data end": "There EDM's weighting falls.",
            "at the noise end": "It rises up to λ ≈ −3.3, where L(λ) is almost 0.",
        },
        _minus_sign_of_edm,
    ),
)
prediction(
    "negative-share",
    Choice(
        "EDM's w falls by nearly as much as it rises, and it rises below λ ≈ −3.3. Counted by the "
        "size of the ELBOs, how much of its mixture is negative on ring8, over what is positive?",
        {
            "nearly as much as is positive": "So it would be if L were the same at all λ.",
            "about a quarter": "L starts at almost 0, and grows to many nats at the data end.",
            "less than a fiftieth": "The red area looks large, but L is almost 0 where it lies.",
        },
        _negative_part,
    ),
)


# --- notebook 6 ---------------------------------------------------------------------------------


def _less_for_fine_changes() -> float:
    """How many times less flow matching counts a change at c = 0.01 than at c = 1."""
    flow = CATALOGUE["fm-ot"]
    return elbo_mixture.gain(flow) / elbo_mixture.gain(flow, 0.01)


def _flat_or_monotone() -> str:
    """Which of two surrogates follows the log-ratio of a coarse and a fine change better."""
    found = policy.flatness()
    default, flow = found[policy.DEFAULT], found["fm-ot"]
    return "FPO's default" if default.correlation > flow.correlation else "flow matching"


def _first_to_lose_a_goal() -> str:
    """The method whose seeds have lost a goal at the least reward, on average over them."""
    rewards = {name: [_loss_of_goals(one) for one in policy.learned(name)] for name in LEARNERS}
    means = {name: np.mean(values) for name, values in rewards.items()}
    return min(means, key=lambda name: means[name]) if min(means.values()) < np.inf else NEITHER


def _loss_of_goals(history: Any) -> float:
    """The reward at which a run first has fewer goals than at the start; infinite if never."""
    kept = np.array(history.goals)
    lost = kept < kept[0]
    return float(history.reward[lost.argmax()]) if lost.any() else np.inf


def _clip_of_six() -> float:
    """The true ratio at which FPO's clip acts, for six components of which the mean is taken."""
    return float((1 + CLIP) ** (6 / elbo_mixture.gain(policy.WEIGHTINGS[policy.DEFAULT])))


CLIP = 0.05  # of FPO
LEARNERS = ("FPO", "AWR")
NEITHER = "neither"


prediction(
    "fine-changes",
    Number(
        "How many times less does flow matching count a change of a policy at variance 0.01 than "
        "one at variance 1?",
        _less_for_fine_changes,
        "Its gain is √c times a constant, and √0.01 is a tenth.",
        "times",
    ),
)
prediction(
    "flat-or-monotone",
    Choice(
        "A policy changes in a coarse way and in a fine way at once. Flow matching's w never "
        "rises, that of FPO's default rises up to λ = 0 and is flatter. Under which of them does "
        "the loss follow the log-ratio better?",
        {
            "flow matching": (
                "Its loss is a sum of ELBOs of noised data, but it hardly counts the fine."
            ),
            "FPO's default": "What matters is that both changes get nearly the same factor.",
        },
        _flat_or_monotone,
    ),
)
prediction(
    "first-to-lose-a-goal",
    Choice(
        "FPO and AWR learn from such a loss, and nobody asks them to keep all four goals. Which "
        "loses one at the lower reward?",
        {
            "FPO": "Its clip lets an action gain only so much from one batch.",
            "AWR": "It has no clip, and more draws. The runs do not say which of the two it is.",
            NEITHER: "Nothing in their objectives asks for more than one goal.",
        },
        _first_to_lose_a_goal,
    ),
)
prediction(
    "clip-of-six",
    Number(
        "The action of a robot has six components, and the loss of FPO's default is their mean. At "
        "which true ratio does a clip at 1.05 act, for changes at variance 1?",
        _clip_of_six,
        "The exponent is κ(1)/6 = 0.036, so the true ratio is 1.05 to the power of 28.",
    ),
)


# --- notebook 7 ---------------------------------------------------------------------------------


def _prior_nats() -> float:
    """Nats of the prior term at Stable Diffusion's last level, 64² dark images."""
    return float(prior.kl([prior.TERMINAL["Stable Diffusion"]]).total[0])


def _kept_darkness() -> float:
    """Percent of the mean brightness that samples keep there."""
    level = prior.TERMINAL["Stable Diffusion"]
    return 100 * float(prior_theory.terminal_bias(level, 1.0, 64**2 * 0.05)[0])


def _left_spread() -> float:
    """Percent of the spread of brightness with offset noise in training only."""
    level = prior.TERMINAL["Stable Diffusion"]
    return 100 * float(prior.offset_bias(level, 0.1, also_at_start=False)[1])


def _most_bent() -> str:
    """The variance of the data at which S over the energy is largest."""
    variances = {0.01: "c = 0.01, much narrower", 1.0: EQUAL_LAWS, 100.0: "c = 100, much wider"}
    bends = {c: math.sqrt(c) * (2 - math.pi / 2) for c in variances}
    ratios = {c: bend / (bend + (1 - math.sqrt(c)) ** 2) for c, bend in bends.items()}
    return variances[max(ratios, key=lambda c: ratios[c])]


EQUAL_LAWS = "c = 1, as wide as the source"


def _straightest() -> str:
    """The coupling whose learnt flow has the least S."""
    flows = prior.coupled()
    bends = {
        "independent": flows["independent, learnt"].numbers()["S"],
        "minibatch OT": flows["minibatch OT"].numbers()["S"],
        "reflow": flows["reflow"].numbers()["S"],
    }
    return min(bends, key=lambda name: bends[name])


def _what_pairing_breaks() -> str:
    """Which of two identities fails for noise that depends on the data."""
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(2, 20_000))
    errors = prior.paired_errors(x, 0.6 * x + 0.8 * other, 0.0)
    gain, score = abs(errors.ratio - 1) < 1e-6, abs(errors.score - 1) < 0.05
    broken = {(True, False): "the second", (False, True): "the first", (True, True): "neither"}
    return broken.get((gain, score), "both")


prediction(
    "what-pairing-breaks",
    Choice(
        "The noise now depends on the data. Which fails: that the errors of x̂ and ε̂ have the "
        "ratio e^−λ, or that −ε̂/σ is the score?",
        {
            "the first": "It follows from z = αx + σε alone, whatever ε is.",
            "the second": "The score needs noise that is Gaussian and independent of x.",
            "both": "One of them follows from z = αx + σε alone, whatever ε is.",
            "neither": "One of them needs noise that is Gaussian and independent of x.",
        },
        _what_pairing_breaks,
    ),
)
prediction(
    "prior-nats",
    Number(
        "Stable Diffusion's noisiest level keeps SNR_T = 0.0047. How many nats does the prior term "
        "cost for a whole image of 64 × 64?",
        _prior_nats,
        "Divided by all pixels that is next to nothing, and a likelihood hardly notices it.",
        "nats",
    ),
)
prediction(
    "kept-darkness",
    Number(
        "The data are dark, −0.6 on average. A perfect denoiser samples from N(0, I) on Stable "
        "Diffusion's schedule. What percentage of that −0.6 do the samples keep?",
        _kept_darkness,
        "Most of it is lost: dark images come out medium grey.",
        "%",
    ),
)
prediction(
    "left-spread",
    Number(
        "Trained with offset noise of κ = 0.1, sampled from plain noise: what percentage of the "
        "spread of brightness is left?",
        _left_spread,
        "Along frequency 0 the start is far too narrow, and so are the samples.",
        "%",
    ),
)
prediction(
    "most-bent",
    Choice(
        "From N(0, 1) to N(0, c): which data make the paths bend most, for the energy of their "
        "motion?",
        {
            "c = 0.01, much narrower": "There most of the motion is the way to the middle.",
            EQUAL_LAWS: "No point has to go anywhere, so all of its motion is detour.",
            "c = 100, much wider": "There most of the motion is the way outwards.",
        },
        _most_bent,
    ),
)
prediction(
    "straightest",
    Choice(
        "Three ways to pair source and data, the same network and the same training for each: "
        "whose learnt flow is the straightest?",
        {
            "independent": "Half of its pairs cross, and where paths cross the mean bends.",
            "minibatch OT": "Hardly any of its pairs cross.",
            "reflow": "Its pairs are those of a flow, which hardly cross, and a little fewer do "
            "under optimal transport.",
        },
        _straightest,
    ),
)


# --- notebook 8 ---------------------------------------------------------------------------------


def _frame_and_solver() -> str:
    """Which of two solvers ends elsewhere when the frame changes."""
    ends = sampling.frame_walks().ends
    moves = {name: bool(np.ptp(ends[name]) > 1e-6) for name in ("DDIM", "Euler")}
    labels = {(False, True): "Euler's method", (True, False): "DDIM", (True, True): "both"}
    return labels.get((moves["DDIM"], moves["Euler"]), "neither")


def _straighter() -> str:
    """Which path is straighter for N(0, 1)."""
    flow, vp = (sampling.off_chord(1.0, path) for path in ("FM", "VP"))
    return "flow matching's" if flow < vp else "variance-preserving cosine"


def _which_count() -> str:
    """Which of a hundred predictions of v count most in the last z, with DDIM and with DDPM."""
    weights = sampling.churn_weights(etas=(0.0, 1.0), steps=100)
    alike = {eta: bool(each.min() > 0.9 * each.max()) for eta, each in weights.items()}
    late = {eta: bool(each[50:].sum() > 1.1 * each[:50].sum()) for eta, each in weights.items()}
    if all(alike.values()):
        return "all alike, with both"
    if alike[0.0] and late[1.0]:
        return "all alike with DDIM, late ones with DDPM"
    return "late ones, with both" if all(late.values()) else "early ones, with both"


def _early_grid() -> str:
    """The grid on which most of a photograph is settled after 30 % of the steps."""
    names = ("FM, uniform t", "VP cosine", "EDM's grid")
    settled = {name: sampling.settled_photos(sampling.GRIDS[name])[30] for name in names}
    return max(settled, key=lambda name: settled[name])


def _other_variable() -> str:
    """By which factor the error of three steps of RK4 falls when they are taken in the angle."""
    in_logsnr, in_angle = (
        sampling.rms(solver, "FM, uniform t", "gmm2d", 3)[0] for solver in ("RK4 in λ", "RK4 in θ")
    )
    factor = in_logsnr / in_angle
    return FAR_MORE if factor > 1000 else TEN if factor > 3 else HARDLY


def _own_grid() -> str:
    """How many of four trainings are nearest on the grid of their recipe, with 16 steps."""
    hits = 0
    for name, grid in sampling.OWN_GRIDS.items():
        distances = {one: sampling.distance(name, one, 16) for one in sampling.GRIDS}
        hits += min(distances, key=lambda one: distances[one]) == grid
    return {0: "none", 1: "one", 4: "all four"}.get(hits, "two or three")


prediction(
    "other-variable",
    Choice(
        "RK4 makes three steps, twelve calls, on flow matching's grid. Once its slopes are dy/dλ, "
        "and once they are those in the angle θ. It is one method, one grid and one flow. By "
        "which factor does the error fall?",
        {
            HARDLY: "It is one flow, but y runs off at the noise end, and z̃ stays bounded.",
            TEN: "Far more: y runs off at the noise end, and z̃ stays bounded.",
            FAR_MORE: "A long step in λ is one through pure noise: y runs off there, z̃ does not.",
        },
        _other_variable,
    ),
)
prediction(
    "own-grid",
    Choice(
        "Four networks, each trained under a density of its own; sixteen steps of DDIM on five "
        "grids. How many networks are best on the grid with which their own recipe is sampled?",
        {
            "all four": "Then training would have to tie a network to its grid.",
            "two or three": "All of them are best on one and the same grid.",
            "one": "All four are best on one and the same grid, and it is the own grid of one.",
            "none": "All of them are best on one and the same grid, which one of them has.",
        },
        _own_grid,
    ),
)
prediction(
    "frame-and-solver",
    Choice(
        "Six steps on the same noise levels. The frame slides from the linear one to the "
        "variance-preserving one. Which solver ends somewhere else?",
        {
            "DDIM": "DDIM works in z/α and σ/α, in which no frame appears.",
            "Euler's method": "A straight step in one frame is a curved one in another.",
            "both": "One of the two works in z/α and σ/α, in which no frame appears.",
            "neither": "A straight step in one frame is a curved one in another.",
        },
        _frame_and_solver,
    ),
)
prediction(
    "which-count",
    Choice(
        "A hundred steps of the cosine grid, and in each a prediction of v. Which of them count "
        "most in the sample that comes out, with DDIM and with DDPM?",
        {
            "early ones, with both": "What comes early is shrunk, if anything, by what follows.",
            "late ones, with both": "DDIM turns z by one small angle a step and shrinks nothing.",
            "all alike, with both": "DDPM's noise takes the place of what came before.",
            "all alike with DDIM, late ones with DDPM": (
                "DDIM adds up what it is told. DDPM forgets: its longer steps shrink what came "
                "before."
            ),
        },
        _which_count,
    ),
)
prediction(
    "straighter",
    Choice(
        "Data N(0, 1), random pairs: on which path is the exact flow straighter?",
        {
            "flow matching's": "It goes in to 0.707 of where it began, and back.",
            "variance-preserving cosine": "Start and end have one law, and nothing moves.",
        },
        _straighter,
    ),
)
prediction(
    "early-grid",
    Choice(
        "The exact denoiser has no weighting. Which of these grids has settled the most of a "
        "photograph after 30 % of its steps?",
        {
            "FM, uniform t": "It is early, but not the earliest.",
            "VP cosine": "It spends even fewer of its steps on almost pure noise.",
            "EDM's grid": "It spends more than a third of its steps below λ = −4.",
        },
        _early_grid,
    ),
)


# --- notebook 9 ---------------------------------------------------------------------------------


def _octave() -> float:
    """Nats between the levels at which neighbouring octaves of photographs drown."""
    photographs = perception.spectrum()
    cycles = np.array([4.0, 64.0]) / perception.SIDE
    coarse, fine = np.interp(cycles, photographs.frequency, photographs.drowns)
    return float(fine - coarse) / 4


def _spent_on_noise() -> float:
    """Percent of flow matching's loss on photographs below λ = 0."""
    return 100 * perception.shares("fm-ot").loss


def _where_eyes_see_best() -> str:
    """Where the published sensitivities of people have their peaks."""
    frequency = np.geomspace(0.1, 30, 400)
    peaks = [frequency[curve(frequency).argmax()] for curve in sensitivities.SENSITIVITIES.values()]
    if max(peaks) <= frequency[0]:
        return "at the lowest frequencies"
    return "at the highest frequencies" if min(peaks) >= frequency[-1] else "in the middle"


def _slope_from_where() -> str:
    """From where the middle slope of implied weightings is flow matching's."""

    def flatter(rate: float) -> set[bool]:
        eyes = (perception.seen(key, rate) for key in perception.NAMES)
        return {perception.slopes(eye.rate_distortion)[1] > -0.5 for eye in eyes}

    near, between, far = (flatter(rate) for rate in (10.0, 25.0, 100.0))
    if (near, far) != ({True}, {False}):
        return "from no distance"
    return "each from a distance of its own" if len(between) > 1 else "all from one distance"


def _rises_towards_noise() -> str:
    """Which of the two implied weightings is larger at λ = −8 than at 0."""
    view = perception.seen()
    levels = np.array([-8.0, 0.0])
    first, second = (
        bool(np.diff(w(levels))[0] < 0) for w in (view.rate_distortion, view.projection)
    )
    labels = {(True, False): "rate–distortion", (False, True): OF_EPS, (True, True): "both"}
    return labels.get((first, second), "neither")


def _do_ears_want_noise() -> str:
    """Whether the rate–distortion weighting of an ear rises to noise as steeply as an eye's."""
    ear, eye = (perception.slopes(view.rate_distortion)[0] for view in _ear_and_eye())
    return "as an eye does" if ear <= eye else "less than an eye"


def _ear_and_eye() -> tuple[perception.Implied, perception.Implied]:
    """What an ear implies on pink noise, and an eye on photographs."""
    return perception.heard(), perception.seen()


prediction(
    "nats-an-octave",
    Number(
        "Take the mean power of the photographs at 4 and at 64 cycles per image: it falls like "
        "f^−2.45 there. By how many nats does the level at which a frequency drowns move for each "
        "octave?",
        _octave,
        "The level is −log S, so an octave of f^−β is β log 2.",
        "nats",
    ),
)
prediction(
    "spent-on-noise",
    Number(
        "99 % of flow matching's weighting on [−10, 10] lies below λ = 0. Which percentage of its "
        "loss on photographs does?",
        _spent_on_noise,
        "Where there is hardly anything but noise, it is easily told, and the error is small.",
        "%",
    ),
)
prediction(
    "eyes-see-best",
    Choice(
        "Fine stripes have a high frequency. Which frequency do people see at the least contrast?",
        {
            "at the lowest frequencies": "Towards low frequencies the sensitivity falls again.",
            "in the middle": "All five published curves fall on both sides of a peak.",
            "at the highest frequencies": "Stripes that are too fine are a uniform grey.",
        },
        _where_eyes_see_best,
    ),
)
prediction(
    "rises-towards-noise",
    Choice(
        "Take the rate–distortion weighting and the projection of ε. Which of the two is larger at "
        "λ = −8 than at λ = 0?",
        {
            "rate–distortion": "At the noise end much variance is left to remove, at little cost.",
            OF_EPS: "At the noise end it weights coarse structure, which eyes see badly.",
            "both": "The two count the same errors in different ways.",
            "neither": "The two count the same errors in different ways.",
        },
        _rises_towards_noise,
    ),
)
prediction(
    "slope-from-where",
    Choice(
        "Five published eyes walk away from a picture. From which distance does the weighting that "
        "each of them implies have flow matching's slope in the middle?",
        {
            "from no distance": "Slopes get steeper with the distance, and pass through it.",
            "all from one distance": "Their peaks lie at different frequencies.",
            "each from a distance of its own": (
                "From 10 pixels per degree all are flatter, from 100 steeper. Where they pass "
                "depends on the curve."
            ),
        },
        _slope_from_where,
    ),
)
prediction(
    "ears-want-noise",
    Choice(
        "Pink noise has its power at low frequencies, like photographs. How steeply does the "
        "rate–distortion weighting of an ear rise towards noise?",
        {
            "as an eye does": "Low frequencies have the power, but an ear hardly hears them.",
            "less than an eye": "The low frequencies of pink noise are what an ear hears least.",
        },
        _do_ears_want_noise,
    ),
)


# --- notebook 10 --------------------------------------------------------------------------------


def _llada_and_md4() -> str:
    """In what the weightings of LLaDA and of MD4 with its cosine schedule differ."""
    levels = np.array([-4.0, 0.0, 4.0])
    first, second = (masked_objective(name).weighting(levels) for name in ("llada", "md4-cosine"))
    if np.ptp(first / second) < 1e-6:
        return "in a constant at most"
    more = bool((first / second)[0] > (first / second)[-1])
    return "LLaDA's has more for masked sequences" if more else "MD4's has more for them"


def _one_weighting_trained() -> str:
    """Which of two recipes of one weighting ends nearer to the entropy, at every seed."""
    gaps = [
        {run.name: run.elbo for run in masked.trained(seed=seed)}["any-order"]
        - {run.name: run.elbo for run in masked.trained(seed=seed)}["elbo"]
        for seed in masked.SEEDS
    ]
    if max(gaps) < 0:
        return "any-order, three times"
    return "elbo, three times" if min(gaps) > 0 else "now one, now the other"


def _dear_mistake() -> str:
    """Which of two predictions of one cross-entropy costs more, if a token was drawn anew."""
    x, z = np.array([0, 0]), np.array([1, 1])
    believed = np.array([[0.5, 0.45, 0.05], [0.5, 0.05, 0.45]])
    first, second = noises.density_by_scores(masked.NOISES["uniform"], x, z, believed, 0.0)
    return "the one that believes what it sees" if first > second else "the one that does not"


prediction(
    "llada-and-md4",
    Choice(
        "t runs from visible to masked. LLaDA multiplies by 1/t under m = t; MD4 with its cosine "
        "schedule multiplies by something else. In what do their weightings over λ differ?",
        {
            "LLaDA's has more for masked sequences": "The factor makes up for the schedule.",
            "MD4's has more for them": "The factor makes up for the schedule.",
            "in a constant at most": "Factor times density of λ is sigmoid(λ) in both.",
        },
        _llada_and_md4,
    ),
)
prediction(
    "one-weighting-trained",
    Choice(
        "`elbo` and `any-order` have one weighting, and start from the same weights. Both are "
        "trained three times, with another seed each time. Which has the smaller bound after 600 "
        "steps?",
        {
            "elbo, three times": "It divides by its rate, which may be almost 0.",
            "any-order, three times": "Its factor is bounded, and so its gradient is less noisy.",
            "now one, now the other": "They have one minimum, but not one noise of the gradient.",
        },
        _one_weighting_trained,
    ),
)
prediction(
    "dear-mistake",
    Choice(
        "Uniform noise has turned a token 0 into 1. Two predictions give 0 the probability 0.5: "
        "one gives nearly all the rest to 1, which it sees, one to 2. Which costs more?",
        {
            "the one that believes what it sees": "To keep 1 for true is the costly mistake.",
            "the one that does not": "From 0 and from 2 a 1 is equally rare.",
            "both cost the same": "They do under masking, where only the truth counts.",
        },
        _dear_mistake,
    ),
)


# --- notebook 11 --------------------------------------------------------------------------------


def _states_to_the_left() -> str:
    """The states near pure noise that the exact flow of ``gmm1`` carries to its left cluster."""
    ends = few_steps.paths("gmm1").at(few_steps.ENDS[1]).states
    border = float(few_steps.PATH_STARTS[int(np.argmax(ends > -0.5))])
    places = {"those below 0": 0.0, "those below −0.5": -0.5, "those below −1.5": -1.5}
    return min(places, key=lambda words: abs(places[words] - border))


def _law_on_the_diagonal() -> str:
    """On which side of one logit-normal draw MeanFlow's diagonal lies."""
    diagonal = few_step("meanflow").diagonal
    assert diagonal is not None
    shift = float(diagonal.law.mean() - LOGIT_NORMAL.mean())
    if abs(shift) < 1e-9:
        return "yes"
    return "no, it is noisier" if shift < 0 else "no, it is cleaner"


def _draws_of_a_long_jump() -> float:
    """How many draws MeanFlow makes for one jump from t > 0.9 to t < 0.1."""
    return 1 / few_steps.share_of_long_jumps("meanflow")


def _weight_taken_away() -> str:
    """The end of λ at which MeanFlow's factor lowers the weighting, on N(0, 0.3²)."""
    ends = np.array([-10.0, 10.0])
    powers = (few_steps.local("meanflow", 0.3, power).weighting(ends) for power in (0.0, 1.0))
    noise, data = np.divide(*powers)  # without over with the factor
    if abs(noise / data - 1) < 0.1:
        return "at both ends alike"
    return "at the noise end" if noise > data else "at the data end"


def _where_corrected() -> str:
    """Where the average velocity to r = 0.21 is farthest from the velocity, on the path from −1."""
    paths, times = few_steps.paths("gmm1"), few_steps.PATH_TIMES
    column = int(np.abs(few_steps.PATH_STARTS + 1).argmin())
    last = int(np.abs(times - 0.21).argmin())
    states, velocity = paths.states[:, column], paths.velocity[:, column]
    average = (states[:last] - states[last]) / (times[:last] - times[last])
    place = float(times[np.abs(average - velocity[:last]).argmax()])
    if place > 0.6:
        return "before the bend, towards noise"
    return "in the bend" if place > 0.4 else "after the bend, near r"


def _best_in_one_step() -> str:
    """The objective that comes nearest to the exact map of two clusters in one step."""
    data = few_steps.DATA[1]
    means = {name: few_steps.errors_by_seed(name, data)[:, 0].mean() for name in few_steps.NAMES}
    return min(means, key=lambda name: means[name])


def _what_mends_meanflow() -> str:
    """The change of MeanFlow whose networks are nearest to the exact map in one step."""
    changes = [change for change in few_steps.CHANGES if change != few_steps.PUBLISHED]
    return min(changes, key=lambda change: few_steps.outcome(change).rms[:, 0].mean())


prediction(
    "states-to-the-left",
    Choice(
        "The data have two clusters on a line, 30 % of them around −1.5 and 70 % around 0.5. The "
        "flow starts near pure noise, N(0, 1). About which states does it carry to the left "
        "cluster?",
        {
            "those below 0": "Half of the noise lies there, and only 30 % of the data go left.",
            "those below −0.5": (
                "Paths on a line do not cross. So the lowest 30 % of the noise go to the left."
            ),
            "those below −1.5": "Only 7 % of the noise lie there, and 30 % of the data go left.",
        },
        _states_to_the_left,
    ),
)
prediction(
    "where-corrected",
    Choice(
        "A path starts from −1 near pure noise, and bends down between t = 0.6 and 0.4. The time r "
        "stays at 0.21. At which t is the average velocity farthest from the velocity?",
        {
            "before the bend, towards noise": (
                "There the velocity knows nothing of the bend that is ahead, and the average does."
            ),
            "in the bend": "A part of the bend is over there, and so is a part of the correction.",
            "after the bend, near r": "From there to r the path is nearly straight.",
        },
        _where_corrected,
    ),
)
prediction(
    "diagonal-law",
    Choice(
        "MeanFlow draws its times from a logit-normal law, under which λ ~ N(0.8, 2²), and sets "
        "r = t for three quarters of its batch. Is that the law of λ on its diagonal?",
        {
            "yes": "It would be, if r were set to t before anything else is done.",
            "no, it is noisier": "Two times are drawn and sorted first, and t is the larger one.",
            "no, it is cleaner": "It is shifted, but the other way.",
        },
        _law_on_the_diagonal,
    ),
)
prediction(
    "long-jump",
    Number(
        "A long jump goes from t > 0.9 to t < 0.1. Of how many draws is one a long jump, when "
        "MeanFlow is trained?",
        _draws_of_a_long_jump,
        "Two logit-normal times are rarely that far apart, and most draws have r = t.",
        "draws",
    ),
)
prediction(
    "adaptive-factor",
    Choice(
        "The data are N(0, 0.3²), and the network is as good as can be. MeanFlow divides its "
        "squared error by itself plus 0.01. At which end of λ does that take weight away?",
        {
            "at the noise end": "There only the data are unknown, whose variance is small.",
            "at the data end": (
                "There the noise is unknown, whose variance is 1. At the noise end only the data "
                "are, and their variance is 0.09. The larger error has the smaller factor."
            ),
            "at both ends alike": "The least error of u is not the same at both ends.",
        },
        _weight_taken_away,
    ),
)
prediction(
    "best-in-one-step",
    Choice(
        "Four objectives train the same small network on two clusters. Which comes nearest to the "
        "exact map in one step?",
        {
            "meanflow": "Here it is farther off than states that are not moved at all.",
            "imeanflow": "Here it is farther off than states that are not moved at all.",
            "shortcut": "It practises the whole jump often, and also starts it from pure noise.",
            "ict": "It jumps to the data at once, but compares neighbouring levels only.",
        },
        _best_in_one_step,
    ),
)
prediction(
    "mends-meanflow",
    Choice(
        "MeanFlow is trained again on two clusters. What brings its map near the exact one?",
        {
            few_steps.UNIFORM: "Then the start is trained, but by a loss that prefers one cluster.",
            few_steps.NO_FACTOR: "Then the loss is right, but the start is never seen.",
            few_steps.BOTH: "The start must be trained, and by a loss whose least value is right.",
        },
        _what_mends_meanflow,
    ),
)


# --- notebook 12 --------------------------------------------------------------------------------


def _dearest_in_ten_steps() -> str:
    """The rule of noise whose trajectories pay most for their actions in ten steps."""
    return max(roads.RULES, key=lambda name: roads.excess(name, 10))


def _farther_under_one_clip() -> str:
    """With which ratio Flow-GRPO has more reward in the end, at every seed."""
    released, exact = (roads.learned(name) for name in ("Flow-GRPO as released", "Flow-GRPO"))
    ahead = released.reward[:, -1] - exact.reward[:, -1]
    if (ahead > 0).all():
        return "the root"
    return "the exact ratio" if (ahead < 0).all() else "now one, now the other"


def _local_weightings() -> str:
    """Which methods of the forward process weight another policy in another way."""
    level = np.linspace(-7, 7, 141)
    changed = set()
    for name in forward_process.FORWARD:
        curves = [
            forward_process.forward_objective(name, policy).weighting(level)
            for policy in forward_process.POLICIES
        ]
        first, learned = (curve / curve[70] for curve in curves)  # over that at λ = 0
        if not np.allclose(first, learned, rtol=1e-3):
            changed.add(name)
    if changed == {name for name in forward_process.FORWARD if name.endswith("released")}:
        return "the two released losses"
    return "all four" if changed == set(forward_process.FORWARD) else "none of them"


prediction(
    "dearest-in-ten-steps",
    Choice(
        "Trajectories of ten steps: in which sampler do they tell two policies apart by most, "
        "beyond what their actions do? The settings decide: the table has the noise s of each, and "
        "ancestral noise is that of DDIM with η = 1.",
        {
            "Flow-GRPO, a = 0.7": "It adds about three quarters of ancestral noise on the way.",
            "DanceGRPO, η_D = 0.3": "It adds far less than ancestral noise in most of its steps.",
            "CPS, η_C = 0.5": "It adds nearly as much as ancestral sampling in each step.",
            "DDIM, η = 1": "That is ancestral sampling, which is cheap in short steps.",
        },
        _dearest_in_ten_steps,
    ),
)
prediction(
    "under-one-clip",
    Choice(
        "With d = 2 the released code of Flow-GRPO has the square root of the exact ratio. Both "
        "are clipped at 1 ± 0.05. With which does a policy learn faster?",
        {
            "the exact ratio": "It is farther from 1, so that the clip stops it sooner.",
            "the root": "The root is nearer to 1, so the policy is farther when the clip stops it.",
            "now one, now the other": "One of them is ahead at every seed.",
        },
        _farther_under_one_clip,
    ),
)
prediction(
    "local-weightings",
    Choice(
        "FPO and AWM have the squared error m of a network. The released code of AWM takes "
        "m^(1/4), that of NFT m^(1/2). The policy learns. Which weightings change with it?",
        {
            "none of them": "A power of the error counts errors by their present size.",
            "the two released losses": "The slope of m^q is q m^(q−1), and m changes.",
            "all four": "The slope of a squared error in m is 1, whatever m is.",
        },
        _local_weightings,
    ),
)


# --- notebook 13 --------------------------------------------------------------------------------


def _width_of_the_floor() -> str:
    """How much of the box of the small search lies within 1 % of the least of its surface."""
    fitted = search.small().surface
    sides = [np.linspace(low, high, 41) for _, low, high in fitted.box]
    places = np.stack(np.meshgrid(*sides), -1).reshape(-1, len(sides))
    above = np.expm1(fitted.at(places) - fitted.at(fitted.least()[None]))
    share = float((above <= 0.01).mean())
    if share < 0.15:
        return "less than a seventh"
    return "about a third" if share < 0.5 else "most of it"


def _levels_of_its_own() -> str:
    """What becomes of flow matching's lead when each weighting draws its own levels."""
    before, after = (-search.small(law=law).beside["fm-ot"][0] for law in ("same", "own"))
    if after > before:
        return "it grows"
    return "it stays" if after > before / 2 else "most of it goes"


prediction(
    "width-of-the-floor",
    Choice(
        "The search looks at all powers from 0 to 2, and at distances that differ 256 times. In "
        "how much of this box is the visible error within 1 % of the least?",
        {
            "less than a seventh": "The surface is flat near its least, and the box not so large.",
            "about a third": "So many weightings are as good as the best, up to what 1 % is.",
            "most of it": "Flat weightings are worse, and so are steep ones for a far eye.",
        },
        _width_of_the_floor,
    ),
)
prediction(
    "levels-of-its-own",
    Choice(
        "With levels alike flow matching is 0.7 % better than the optimum. Now each weighting "
        "draws levels where its own loss is. What becomes of the lead?",
        {
            "it grows": "Own levels help whoever was served worst by levels that are alike.",
            "it stays": "Then it would not come with the way the levels are drawn.",
            "most of it goes": "Others gain more by levels of their own than flow matching does.",
        },
        _levels_of_its_own,
    ),
)
