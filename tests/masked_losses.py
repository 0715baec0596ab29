"""Losses of masked diffusion, written from the formulas of papers and public codes.

``LOSSES`` has for each the entry of the catalogue that it is. All take ``(model, x)``; the mask is
the token ``MASK``.
"""

import math

import torch
import torch.nn.functional as F

VOCABULARY = 8
MASK = 8


def _hide(x, mask):
    return torch.where(mask, MASK, x)


def _entropies(logits, x):
    return F.cross_entropy(logits.transpose(1, 2), x, reduction="none")


def mdlm(model, x, eps=1e-3):
    """Sahoo et al. 2024: SUBS, log-linear noise, low-discrepancy times, mean by tokens."""
    n = len(x)
    u = (torch.rand(n) / n + torch.arange(n) / n) % 1
    t = (1 - eps) * u + eps
    total = -torch.log1p(-(1 - eps) * t)
    rate = (1 - eps) / (1 - (1 - eps) * t)
    z = _hide(x, torch.rand(x.shape) < 1 - torch.exp(-total[:, None]))
    logits = model(z, total)
    logits[..., MASK] = -1e6  # the mask is never predicted
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    own = log_p.gather(-1, x[..., None])[..., 0]
    own = torch.where(z == MASK, own, torch.zeros_like(own))  # visible tokens are copied
    return -(own * (rate / torch.expm1(total))[:, None]).mean()


def mdlm_discrete(model, x, steps=1000):
    """Sahoo et al. 2024: T steps of the linear schedule, the D3PM bound of SUBS."""
    t = (torch.randint(0, steps, (len(x),)) + 1) / steps
    z = _hide(x, torch.rand(x.shape) < t[:, None])
    each = _entropies(model(z), x) * (z == MASK)
    return (each * steps * (1 / steps) / t[:, None]).sum(1).mean()


def md4_cosine(model, x, eps=1e-4):
    """Shi et al. 2024: alpha = 1 − cos(π(1 − t)/2), squeezed into [eps, 1 − eps]."""
    t = torch.rand(len(x), dtype=torch.float64)
    alpha = (1 - 2 * eps) * (1 - torch.cos(math.pi / 2 * (1 - t))) + eps
    slope = -(1 - 2 * eps) * math.pi / 2 * torch.sin(math.pi / 2 * (1 - t))
    keep = torch.bernoulli(alpha[:, None].expand(x.shape)).bool()
    log_p = model(_hide(x, ~keep)).log_softmax(-1).gather(-1, x[..., None])[..., 0]
    return (slope / (1 - alpha) * (log_p * ~keep).sum(1)).mean()


def llada(model, x, eps=1e-3):
    """Nie et al. 2025: 1/t, divided by batch times length."""
    t = torch.rand(len(x))
    rate = ((1 - eps) * t + eps)[:, None].repeat(1, x.shape[1])
    hidden = torch.rand(x.shape) < rate
    logits = model(_hide(x, hidden)).logits
    each = F.cross_entropy(logits[hidden], x[hidden], reduction="none") / rate[hidden]
    return each.sum() / x.numel()


def sedd(model, x, eps=1e-3):
    """Lou et al. 2023: the score entropy of absorbing noise, with scores e^λ softmax(logits)."""
    t = (1 - eps) * torch.rand(len(x)) + eps
    total = -torch.log1p(-(1 - eps) * t)
    rate = (1 - eps) / (1 - (1 - eps) * t)
    z = _hide(x, torch.rand(x.shape) < 1 - torch.exp(-total)[:, None])
    ratio = 1 / torch.expm1(total)[:, None]
    log_score = model(z, total)[..., :VOCABULARY].log_softmax(-1) + ratio.log()[..., None]
    own = log_score.gather(-1, x[..., None])[..., 0]
    entropy = log_score.exp().sum(-1) - ratio * own + ratio * (ratio.log() - 1)
    return (rate[:, None] * entropy * (z == MASK)).sum(1).mean()


def maskgit(model, x, smoothing=0.1):
    """Chang et al. 2022: cosine schedule, ⌈rate · L⌉ tokens, the mean of each image."""
    rate = torch.cos(math.pi / 2 * torch.rand(len(x)))
    number = torch.ceil(rate * x.shape[1]).clamp(min=1)
    hidden = torch.rand(x.shape).argsort(-1).argsort(-1) < number[:, None]
    log_p = model(_hide(x, hidden)).log_softmax(-1)
    soft = F.one_hot(x, log_p.shape[-1]) * (1 - smoothing) + smoothing / log_p.shape[-1]
    each = -(soft * log_p).sum(-1)
    return ((each * hidden).sum(-1) / hidden.sum(-1)).mean()


