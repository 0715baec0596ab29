"""Every door that computes with torch does so on the number of threads that ``threads`` decides.

The doors are those of ``test_doors`` and of ``room_doors``, where a new public function needs a
row. Nothing says which of them use torch: it is seen.
"""

from functools import cache, partial

import pytest
import room_doors
import test_doors
import torch
from torch.overrides import TorchFunctionMode

from diffviz.compute import threads

DOORS = {name: entry.call for name, entry in test_doors.DOORS.items()} | {
    name: partial(call, "cpu") for name, call in room_doors.ROWS.items()
}
UNDECIDED = {"Run.denoise_with"}  # for torch.func, which hides sizes: the caller decides
# Functions that ask for properties, make, move or look at numbers, but do not compute with them.
ASK = """
    __array__ has_names __bool__ __get__ __getitem__ __index__ __invert__ __len__ __repr__ __set__
    _has_compatible_shallow_copy_type _parse_to _set_grad_enabled data_ptr device dim is_complex
    is_contiguous is_floating_point item numel size storage_offset stride type untyped_storage
"""
MAKE = """
    all_gather arange as_tensor asarray clone contiguous cpu detach double empty empty_like expand
    eye flatten float kaiming_uniform_ linspace new_tensor new_zeros normal_ numpy ones randn
    randperm repeat reshape resize_ split stack tensor to unbind uniform_ unsqueeze view view_as
    zero_ zeros zeros_like
"""
LOOK = "all any isfinite"
HARMLESS = {*ASK.split(), *MAKE.split(), *LOOK.split()}
# Sums and products of as many numbers as there are data, bins or weights.
FEW = {
    "add": ("elbo", "sampling.likelihood.elbo", "search.goals.likelihood"),
    "mean": ("search.goals.likelihood",),
    "mul": ("fit", "learning.training."),
    "sum": ("LossByLogSNR.", "learning.tracking.LossByLogSNR"),
}
COMPUTED = {  # some of the doors that must be seen to compute
    "Run.denoise": "baddbmm",
    "Toy.denoise": "softmax",
    "elbo": "exp",
    "fit": "baddbmm",
    "learning.velocity.fit_velocity": "linear",
    "policy.bandit.learn": "linear",
    "policy.surrogates.fpo": "exp",
    "probe": "sub",
    "sample": "softmax",
    "sampling.couplings.crossings": "matmul",
    "search.goals.energy_distance": "cdist",
}


class Recorder(TorchFunctionMode):
    """Which functions of torch were called, each with the number of threads."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.seen.add((function.__name__, torch.get_num_threads()))
        return function(*args, **(kwargs or {}))


def recorded(call, caller):
    """What a door calls if the caller has set a number of threads, which it has afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(caller)
    try:
        with Recorder() as recorder:
            call()
        assert torch.get_num_threads() == caller
    finally:
        torch.set_num_threads(before)
    return recorder.seen


def undecided(name, seen):
    """The functions that compute on more than one thread."""
    several = {function for function, number in seen if number > 1} - HARMLESS
    return {
        function for function in several if not name.startswith(FEW.get(function, ("no door",)))
    }


@cache
def recorded_of(name, caller):
    """The same of a row, whose small work is always the same."""
    return recorded(DOORS[name], caller)


@pytest.mark.parametrize("name", [name for name in DOORS if name not in UNDECIDED])
def test_a_door_does_small_work_on_one_thread(name):
    for caller in (1, 2, 4):  # what rows keep is made in the first call, on the one thread
        seen = recorded_of(name, caller)
        assert {number for _, number in seen} <= {1, caller}
        assert not undecided(name, seen), f"{name} needs `with threads.suited(...)`"


@pytest.mark.parametrize("name", COMPUTED)
def test_a_door_does_large_work_on_the_threads_of_the_caller(name, monkeypatch):
    monkeypatch.setattr(threads, "SMALL", -1.0)
    for caller in (1, 2, 4):
        assert {number for _, number in recorded(DOORS[name], caller)} == {caller}


@pytest.mark.parametrize("name", COMPUTED)
def test_the_work_of_a_door_is_seen(name):
    recorded_of(name, 1)  # what rows keep is made before
    assert (COMPUTED[name], 1) in recorded_of(name, 2)


def test_work_that_is_not_decided_is_found():
    assert undecided("Run.denoise_with", recorded(DOORS["Run.denoise_with"], 2)) >= {"baddbmm"}


def test_every_public_function_of_the_rooms_has_a_row():
    known = room_doors.ROWS.keys() | room_doors.PLAIN | room_doors.PARTS
    missing = room_doors.functions() - known
    assert not missing, f"enter a valid call of {sorted(missing)} in room_doors.ROWS"
    assert not (room_doors.PLAIN | room_doors.PARTS) - room_doors.functions()


def test_the_modules_of_the_rooms_are_those_that_ask_for_torch_in_their_reference():
    rooms = {"learning", "sampling", "policy", "search", "probing"}
    documented = room_doors.documented(rooms)
    assert documented - set(room_doors.MODULES) == {"search.experiment"}  # ``fit`` and goals
