"""A checkpoint goes on with the objective that it was written for, whatever its name."""

import collections
import dataclasses
import functools
import inspect
import json
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.learning.identity import record
from diffviz.learning.models import MLP, Transformer, describe, from_description, linear
from diffviz.learning.settings import Settings
from diffviz.learning.tracking import LossByLogSNR
from diffviz.learning.training import Trainer, fit
from diffviz.theory.families import flow
from diffviz.theory.multipliers import snr, snr_plus_one

POINTS = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
EDGES = np.linspace(-5, 5, 11)


def stop_at(n):
    def callback(step):
        if step.step == n:
            raise KeyboardInterrupt

    return callback


def train(objectives, checkpoint=None, **settings):
    settings = {"steps": 8, "batch": 8, "model": MLP(4, 1), "progress": False} | settings
    return fit(objectives, POINTS, checkpoint=checkpoint, **settings)


def named_flow(mean):
    return flow(mean=mean, std=1.0, name="mine")


def custom(curve):
    return dv.from_weighting(curve, dv.objective("edm").law)


@pytest.mark.parametrize(
    ("first", "second"),
    [(named_flow(0), named_flow(3)), (custom(snr), custom(snr_plus_one))],
    ids=["flow", "custom"],
)
def test_another_objective_of_the_same_name_is_refused(tmp_path, first, second):
    assert first.name == second.name
    path = tmp_path / "c"
    train(first, path, callback=stop_at(3))
    content = path.read_bytes()
    says = f"{first.identity} in the file, .*{second.identity} here.*name another file"
    with pytest.raises(ValueError, match=says):
        train(second, path)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match="objectives are 1 in the file, 2 here"):
        train([first, second], path)


def test_the_same_objective_under_another_name_goes_on(tmp_path):
    train(flow(mean=1, name="before"), tmp_path / "c", callback=stop_at(3))
    (run,) = train(flow(mean=1, name="after"), tmp_path / "c")
    (whole,) = train(flow(mean=1))
    assert run.name == "after"
    np.testing.assert_array_equal(run.loss, whole.loss)


def adaptive(rule="kingma-gao", edges=EDGES, objective="fm-ot", **settings):
    tracker = LossByLogSNR(edges, settings.pop("decay", 0.99))
    return dv.AdaptiveObjective(dv.objective(objective), tracker, rule, **settings)


def test_an_adaptive_objective_is_compared_by_objective_rule_and_edges():
    first = adaptive()
    assert len(first.identity) == 16
    assert first.identity == adaptive().identity
    first.tracker.update(np.zeros(4), np.ones(4))
    assert first.identity == adaptive().identity  # what is seen does not enter
    others = [
        adaptive("time-warp"),
        adaptive(edges=EDGES + 0.1),
        adaptive(objective="edm"),
        adaptive(uniform=0.1),
        adaptive(decay=0.9),
    ]
    assert len({one.identity for one in [first, *others]}) == 6


def test_a_checkpoint_of_another_rule_is_refused(tmp_path):
    train(adaptive(), tmp_path / "c", callback=stop_at(3))
    train(adaptive(), tmp_path / "c", callback=stop_at(5))
    with pytest.raises(ValueError, match="objectives differ: 'fm-ot, kingma-gao' with identity"):
        train(adaptive("vdm"), tmp_path / "c")


class Plain:
    """Draws without an identity."""

    def __init__(self, name):
        self.name = name

    def draw(self, n, rng):
        return rng.normal(size=n), np.ones(n)


class Another(Plain):
    """The same under another class."""


def test_what_has_no_identity_is_compared_by_name_and_class(tmp_path):
    assert record(Plain("a")) == record(Plain("a"))
    assert len({record(Plain("a")), record(Plain("b")), record(Another("a"))}) == 3
    train(Plain("a"), tmp_path / "c", callback=stop_at(3))
    train(Plain("a"), tmp_path / "c", callback=stop_at(5))
    for other in (Plain("b"), Another("a")):
        with pytest.raises(ValueError, match="objectives differ: 'a' with identity a of class"):
            train(other, tmp_path / "c")


