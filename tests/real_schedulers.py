"""The scheduler classes of diffusers, made in double precision.

The classes compute in float32. To compare with them to 1e-9, ``in_double`` makes one while float32
means float64: the code that runs is theirs.
"""

import ast
import importlib
import sys
import types
import warnings
from contextlib import contextmanager
from pathlib import Path

import diffusers.schedulers
import numpy as np
import pytest
import torch

NAMES = sorted(name for name in dir(diffusers.schedulers) if name.endswith("Scheduler"))
NEED_TORCHSDE = {
    "DPMSolverSDEScheduler": "scheduling_dpmsolver_sde",
    "CosineDPMSolverMultistepScheduler": "scheduling_cosine_dpmsolver_multistep",
}


def real_class(name):
    """A class of diffusers; those that sample with torchsde load without it."""
    if name not in NEED_TORCHSDE:
        return getattr(diffusers.schedulers, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchsde", types.ModuleType("torchsde"))
        return getattr(importlib.import_module(f"diffusers.schedulers.{NEED_TORCHSDE[name]}"), name)


def function_of_diffusers(file, name):
    """One function of a file of diffusers, without what the file imports."""
    path = Path(diffusers.__file__).parent / file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    names = {}
    exec(compile(tree, path, "exec"), names)  # the code of the package
    return names[name]


@contextmanager
def double_precision():
    """Within, what asks for float32 gets float64."""
    before = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # some classes hand a tensor of float32 to NumPy as NumPy 2 no longer likes it
        warnings.filterwarnings("ignore", "__array_", DeprecationWarning)
        patch.setattr(torch, "float32", torch.float64)
        patch.setattr(np, "float32", np.float64)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def in_double(name, config):
    """A scheduler of a class by its name, in double precision."""
    with double_precision():
        return real_class(name)(**config)


def logsnr_of_alphas(scheduler):
    """λ of each step of a real table of β."""
    alphas = scheduler.alphas_cumprod.numpy()
    assert alphas.dtype == np.float64
    with np.errstate(divide="ignore"):
        return np.log(alphas) - np.log1p(-alphas)


def logsnr_of_flow(sigmas):
    """λ of real sigmas of flow matching; −inf at sigma = 1."""
    sigmas = np.asarray(sigmas)
    assert sigmas.dtype == np.float64
    with np.errstate(divide="ignore"):
        return 2 * np.log((1 - sigmas) / sigmas)