def amused(model, x):
    """The diffusers example: cosine schedule, rounded, PyTorch's mean over the batch."""
    rate = torch.cos(torch.rand(len(x)) * math.pi * 0.5)
    number = (x.shape[1] * rate).round().clamp(min=1)
    hidden = torch.rand(x.shape).argsort(dim=-1) < number.unsqueeze(-1)
    labels = torch.where(hidden, x, -100)
    logits = model(_hide(x, hidden))
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def mask_predict(model, x):
    """Ghazvininejad et al. 2019: a uniform number of masked tokens, averaged over the batch."""
    number = torch.randint(1, x.shape[1] + 1, (len(x),))
    hidden = torch.rand(x.shape).argsort(-1).argsort(-1) < number[:, None]
    return F.cross_entropy(model(_hide(x, hidden))[hidden], x[hidden])


def any_order(model, x):
    """Hoogeboom et al. 2021: L/(number masked) times their sum, over the length."""
    length = x.shape[1]
    number = torch.randint(1, length + 1, (len(x), 1))
    hidden = torch.rand(x.shape).argsort(-1).argsort(-1) < number
    each = _entropies(model(_hide(x, hidden)), x) * hidden
    return ((length / number[:, 0]) * each.sum(1)).mean() / length


def dplm(model, x, steps=500):
    """Wang et al. 2024: steps of a uniform rate, an unweighted mean over the batch."""
    t = torch.randint(1, steps + 1, (len(x),))
    hidden = torch.rand_like(x, dtype=torch.float) < (t / steps)[:, None]
    each = _entropies(model(_hide(x, hidden)), x)
    return (each * hidden).sum() / hidden.sum()


def dplm_linear(model, x, steps=500):
    """Wang et al. 2024: the same times 1 − (t − 1)/T."""
    t = torch.randint(1, steps + 1, (len(x),))
    hidden = torch.rand_like(x, dtype=torch.float) < (t / steps)[:, None]
    weight = (steps - (t - 1)).float() / steps
    each = _entropies(model(_hide(x, hidden)), x) * weight[:, None]
    return (each * hidden).sum() / hidden.sum()


def dream_linear(model, x, eps=1e-3):
    """Ye et al. 2025: 1 − t, logits shifted by one place as in an autoregressive model."""
    t = (1 - eps) * torch.rand(len(x)) + eps
    hidden = torch.rand(x.shape) < t[:, None]
    hidden[:, 0] = False  # there is no logit before the first token
    logits = model(_hide(x, hidden)).logits
    logits = torch.cat([logits[:, :1], logits[:, :-1]], 1)
    each = _entropies(logits, x) * (1 - t)[:, None]
    return (each * hidden).sum() / hidden.sum()


def bd3lm(model, x, size=4, eps=1e-3):
    """Arriola et al. 2025: a rate for each block of four tokens."""
    t = (1 - eps) * torch.rand(len(x), x.shape[1] // size) + eps
    rate = t.repeat_interleave(size, -1)
    hidden = torch.rand(x.shape) < rate
    each = _entropies(model(_hide(x, hidden)), x)
    return (each * hidden / rate).mean()


def masked_mean(model, x):
    """A uniform rate, the mean over the masked tokens of each sequence."""
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    each = _entropies(model(_hide(x, hidden)), x) * hidden
    return (each.sum(1) / hidden.sum(1).clamp(min=1)).mean()


def simple(model, x):
    """A uniform rate without a weight, averaged over all places."""
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    return (_entropies(model(_hide(x, hidden)), x) * hidden).mean()


LOSSES = {
    "mdlm": mdlm,
    "elbo": mdlm_discrete,
    "md4-cosine": md4_cosine,
    "llada": llada,
    "sedd-absorb": sedd,
    "maskgit": maskgit,
    "amused": amused,
    "mask-predict": mask_predict,
    "any-order": any_order,
    "dplm": dplm,
    "dplm-linear": dplm_linear,
    "dream-linear": dream_linear,
    "bd3lm": bd3lm,
    "masked-mean": masked_mean,
    "simple": simple,
}