class Affine:
    """A network that is no dataclass; its shapes depend on what its attributes do not tell."""

    bias = True

    def weights(self, shape):
        (d,) = shape
        return [((d, d), 0.1), ((1, d), 0.0)][: 1 + self.bias]

    def __call__(self, weights, z, logsnr):
        matrix, *bias = weights
        return linear(z, matrix, bias[0] if bias else z.new_zeros(len(z), 1, z.shape[-1]))


def test_a_network_of_ones_own_goes_on_in_another_object(tmp_path, monkeypatch):
    train("edm", tmp_path / "c", model=Affine(), callback=stop_at(3))
    (run,) = train("edm", tmp_path / "c", model=Affine())
    np.testing.assert_array_equal(run.loss, train("edm", model=Affine())[0].loss)
    monkeypatch.setattr(Affine, "bias", False)
    with pytest.raises(ValueError, match=r"weights has shape \(1, 6\) in the file, \(1, 4\) here"):
        train("edm", tmp_path / "c", model=Affine())


def test_every_setting_is_compared(tmp_path):
    train("edm", tmp_path / "c", callback=stop_at(3))
    changed = {
        "model": MLP(5, 1),
        "steps": 9,
        "batch": 9,
        "seed": 1,
        "learning_rate": 0.02,
        "schedule": "constant",
        "output": "eps",
        "ema": (0.2, 0.05),
        "clip": math.inf,
        "adaptive": True,
    }
    assert changed.keys() == {field.name for field in dataclasses.fields(Settings)}
    for name, value in changed.items():
        with pytest.raises(ValueError, match=rf"this training \({name} is .* in the file, .* here"):
            train("edm", tmp_path / "c", **{name: value})


# --- settings -----------------------------------------------------------------------------------


def test_fit_and_trainer_have_the_defaults_of_the_settings():
    signatures = [inspect.signature(door).parameters for door in (fit, Trainer)]
    for field in dataclasses.fields(Settings):
        if field.name != "model":
            assert {parameters[field.name].default for parameters in signatures} == {field.default}
    assert all(parameters["model"].default is None for parameters in signatures)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 8.0}, TypeError, "steps must be a whole number, got 8.0"),
        ({"batch": True}, TypeError, "batch must be a whole number, got True"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be a whole number, got None"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate must be a finite number > 0, got -0"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate must be a finite number > 0"),
        ({"schedule": "cosin"}, ValueError, "unknown schedule 'cosin'; did you mean 'cosine'"),
        ({"output": "u"}, ValueError, "unknown output 'u'"),
        ({"ema": (0.1, 0.6)}, ValueError, r"ema holds shares in \(0, 0.5\], got 0.6"),
        ({"ema": 0.1}, ValueError, r"ema must have 1 dimension\(s\)"),
        ({"ema": (0.1, 0.1)}, ValueError, "ema holds a share twice"),
        ({"clip": 0}, ValueError, "clip must be a finite number > 0"),
        ({"clip": -math.inf}, ValueError, "clip must be a finite number > 0"),
        ({"model": MLP}, TypeError, r"not a class: model=MLP\(\)"),
        ({"model": 3}, TypeError, "model must be a network"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"callback": 3}, TypeError, "callback must be a function of a Step"),
        ({"rate": 0.1}, TypeError, "rate"),
    ],
)
def test_each_setting_is_refused_with_a_message_of_its_own(settings, error, says):
    with pytest.raises(error, match=says):
        train("edm", **settings)


