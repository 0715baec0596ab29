"""The checks at public doors: what passes, in which form, and what a refusal says."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import diffviz as dv
from diffviz import checks
from diffviz.protocols import Denoiser, Law, Trainable
from diffviz.theory import laws

GOOD = {
    "a list": [1, 2.5],
    "a tuple": (1, 2.5),
    "an array": np.array([1, 2.5]),
    "single precision": np.array([1, 2.5], np.float32),
    "a tensor": torch.tensor([1, 2.5]),
    "a tensor with a gradient": torch.tensor([1, 2.5], requires_grad=True),
    "negative strides": np.array([2.5, 1])[::-1],
    "read-only": np.broadcast_to(np.array([1, 2.5]), (2,)),
    "another byte order": np.array([1, 2.5], np.dtype(np.float64).newbyteorder()),
    "long doubles": np.array([1, 2.5], np.longdouble),
    "half precision": torch.tensor([1, 2.5], dtype=torch.bfloat16),
}
BAD = {
    "masked": (np.ma.masked_array([1.0, 2.0], mask=[True, False]), "masked"),
    "masked without a mask": (np.ma.masked_array([1.0]), "masked"),
    "a list of masked": ([np.ma.masked_array([1.0, 2.0], mask=[True, False])] * 2, "masked"),
    "nested masked": ([[1.0, 2.0], ([3.0, np.ma.masked],)], "masked"),
    "complex": ([1j], "complex numbers"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "dates"),
    "time spans": (np.array([1], "m8[s]"), "time spans"),
    "text": (["1.0"], "text"),
    "bytes": ([b"1"], "bytes"),
    "objects": (np.array([1.0], dtype=object), "objects"),
    "none": (None, "objects"),
    "records": (np.zeros(1, [("a", float)]), "records"),
    "a complex tensor": (torch.tensor([1j]), "complex numbers"),
}


@pytest.mark.parametrize("form", GOOD)
def test_numbers_in_any_form_become_float64(form):
    result = checks.array(GOOD[form], "x")
    assert result.dtype == np.float64
    assert result.tolist() == [1.0, 2.5]


@pytest.mark.parametrize("form", GOOD)
def test_numbers_in_any_form_become_a_tensor_of_floats(form):
    result = checks.tensor(GOOD[form], "x")
    assert result.is_floating_point() and not result.requires_grad
    assert result.tolist() == [1.0, 2.5]


@pytest.mark.parametrize("check", [checks.array, checks.tensor])
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_real_number_is_a_type_error(check, kind):
    value, said = BAD[kind]
    with pytest.raises(TypeError, match=f"level .*{said}"):
        check(value, "level")


@pytest.mark.parametrize("check", [checks.array, checks.tensor])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named(check, number):
    with pytest.raises(ValueError, match=f"level must be finite, got {number}"):
        check([1.0, number], "level")


@pytest.mark.parametrize("check", [checks.array, checks.tensor])
def test_infinity_passes_where_it_has_a_meaning_and_nan_never_does(check):
    assert check([-math.inf, math.inf], "level", infinite=True).tolist() == [-math.inf, math.inf]
    with pytest.raises(ValueError, match="level must not be NaN"):
        check([math.inf, math.nan], "level", infinite=True)


def test_rows_of_different_length_are_refused():
    with pytest.raises(ValueError, match="points is no array of numbers"):
        checks.array([[1.0, 2.0], [3.0]], "points")


def test_the_number_of_dimensions_can_be_asked_for():
    assert checks.array([[1.0]], "x", ndim=2).shape == (1, 1)
    with pytest.raises(ValueError, match=r"x must have 2 dimension\(s\), got shape \(1,\)"):
        checks.array([1.0], "x", ndim=2)


def test_integers_become_single_precision_in_a_tensor_and_floats_keep_theirs():
    assert checks.tensor(torch.tensor([1, 2]), "x").dtype == torch.float32
    assert checks.tensor(torch.tensor([1.0], dtype=torch.float64), "x").dtype == torch.float64
    assert checks.tensor(3, "x").shape == ()


def test_what_single_precision_would_round_becomes_double_precision_in_a_tensor():
    beyond = 2**24 + 1
    for value in ([beyond], np.array([-beyond]), torch.tensor([1, beyond]), beyond):
        numbers = checks.tensor(value, "x")
        assert numbers.dtype == torch.float64
        assert numbers.abs().max() == beyond
    assert checks.tensor([2**24, 2**60], "x").dtype == torch.float32  # which it holds
    assert checks.tensor(beyond + 0.5, "x").item() == beyond + 0.5


def test_the_array_that_was_given_is_not_changed():
    given = np.array([1.0, 2.0])
    checks.array(given, "x")[0] = 5.0
    checks.tensor(given, "x")[0] = 5.0
    assert given.tolist() == [1.0, 2.0]


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=8))
def test_a_grid_passes_exactly_if_it_increases(values):
    if all(a < b for a, b in pairwise(values)):
        assert checks.increasing(values, "grid").tolist() == values
    else:
        with pytest.raises(ValueError, match="grid must be 1-D and strictly increasing"):
            checks.increasing(values, "grid")


@pytest.mark.parametrize("value", [1.0, [], [[1.0, 2.0]]])
def test_a_grid_is_a_row_of_two_or_more(value):
    with pytest.raises(ValueError, match="grid must be 1-D and strictly increasing"):
        checks.increasing(value, "grid")


@pytest.mark.parametrize("value", [2, 2.0, np.int8(2), np.float32(2), np.array([2]), [2.0]])
def test_one_number_in_any_form_is_a_float(value):
    result = checks.number(value, "rate")
    assert type(result) is float and result == 2.0


@pytest.mark.parametrize("value", [True, np.True_, "2", None, 2j, np.datetime64("2020-01-01")])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="rate"):
        checks.number(value, "rate")


@pytest.mark.parametrize("value", [math.nan, math.inf, [1.0, 2.0], 11, -1])
def test_a_number_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match="rate"):
        checks.number(value, "rate", 0, 10)


def test_the_ends_of_a_range_belong_to_it():
    assert checks.number(0, "rate", 0, 10) == 0
    assert checks.number(10, "rate", 0, 10) == 10


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", None, True])
def test_a_positive_number_is_finite_and_above_zero(value):
    assert checks.positive(np.float64(0.5), "rate") == 0.5
    with pytest.raises(ValueError, match="rate must be a finite number > 0, got"):
        checks.positive(value, "rate")


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 2e30])
def test_a_rate_is_positive_and_leaves_room_in_float32(value):
    assert checks.rate(1e30, "rate") == 1e30
    with pytest.raises(ValueError, match=r"rate must .*, got"):
        checks.rate(value, "rate")


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_a_whole_number_in_any_form_is_an_int(value):
    for result in (checks.count(value, "steps"), checks.seed(value)):
        assert type(result) is int and result == 3


@pytest.mark.parametrize("value", [3.0, "3", True, np.True_, None, math.nan])
def test_what_is_no_whole_number_is_no_count_and_no_seed(value):
    with pytest.raises(TypeError, match="steps must be a whole number, got"):
        checks.count(value, "steps")
    with pytest.raises(TypeError, match="seed must be a whole number, got"):
        checks.seed(value)


def test_a_count_starts_at_its_least_and_a_seed_at_zero():
    assert checks.count(1, "steps") == 1 and checks.count(5, "steps", 5) == 5
    assert checks.seed(0) == 0
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        checks.count(0, "steps")
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        checks.seed(-1)


def test_a_count_is_at_most_what_float64_counts():
    assert checks.count(2**53, "n") == 2**53
    for value in (2**53 + 1, np.uint64(2**63), 10**400):
        with pytest.raises(ValueError, match=r"n must be at most 2\*\*53, got [0-9]"):
            checks.count(value, "n")
    with pytest.raises(ValueError, match="got one int that cannot be shown"):
        checks.count(10**5000, "n")
    with pytest.raises(ValueError, match="n must be at least 1, got -"):
        checks.count(-(10**400), "n")


def test_a_copy_for_torch_keeps_its_type_where_torch_has_it():
    for form, expected in ((">i4", "int32"), ("<f4", "float32"), ("longdouble", "float64")):
        copy = checks.for_torch(np.array([3, 2, 1], dtype=form)[::-1])
        assert copy.dtype == expected and copy.flags.writeable
        assert torch.from_numpy(copy).tolist() == [1, 2, 3]


@pytest.mark.parametrize("check", [checks.array, checks.tensor])
def test_a_quantised_tensor_is_refused(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to drop this kind
        value = torch.quantize_per_tensor(torch.tensor([1.0]), 0.1, 0, torch.quint8)
    with pytest.raises(TypeError, match=r"level must be a dense tensor .* quantised one"):
        check(value, "level")


def test_an_option_passes_and_another_is_met_with_near_ones():
    assert checks.one_of("cosine", "schedule", ("cosine", "constant")) == "cosine"
    with pytest.raises(ValueError, match="unknown schedule 'cosin'; did you mean 'cosine'"):
        checks.one_of("cosin", "schedule", ("cosine", "constant"))


@pytest.mark.parametrize("value", [None, 3, np.array([1, 2]), ["cosine"]])
def test_an_option_of_another_kind_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"unknown schedule .*cosine, constant"):
        checks.one_of(value, "schedule", ("cosine", "constant"))


def test_an_unknown_name_names_the_place_where_all_are_listed():
    message = str(checks.unknown("toy", "RING", ["ring8", "moons"], "diffviz.data.TOYS"))
    assert message == ("unknown toy 'RING'; did you mean 'ring8'? (diffviz.data.TOYS lists all 2)")


def test_a_condition_that_fails_raises_its_message():
    checks.require(True, "never")
    with pytest.raises(ValueError, match=r"^always$"):
        checks.require(False, "always")
    with pytest.raises(TypeError, match=r"^always$"):
        checks.require([], "always", TypeError)


def test_only_a_numpy_generator_is_a_random_generator():
    rng = np.random.default_rng(0)
    assert checks.random_generator(rng) is rng
    for value in (0, None, torch.Generator(), np.random.RandomState(0)):
        with pytest.raises(TypeError, match=r"rng .*np\.random\.default_rng\(0\)"):
            checks.random_generator(value)


def test_a_tensor_that_numpy_cannot_read_is_made_plain_or_refused():
    half = torch.tensor([0.5, 2.0], dtype=torch.bfloat16)
    np.testing.assert_array_equal(checks.array(half, "x"), [0.5, 2.0])
    negated = torch.tensor([1.0 + 2.0j]).conj().imag
    assert negated.is_neg()
    np.testing.assert_array_equal(checks.array(negated, "x"), [-2.0])
    rows = [torch.tensor([1.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)]
    with pytest.raises(ValueError, match="x is no array of numbers"):
        checks.array(rows, "x")
    for odd in (torch.empty(2, device="meta"), torch.eye(2).to_sparse()):
        for check in (checks.array, checks.tensor):
            with pytest.raises(TypeError, match="x must be a dense tensor with values"):
                check(odd, "x")


def test_a_torch_generator_passes_and_anything_else_is_refused_by_name():
    generator = torch.Generator()
    assert checks.torch_generator(generator) is generator
    for other in (0, None, np.random.default_rng(0)):
        with pytest.raises(TypeError, match=r"source must be a torch\.Generator, got"):
            checks.torch_generator(other, "source")


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f4", "f8"])
def test_real_numbers_keep_their_type_and_are_not_looked_at(dtype):
    numbers = np.array([1, 2], dtype)
    assert checks.real_numbers(numbers, "x") is numbers
    assert checks.real_numbers(torch.from_numpy(numbers), "x").dtype == numbers.dtype
    assert np.isnan(checks.real_numbers([np.nan, 1.0], "x")[0])
    with pytest.raises(TypeError, match="x must hold real numbers, got complex numbers"):
        checks.real_numbers(numbers * 1j, "x")


def test_a_tensor_without_values_is_refused():
    for tensor in (torch.zeros(2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(TypeError, match="x must be a dense tensor with values"):
            checks.dense_tensor(tensor, "x")


# --- kinds of things ----------------------------------------------------------------------------


class Sampler:
    """Something with a method."""

    def sample(self):
        return 0


@pytest.mark.parametrize("value", [3, None, "EPS", Sampler])
def test_an_object_of_another_class_is_refused_with_an_example(value):
    one = Sampler()
    assert checks.instance(one, "toy", Sampler, "a sampler") is one
    with pytest.raises(TypeError, match="toy must be a sampler, got"):
        checks.instance(value, "toy", Sampler, "a sampler")


@pytest.mark.parametrize("value", [3, None, "EPS", Sampler])
def test_an_object_without_the_methods_is_refused_with_an_example(value):
    one = Sampler()
    assert checks.able(one, "toy", ("sample",), "a toy") is one
    with pytest.raises(TypeError, match="toy must be a toy, with sample; got"):
        checks.able(value, "toy", ("sample",), "a toy")
    with pytest.raises(TypeError, match="with sample and score; got"):
        checks.able(one, "toy", ("sample", "score"), "a toy")


@pytest.mark.parametrize("value", [3, None, "exp", np.zeros(3)])
def test_what_cannot_be_called_is_no_function(value):
    assert checks.function(math.exp, "mmse") is math.exp
    with pytest.raises(TypeError, match="mmse must be a function, got"):
        checks.function(value, "mmse")


@pytest.mark.parametrize("value", [3, None, "text", b"bytes", np.array(1.0)])
def test_a_single_thing_is_no_list(value):
    assert checks.items((1, 2), "objectives") == checks.items(iter([1, 2]), "objectives") == [1, 2]
    with pytest.raises(TypeError, match="objectives must be a list, got"):
        checks.items(value, "objectives")


@pytest.mark.parametrize("value", [3, None, b"a", ["a"]])
def test_what_is_no_text_is_refused(value):
    assert checks.text("a", "title") == "a"
    with pytest.raises(TypeError, match="title must be text, got"):
        checks.text(value, "title")


@pytest.mark.parametrize(
    "raises",
    [
        lambda long: checks.one_of(long, "toy", ["ring8"]),
        lambda long: checks.instance(long, "toy", int, "a number"),
        lambda long: checks.text([long], "title"),
        lambda long: checks.require(False, long),
    ],
)
def test_a_message_shows_both_ends_of_what_is_long(raises):
    with pytest.raises((TypeError, ValueError), match=r"first-+ \.\.\. -+last") as raised:
        raises("first" + 5000 * "-" + "last")
    assert len(str(raised.value)) < 1300
    assert checks.brief("short") == "'short'"


def test_a_seed_fits_into_64_bits():
    assert checks.seed(2**64 - 1) == 2**64 - 1
    with pytest.raises(ValueError, match=r"seed must be below 2\*\*64"):
        checks.seed(2**64)


def test_seeds_are_whole_numbers_with_values():
    for several in ((0, 2**63), [np.int64(0), 2**63], iter([0, 2**63])):
        assert checks.seeds(several) == [0, 2**63]
    for several in (torch.tensor([0, 7]), np.array([0, 7])):
        assert checks.seeds(several) == [0, 7]
    for wrong, error, says in (
        (
            torch.zeros(2, device="meta"),
            TypeError,
            "dense tensor with values, got one on the device",
        ),
        (torch.tensor(3), TypeError, "seeds must be a list, got 3"),
        ((0, 1.0), TypeError, r"seeds\[1\] must be a whole number, got 1.0"),
        ((-1,), ValueError, r"seeds\[0\] must be at least 0"),
        ((), ValueError, "seeds is empty; give one for each network"),
    ):
        with pytest.raises(error, match=says):
            checks.seeds(wrong)


@pytest.mark.parametrize("check", [checks.array, checks.tensor])
def test_what_can_be_drawn_from_says_how(check):
    with pytest.raises(TypeError, match="x must hold real numbers, got a Toy; draw points"):
        check(dv.toy("moons"), "x")
    said = r"got a Toy; draw points from it: toy\.sample\(1000, torch\.Generator"
    for call in (
        lambda toy: dv.fit("fm-ot", toy, progress=False),
        dv.dataset,
        lambda toy: dv.mixture(toy, 0.1),
        lambda toy: dv.elbo(toy, toy),
    ):
        with pytest.raises(TypeError, match=said):
            call(dv.toy("moons"))


class Keyed(dict):
    """A dictionary whose keys are attributes, so that a missing one is a KeyError."""

    __getattr__ = dict.__getitem__


class Unloaded:
    """Looks nothing up before it is loaded."""

    def __getattr__(self, name):
        raise RuntimeError(f"load it before you ask for {name}")


class OfOneMethod:
    """Offers a method, and an attribute that cannot be read."""

    def draw(self, n, rng, stratified=True):
        return np.zeros(n), np.ones(n)

    @property
    def name(self):
        raise ValueError("no name yet")


class OwnLaw(Keyed):
    """The standard normal law, without a method that a law may lack."""

    pdf = staticmethod(stats.norm.pdf)
    cdf = staticmethod(stats.norm.cdf)
    ppf = staticmethod(stats.norm.ppf)
    support = staticmethod(stats.norm.support)


UNLIKE = {"keys": Keyed(mean=1.0), "not loaded": Unloaded(), "no name yet": OfOneMethod()}


@pytest.mark.parametrize("kind", UNLIKE)
def test_what_cannot_be_looked_up_for_whatever_reason_is_not_offered(kind):
    value = UNLIKE[kind]
    assert not checks.has(value, "name")
    assert checks.attribute(value, "name") is None
    assert checks.attribute(value, "name", 7) == 7
    assert not any(checks.offers(value, protocol) for protocol in (Denoiser, Law, Trainable))
    with pytest.raises(TypeError, match="data must be a toy, with sample; got"):
        checks.able(value, "data", ("sample",), "a toy")


def test_what_can_be_looked_up_is_offered():
    assert checks.has(Keyed(name=None), "name")
    assert checks.attribute(Keyed(name="own"), "name") == "own"
    assert checks.offers(OwnLaw(), Law)
    assert checks.offers(Keyed(name="own", draw=OfOneMethod().draw), Trainable)
    assert checks.able(Keyed(sample=len), "data", ("sample",), "a toy") == {"sample": len}


def test_a_dictionary_whose_keys_are_attributes_is_a_table():
    grid = np.linspace(-5, 5, 11)
    table = Keyed(logsnr=grid, weight=1 / (1 + np.exp(grid)))
    own = dv.from_weighting(table)
    np.testing.assert_allclose(own.weighting(grid), 1 / (1 + np.exp(grid)), rtol=1e-12)


NORMAL_ABOVE = [0.8413447460685429, 0.5, 0.15865525393145707]  # above −1, 0 and 1


def test_a_law_that_looks_attributes_up_in_its_own_way_needs_no_more_methods_than_others():
    edges = np.array([-1.0, 0.0, 1.0])
    own = dv.from_weighting(lambda logsnr: np.exp(-logsnr), law=OwnLaw())
    known = dv.from_weighting(lambda logsnr: np.exp(-logsnr), law=stats.norm())
    np.testing.assert_allclose(own.law.pdf(edges), np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi))
    np.testing.assert_allclose(laws.survival(own.law, edges), NORMAL_ABOVE)
    np.testing.assert_allclose(dv.grid(own.law, 7), dv.grid(known.law, 7), rtol=1e-12)
    assert dv.share_below(own, 0.0) == pytest.approx(dv.share_below(known, 0.0), rel=1e-9)


@pytest.mark.parametrize("kind", ["keys", "not loaded"])
def test_what_offers_nothing_is_refused_as_such(kind):
    value = UNLIKE[kind]
    for call, error, says in (
        (lambda: dv.verdict(value), ValueError, "verdict.* needs an objective, a measured loss"),
        (lambda: dv.grid(value, 4), TypeError, "law must be a law of log-SNR, such as"),
        (lambda: dv.log_likelihood(value, torch.zeros(2, 2)), TypeError, "denoise"),
        (lambda: dv.from_diffusers(value), (TypeError, ValueError), "config"),
        (lambda: dv.probe(torch.square, value), TypeError, "x must be a floating-point tensor"),
        (lambda: dv.read_log([value]), (TypeError, ValueError), "log"),
    ):
        with pytest.raises(error, match=says):
            call()