def test_numpy_numbers_are_settings():
    plain = train("edm", seed=3, steps=8, ema=(0.25,))
    numpy = train("edm", seed=np.int64(3), steps=np.int32(8), ema=np.array([0.25]))
    np.testing.assert_array_equal(plain[0].loss, numpy[0].loss)
    settings = Trainer("edm", POINTS, seed=np.uint8(3), ema=[0.25]).settings
    assert type(settings.seed) is int
    assert settings.ema == (0.25,)


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (POINTS * 1j, TypeError, "data must hold real numbers, got complex"),
        (POINTS.numpy() * 1j, TypeError, "data must hold real numbers, got complex"),
        (np.ma.masked_array(POINTS.numpy()), TypeError, "data is a masked array"),
        ([["a", "b"]], TypeError, "data must hold real numbers, got text"),
        ([[0.0, 1.0], [2.0]], ValueError, "data is no array of numbers"),
        (np.zeros((3, 2), "M8[s]"), TypeError, "data must hold real numbers, got dates"),
        (1e30 * POINTS, ValueError, "standard deviation of data is inf"),
    ],
)
def test_data_that_are_no_real_numbers_are_refused(data, error, says):
    with pytest.raises(error, match=says):
        fit("edm", data, steps=1, progress=False)


def test_data_of_any_memory_layout_train():
    backwards = POINTS.numpy()[::-1]
    backwards.flags.writeable = False
    (run,) = fit("edm", backwards, steps=2, batch=4, progress=False)
    (copied,) = fit("edm", POINTS.flip(0), steps=2, batch=4, progress=False)
    np.testing.assert_array_equal(run.loss, copied.loss)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (np.ones((2, 256)) * 1j, "what odd drew must hold real numbers, got complex"),
        (2 * [np.ma.masked_array(np.ones(256))], "what odd drew is a masked array"),
    ],
)
def test_draws_that_are_no_real_numbers_are_refused(pair, says):
    class Odd:
        name = "odd"

        def draw(self, n, rng):
            return pair

    with pytest.raises(TypeError, match=says):
        train(Odd())


def test_a_pair_of_different_lengths_is_refused():
    class Odd:
        name = "odd"

        def draw(self, n, rng):
            return np.zeros(n), np.ones(n + 1)

    with pytest.raises(ValueError, match=r"odd drew .* of shape \(256,\) and \(257,\); needed"):
        train(Odd())


def test_what_is_no_objective_is_refused():
    for wrong in (3, None, Plain, [Plain], {}):
        with pytest.raises(TypeError, match="names of the catalogue or have name and draw"):
            train(wrong)


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MLP(4, 2, (1, 2)), Transformer(8, 2, 2), Transformer(patch=3)])
def test_a_network_follows_from_its_description(model):
    assert from_description(describe(model)) == model


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: MLP(0), ValueError, "width must be at least 1"),
        (lambda: MLP(depth=2.0), TypeError, "depth must be a whole number"),
        (lambda: MLP(frequencies=(math.nan,)), ValueError, "frequencies must be finite"),
        (lambda: MLP(frequencies=2.0), ValueError, "frequencies must have 1 dimension"),
        (lambda: Transformer(heads=0), ValueError, "heads must be at least 1"),
        (lambda: Transformer(patch=0), ValueError, "patch must be at least 1"),
        (lambda: Transformer().weights((2,)), ValueError, "for vectors take an MLP"),
    ],
)
def test_networks_refuse_unfit_settings(make, error, says):
    with pytest.raises(error, match=says):
        make()


# --- networks of one's own in another process ---------------------------------------------------


class Part:
    """An object without a text of its own."""

    def __init__(self, scale):
        self.scale = scale


class Composed(Affine):
    """A network whose attributes JSON does not know."""

    def __init__(self, scale=1.0, table=(1.0, 2.0), activation=torch.tanh):
        self.part = Part(scale)
        self.table = torch.tensor(table)
        self.options = {3: np.arange(2), "activation": activation, "shapes": {(1, 2), (3,)}}
        self.named = [named_flow, Part, math.sin]
        self.itself = self


def test_what_identifies_a_network_holds_no_memory_address():
    kept = Composed()  # so that another object cannot have the same address
    text = json.dumps(describe(kept))
    assert "0x" not in text
    assert text == json.dumps(describe(Composed()))
    others = [Composed(2.0), Composed(table=(1.0, 3.0)), Composed(activation=torch.sigmoid)]
    assert len({text, *(json.dumps(describe(one)) for one in others)}) == 4


class Worded:
    """Says what it is in words of its own, with or without its place in memory."""

    def __init__(self, words, shows_place):
        self.words, self.shows_place = words, shows_place

    def __repr__(self):
        return f"Worded {self.words}" + " at 0x7f00" * self.shows_place


def test_an_object_is_identified_by_what_it_holds_whatever_its_words():
    def text(words, shows_place):
        return json.dumps(describe(Composed(activation=Worded(words, shows_place))))

    assert "Worded one" not in text("one", False)
    assert "0x" not in text("one", True)
    for shows_place in (False, True):
        assert text("one", shows_place) != text("two", shows_place)


def test_an_object_that_holds_nothing_is_identified_by_its_own_words():
    class Silent:
        def __init__(self, words):
            self.words = words

        def __getstate__(self):
            return None

        def __repr__(self):
            return self.words

    texts = [json.dumps(describe(Composed(activation=Silent(one)))) for one in ("up", "up", "down")]
    assert texts[0] == texts[1] != texts[2]
    places = [json.dumps(describe(Composed(activation=Silent(f"at 0x{k}")))) for k in (1, 2)]
    assert places[0] != places[1]  # a word of its own, and no place in memory
    places = [json.dumps(describe(Composed(activation=Silent(f"S at 0x{k}")))) for k in (1, 2)]
    assert places[0] == places[1]


def scaled_by(factor):
    """A function that is made within another."""

    def scaled(z):
        return factor * z

    return scaled


def test_functions_of_one_name_are_told_apart_by_what_they_do():
    texts = [
        json.dumps(describe(Composed(activation=one)))
        for one in (
            *(lambda z: z + 1, lambda z: z + 2, lambda z: z * 1, lambda z, by=1: z + by),
            *(lambda z: torch.sin(z), lambda z: torch.cos(z), lambda z: (lambda: z + 1)()),
            *(lambda z: (lambda: z + 2)(), scaled_by(2.0), scaled_by(3.0), scaled_by(Part(1))),
        )
    ]
    assert len(set(texts)) == len(texts)
    assert not any("0x" in text for text in texts)
    assert texts[-3] == json.dumps(describe(Composed(activation=scaled_by(2.0))))


def test_a_function_that_calls_itself_has_a_description():
    def again(n):
        return again(n - 1) if n else 0

    assert "itself" in json.dumps(describe(Composed(activation=again)))


def test_a_lambda_reads_the_same_in_another_process(tmp_path):
    """Constants of sets come in another order there."""
    file = tmp_path / "own.py"
    file.write_text(
        "import json, diffviz.learning.models as models\n"
        "class Own:\n"
        "    def __init__(self):\n"
        "        self.act = lambda z: z in {'a', 'b', 'c', 'd', 'e'}\n"
        "    def weights(self, shape): return []\n"
        "    def __call__(self, weights, z, logsnr): return z\n"
        "print(json.dumps(models.describe(Own())))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, file],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1 and "lambda" in told.pop()


SPOKEN = """
import dataclasses, json, sys
import numpy as np
import torch
import diffviz.learning.models as models
NAMES = frozenset({"up", "down", "mid"})
@dataclasses.dataclass(frozen=True)
class Record:
    part: object
class Own:
    def __init__(self, part):
        self.part = part
    def weights(self, shape): return []
    def __call__(self, weights, z, logsnr): return z
numbers = np.array([1 / 3, 2 / 3])
record = np.array((1 / 3, 2.0), dtype=[("a", "f8"), ("b", "f4")])
parts = {
    "a set in a record": Record(NAMES),
    "a set in a record in a set": frozenset({Record(NAMES), Record(frozenset({"a", "b", "c"}))}),
    "a record with a set as key": {Record(NAMES): 1},
    "a set as key": {NAMES: 1},
    "an array in a record": Record(numbers),
    "a tensor in a record": Record(torch.from_numpy(numbers)),
    "an array of objects": np.array([Record(numbers), None]),
    "a number in a record": Record(np.float32(1 / 3)),
    "an element of an array of records": record[()],
}
if sys.argv[1] == "2":
    np.set_printoptions(precision=3, legacy="1.13")
    torch.set_printoptions(precision=2)
told = {name: models.describe(Own(part)) for name, part in parts.items()}
print(json.dumps(told))
"""


def test_equal_objects_read_the_same_in_another_process_that_prints_otherwise(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(SPOKEN)
    one, two = (
        json.loads(
            subprocess.run(
                [sys.executable, file, seed],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    )
    assert len(one) == 9
    assert [name for name in one if one[name] != two[name]] == []


def test_bytes_between_the_numbers_of_an_array_are_not_compared():
    def filled(byte):
        memory = np.frombuffer(bytearray([byte]) * 64, dtype=np.uint8).copy()
        aligned = np.dtype([("a", "i1"), ("b", "f8")], align=True)
        record = memory[: aligned.itemsize].view(aligned)
        record["a"], record["b"] = 1, 1 / 3
        return record

    assert filled(0).tobytes() != filled(255).tobytes()
    texts = [describe(Composed(activation=filled(byte))) for byte in (0, 255)]
    assert texts[0] == texts[1]
    other = filled(0)
    other["b"] = 2 / 3
    assert describe(Composed(activation=other)) != texts[0]


def test_the_keys_of_a_mapping_are_told_apart_by_their_kind():
    texts = [describe(Composed(activation=one)) for one in ({1: 2, "1": 3}, {1: 3, "1": 2})]
    assert texts[0] != texts[1]
    assert describe(Composed(activation={2: 1, 1: 2})) == describe(
        Composed(activation={1: 2, 2: 1})
    )


def test_a_module_of_python_is_identified_by_its_name():
    text = json.dumps(describe(Composed(activation=json)))
    assert '{"module": "json"}' in text and "__init__" not in text
    assert text != json.dumps(describe(Composed(activation=math)))


class Encoder(torch.nn.Module):
    """A frozen part of a network, whose words are the same for all weights."""

    def __init__(self, seed=0, scale=1.0, shift=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(2, 2, generator=generator, dtype=torch.float64)
        self.weight = torch.nn.Parameter(weight.float(), requires_grad=False)
        self.scale = scale
        self.register_buffer("shift", torch.tensor(shift), persistent=False)
        self.activation = torch.nn.Dropout(0.5)

    def forward(self, z):
        return self.scale * z @ self.weight + self.shift


@dataclasses.dataclass
class Quiet:
    """A record that does not say all that it holds."""

    scale: float = dataclasses.field(repr=False)

    def __post_init__(self):
        self.table = [self.scale]


@dataclasses.dataclass
class Derived:
    """A record whose parts are made from what it was given, and not kept as a field."""

    seed: dataclasses.InitVar[int]

    def __post_init__(self, seed):
        self.encoder = Encoder(seed)

    def __repr__(self):
        return "Derived()"


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("scale",)

    def __init__(self, scale):
        self.scale = scale

    def __repr__(self):
        return "Slotted"


def within_another(value):
    """A function that is named as if it were not made within another."""

    @functools.wraps(named_flow)
    def function(z):
        return value

    return function


def nested(k):
    """Two rows of different lengths in one tensor."""
    rows = [torch.ones(2), k * torch.ones(3)]
    return torch.nested.nested_tensor(rows, layout=torch.jagged)


# by what is held: a function of a number, of which 1 and 2 make two things that print alike
HELD = {
    "weights": Encoder,
    "buffers": lambda k: Encoder(shift=float(k)),
    "attributes of a module": lambda k: Encoder(scale=float(k)),
    "the mode of a module": lambda k: Encoder().train(k == 1),
    "parts of a module": lambda k: torch.nn.Sequential(torch.nn.ReLU(), Encoder(k)),
    "weights of another type": lambda k: Encoder(k).bfloat16(),
    "weights in a list": lambda k: [Encoder(k)],
    "weights in a queue": lambda k: collections.deque([Encoder(k)]),
    "weights in an array": lambda k: np.array([Encoder(k), None]),
    "a method": lambda k: Encoder(k).forward,
    "a method of a tensor": lambda k: torch.tensor([1.0, k]).mul,
    "a partial": lambda k: functools.partial(Encoder(k), out=None),
    "a function of another name": within_another,
    "a field that is not printed": Quiet,
    "what is no field": Derived,
    "slots": Slotted,
    "a sparse tensor": lambda k: torch.eye(3).mul(k).to_sparse(),
    "a nested tensor": nested,
    "a number of NumPy": lambda k: np.float32(k),
    "a long number of NumPy": lambda k: np.longdouble(1) + k * np.finfo(np.longdouble).eps,
    "a record of NumPy": lambda k: np.array((k, 1.0), dtype=[("a", "i8"), ("b", "f8")])[()],
    "a module whose sizes are not known": lambda k: torch.nn.LazyLinear(k, bias=k > 0),
    "a sparse array": lambda k: scipy.sparse.csr_array(k * np.eye(3)),
}


@in_one_test
@pytest.mark.parametrize("make", HELD.values(), ids=HELD)
def test_what_a_network_holds_identifies_it_however_it_prints(make):
    one, again, other = (
        json.loads(json.dumps(describe(Composed(activation=make(k))))) for k in (1, 1, 2)
    )
    assert one == again
    assert one != other
    assert "0x" not in json.dumps(one)


@pytest.mark.slow
def test_what_is_compiled_is_identified_by_what_it_was_made_from():
    for make in (Encoder, scaled_by):
        one, again, other = (
            describe(Composed(activation=torch.compile(make(k), backend="eager")))
            for k in (1, 1, 2)
        )
        assert one == again
        assert one != other
        assert one != describe(Composed(activation=make(1)))


def test_a_network_itself_is_identified_by_what_is_no_field():
    @dataclasses.dataclass
    class Own(Affine):
        seed: dataclasses.InitVar[int]

        def __post_init__(self, seed):
            self.encoder = Encoder(seed)

        @functools.cached_property
        def kept(self):
            return 3.0

    used = Own(1)
    assert used.kept == 3.0
    assert describe(used) == describe(Own(1))
    assert describe(used) != describe(Own(2))


def test_a_random_generator_is_no_setting():
    moved = np.random.default_rng(0)
    moved.random(3)
    fresh = Composed(activation=np.random.default_rng(0))
    assert describe(Composed(activation=moved)) == describe(fresh)


def test_a_network_with_other_frozen_weights_is_refused(tmp_path):
    train("edm", tmp_path / "c", model=Composed(activation=Encoder(0)), callback=stop_at(3))
    with pytest.raises(ValueError, match=r"model is .*Encoder with check sum .* in the file"):
        train("edm", tmp_path / "c", model=Composed(activation=Encoder(1)))
    (run,) = train("edm", tmp_path / "c", model=Composed(activation=Encoder(0)))
    run.save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"the network is .*Encoder with check sum .* give that"):
        dv.Run.load(tmp_path / "run", model=Composed(activation=Encoder(1)))
    assert dv.Run.load(tmp_path / "run", model=Composed(activation=Encoder(0))).name == run.name


def test_a_setting_that_is_not_a_number_is_the_same_in_its_own_checkpoint(tmp_path):
    train("edm", tmp_path / "c", model=Composed(scale=math.nan), callback=stop_at(3))
    (run,) = train("edm", tmp_path / "c", model=Composed(scale=math.nan))
    np.testing.assert_array_equal(run.loss, train("edm", model=Composed())[0].loss)
    train("edm", tmp_path / "d", model=Composed(scale=math.nan), callback=stop_at(3))
    with pytest.raises(ValueError, match="model is"):
        train("edm", tmp_path / "d", model=Composed(scale="nan"))


def test_a_network_with_parts_goes_on_in_another_object_and_not_with_other_parts(tmp_path):
    train("edm", tmp_path / "c", model=Composed(), callback=stop_at(3))
    with pytest.raises(ValueError, match=r"model is .* in the file"):
        train("edm", tmp_path / "c", model=Composed(2.0))
    (run,) = train("edm", tmp_path / "c", model=Composed())
    np.testing.assert_array_equal(run.loss, train("edm", model=Composed())[0].loss)


# --- networks that move -------------------------------------------------------------------------


class Counting(torch.nn.Module):
    """A module that counts its calls in a buffer, and the points in an attribute."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.points = 0

    def forward(self, z):
        self.calls += 1
        self.points += len(z)
        return z


class Through(Affine):
    """A network behind a module."""

    def __init__(self, module, **settings):
        self.module = module
        self.settings = settings

    def __call__(self, weights, z, logsnr):
        seen = self.module(z.detach().flatten(0, 1)).view_as(z)
        return super().__call__(weights, seen, logsnr)


class Switching(torch.nn.Module):
    """A module that goes over to evaluation at its first call."""

    def forward(self, z):
        self.eval()
        return z


MOVING = {
    "batch norm": lambda: torch.nn.BatchNorm1d(2),
    "a norm within": lambda: torch.nn.Sequential(torch.nn.Identity(), torch.nn.BatchNorm1d(2)),
    "a counter": Counting,
    "a mode": Switching,
}


@in_one_test
@pytest.mark.parametrize("make", MOVING.values(), ids=MOVING)
def test_what_a_training_moves_in_a_network_is_not_compared(tmp_path_factory, make):
    folder = tmp_path_factory.mktemp("moving")
    moved = Through(make())
    train("edm", folder / "c", model=moved, callback=stop_at(3))
    assert describe(moved) != describe(Through(make()))
    (run,) = train("edm", folder / "c", model=Through(make()))
    (whole,) = train("edm", folder / "c", model=Through(make()))
    np.testing.assert_array_equal(run.loss, whole.loss)
    for kept in (run, run.at(0.0), pickle.loads(pickle.dumps(run))):
        kept.save(folder / "run")
        loaded = dv.Run.load(folder / "run", model=Through(make()))
        loaded.denoise(POINTS, 0.0)
        loaded.save(folder / "again")
        dv.Run.load(folder / "again", model=Through(make()))
    with pytest.raises(ValueError, match=r"model is .* in the file"):
        train("edm", folder / "c", model=Through(make(), other=True))


def test_what_a_user_set_in_a_network_that_moves_is_compared(tmp_path):
    def started(mean):
        norm = torch.nn.BatchNorm1d(2)
        norm.running_mean.fill_(mean)
        return Through(norm)

    (run,) = train("edm", tmp_path / "c", model=started(1.0))
    with pytest.raises(ValueError, match=r"model is .* in the file"):
        train("edm", tmp_path / "c", model=started(2.0))
    other = dataclasses.replace(run, model=started(2.0))
    other.save(tmp_path / "run")
    assert dv.Run.load(tmp_path / "run", model=started(2.0)).name == run.name
    with pytest.raises(ValueError, match="give that one"):
        dv.Run.load(tmp_path / "run", model=started(1.0))
