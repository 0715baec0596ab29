"""Whatever kind of callable a loss is, what it reaches is found, put back and replayed."""

import random
import weakref
from functools import (
    cached_property,
    lru_cache,
    partial,
    partialmethod,
    singledispatch,
    singledispatchmethod,
    wraps,
)

import numpy as np
import pytest
import torch
from torch import nn

import diffviz as dv
from diffviz.probing import outside

CALLS = 0
NUMPY = np.random.default_rng(0)
LEGACY = np.random.RandomState(0)
PYTHON = random.Random(0)
X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def flow(model, x, t):
    noise = torch.randn_like(x)
    t = t.reshape(-1, 1)
    return ((model((1 - t) * x + t * noise, t) - (noise - x)) ** 2).mean()


def by_function(model, x):
    global CALLS
    CALLS += 1
    return flow(model, x, torch.from_numpy(NUMPY.random(len(x))).float())


def by_comprehension(model, x):
    global CALLS
    CALLS += 1
    return flow(model, x, torch.tensor([NUMPY.random() for _ in x]))


def by_lambda(model, x):
    return flow(model, x, (lambda n: torch.from_numpy(NUMPY.random(n)).float())(len(x)))


def by_default(model, x, source=NUMPY, *, other=PYTHON):
    other.random()
    return flow(model, x, torch.from_numpy(source.random(len(x))).float())


def by_legacy(model, x):
    return flow(model, x, torch.from_numpy(LEGACY.random_sample(len(x))).float())


def by_python(model, x):
    return flow(model, x, torch.tensor([PYTHON.random() for _ in x]))


def times(n):
    global CALLS
    CALLS += 1
    return torch.from_numpy(NUMPY.random(n)).float()


def by_helper(model, x):
    return flow(model, x, times(len(x)))


def by_argument(model, x, source):
    return flow(model, x, torch.from_numpy(source.random(len(x))).float())


@wraps(by_function)
def decorated(*args):
    return by_function(*args)


class Trainer:
    def __init__(self):
        self.source = NUMPY

    def loss(self, model, x):
        return by_function(model, x)

    def direct(self, model, x):
        global CALLS
        CALLS += 1
        return flow(model, x, torch.from_numpy(NUMPY.random(len(x))).float())

    def by_own_source(self, model, x):
        return flow(model, x, torch.from_numpy(self.source.random(len(x))).float())

    def drawn(self, n):
        global CALLS
        CALLS += 1
        return torch.from_numpy(NUMPY.random(n)).float()

    def by_method(self, model, x):
        return flow(model, x, self.drawn(len(x)))

    def with_setting(self, model, x, setting):
        return self.direct(model, x)

    settled = partialmethod(with_setting, setting=1)

    @classmethod
    def of_class(cls, model, x):
        global CALLS
        CALLS += 1
        return flow(model, x, torch.from_numpy(NUMPY.random(len(x))).float())

    @staticmethod
    def without_self(model, x):
        global CALLS
        CALLS += 1
        return flow(model, x, torch.from_numpy(NUMPY.random(len(x))).float())

    def __call__(self, model, x):
        return self.by_own_source(model, x)


class Drawing:
    source = NUMPY

    def loss(self, model, x):
        return flow(model, x, torch.from_numpy(self.source.random(len(x))).float())


class Settled(Trainer):
    __call__ = partialmethod(Trainer.with_setting, setting=1)


class Static:
    __call__ = staticmethod(by_function)


class StaticCriterion(nn.Module):
    forward = staticmethod(by_function)


class Criterion(nn.Module):
    def forward(self, model, x):
        global CALLS
        CALLS += 1
        return flow(model, x, torch.from_numpy(NUMPY.random(len(x))).float())


@singledispatch
def by_kind(value):
    return value


@by_kind.register
def _(value: int):
    global CALLS
    CALLS += 1
    return torch.tensor(NUMPY.random()).float()


class Drawer:
    """Draws one time for a whole batch, by each kind of thing that stands for a method."""

    def plain(self, chosen=None):
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    @staticmethod
    def static():
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    @classmethod
    def of_class(cls):
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    @property
    def read(self):
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    @property
    def written(self):
        return self.value

    @written.setter
    def written(self, value):
        global CALLS
        CALLS += 1
        self.value = torch.tensor(NUMPY.random()).float()

    @cached_property
    def once(self):
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    @singledispatchmethod
    def by_kind(self, value):
        return value

    @by_kind.register
    def _(self, value: int):
        global CALLS
        CALLS += 1
        return torch.tensor(NUMPY.random()).float()

    settled = partialmethod(plain, chosen=1)
    remembered = lru_cache(maxsize=0)(plain)


DRAWER = Drawer()


def by_setter(model, x):
    DRAWER.written = 0
    return flow(model, x, DRAWER.written.expand(len(x)))


LOSSES = {
    "function": by_function,
    "comprehension": by_comprehension,
    "lambda": by_lambda,
    "default": by_default,
    "RandomState": by_legacy,
    "random.Random": by_python,
    "helper": by_helper,
    "decorated": decorated,
    "partial": partial(by_function),
    "partial of a partial of a method": partial(partial(Trainer().with_setting), setting=1),
    "keyword of a partial": partial(by_argument, source=NUMPY),
    "position of a partial": partial(lambda source, m, x: by_argument(m, x, source), NUMPY),
    "method": Trainer().direct,
    "method that calls a function": Trainer().loss,
    "method that calls another": Trainer().by_method,
    "attribute of the object": Trainer().by_own_source,
    "attribute of the class": Drawing().loss,
    "partialmethod": Trainer().settled,
    "classmethod": Trainer.of_class,
    "staticmethod": Trainer().without_self,
    "object": Trainer(),
    "module": Criterion(),
    "lru_cache": lru_cache(by_function),
    "singledispatch that is called": lambda m, x: flow(m, x, by_kind(1).expand(len(x))),
    "method that is called": lambda m, x: flow(m, x, DRAWER.plain().expand(len(x))),
    "staticmethod that is called": lambda m, x: flow(m, x, DRAWER.static().expand(len(x))),
    "classmethod that is called": lambda m, x: flow(m, x, Drawer.of_class().expand(len(x))),
    "property that is read": lambda m, x: flow(m, x, DRAWER.read.expand(len(x))),
    "property that is set": by_setter,
    "cached_property that is read": lambda m, x: flow(m, x, DRAWER.once.expand(len(x))),
    "partialmethod that is called": lambda m, x: flow(m, x, DRAWER.settled().expand(len(x))),
    "lru_cache that is called": lambda m, x: flow(m, x, DRAWER.remembered().expand(len(x))),
    "singledispatchmethod that is called": lambda m, x: flow(
        m, x, DRAWER.by_kind(1).expand(len(x))
    ),
    "partialmethod as __call__": Settled(),
    "staticmethod as __call__": Static(),
    "staticmethod as forward": StaticCriterion(),
}


def states():
    """Everything that the losses above change."""
    return CALLS, str(NUMPY.bit_generator.state), str(LEGACY.get_state()), PYTHON.getstate()


@pytest.mark.parametrize("kind", LOSSES)
def test_each_kind_of_callable_is_measured_and_leaves_no_trace(kind):
    before = states()
    measured = dv.probe(LOSSES[kind], X, draws=200)
    assert states() == before
    clean = 1 / (1 + np.exp(-measured.logsnr / 2))  # 1 − t on the linear path
    np.testing.assert_allclose(measured.factor, 1 / clean**2 / X.shape[1], rtol=1e-4)


class Counted:
    """Counts its calls on the class, as a curriculum over all its objects does."""

    calls = 0
    table = {"calls": 0}
    total = torch.zeros(1)

    def __call__(self, model, x):
        type(self).calls += 1
        self.table["calls"] += 1
        self.total += 1
        return by_argument(model, x, NUMPY)


class CountedToo(Counted):
    def __call__(self, model, x):
        Counted.calls += 1
        return super().__call__(model, x)


class Slotted:
    __slots__ = ("calls", "source", "unset")

    def __init__(self):
        self.calls = 0
        self.source = np.random.default_rng(1)


class Holder:
    def __init__(self):
        self.inner = Slotted()


class Rate:
    __slots__ = ("rate",)


class Derived(Rate):
    """Its property stands before the slot of the class above."""

    __slots__ = ("inner",)
    rate = property(lambda self: 0.5)

    def __init__(self):
        self.inner = Slotted()
        Rate.rate.__set__(self, 1.0)


HOLDER = Holder()
DERIVED = Derived()
BOUND = {"calls": 0}
BOUND_SOURCE = np.random.default_rng(2)


def counts_in_default(model, x, state={"calls": 0}, *, calls=[0]):  # noqa: B006
    state["calls"] += 1
    calls[0] += 1
    return by_argument(model, x, NUMPY)


def counts_in_argument(state, model, x):
    state["calls"] += 1
    return by_argument(model, x, NUMPY)


def bump(state):
    state["calls"] += 1


def bump_default(state={"calls": 0}):  # noqa: B006
    state["calls"] += 1


def drawn_from(source, n):
    return torch.from_numpy(source.random(n)).float()


bump_bound = partial(bump, BOUND)
drawn_bound = partial(drawn_from, BOUND_SOURCE)
drawn_keyword = partial(drawn_from, source=BOUND_SOURCE)


def by_helpers(model, x):
    bump_bound()
    bump_default()
    return flow(model, x, drawn_bound(len(x)))


def bump_object(state=Holder()):  # noqa: B008
    state.inner.calls += 1


def by_slots_in_slots(model, x):
    DERIVED.inner.calls += DERIVED.rate > 0
    bump_object()
    return by_argument(model, x, NUMPY)


def by_keyword_of_helper(model, x):
    return flow(model, x, drawn_keyword(n=len(x)))


def by_deep_source(model, x):
    HOLDER.inner.calls += 1
    return by_argument(model, x, HOLDER.inner.source)


def by_class_as_namespace(model, x):
    Counted.calls += 1
    Counted.table["calls"] += 1
    return by_argument(model, x, NUMPY)


CONSTANT = 2j


def with_constants_that_cannot_be_set(model, x):
    """Built-in values have members that look like slots, and are made anew at each look."""
    assert CONSTANT.real == 0 and RECORD.itemsize == 8
    HOLDER.inner.calls += 1
    return by_argument(model, x, NUMPY)


RECORD = np.dtype([("a", "f4"), ("b", "f4")])
COUNTED = {
    "beside constants that cannot be set": with_constants_that_cannot_be_set,
    "default": counts_in_default,
    "position of a partial": partial(counts_in_argument, BOUND),
    "keyword of a partial": partial(by_argument, source=BOUND_SOURCE),
    "partials and defaults of helpers": by_helpers,
    "keyword of a helper's partial": by_keyword_of_helper,
    "class of an object": Counted(),
    "class above": CountedToo(),
    "class that is named": by_class_as_namespace,
    "slots, two deep": by_deep_source,
    "slots in slots, and objects in defaults": by_slots_in_slots,
}


def counts():
    """Everything that the losses above change, but for what ``states`` has."""
    defaults = (counts_in_default.__defaults__, counts_in_default.__kwdefaults__)
    of_class = (Counted.calls, dict(Counted.table), Counted.total.item(), vars(CountedToo).keys())
    sources = (BOUND_SOURCE, HOLDER.inner.source)
    drawn = [str(source.bit_generator.state) for source in sources]
    objects = (HOLDER, DERIVED, *bump_object.__defaults__)
    calls = [one.inner.calls for one in objects]
    kept = (defaults, bump_default.__defaults__, BOUND, of_class, calls)
    return repr(kept), drawn, states()


@pytest.mark.parametrize("place", COUNTED)
def test_what_a_loss_counts_is_put_back_wherever_it_is_kept(place):
    before = counts()
    COUNTED[place](lambda z, t: z, X)
    assert counts() != before
    before = counts()
    dv.probe(COUNTED[place], X, draws=200)
    assert counts() == before


def test_a_system_source_is_no_generator_that_can_be_put_back():
    source = random.SystemRandom()

    def loss(model, x):
        return flow(model, x, torch.tensor([source.random() for _ in x]))

    with pytest.raises(ValueError, match="cannot be replayed"):
        dv.probe(loss, X, draws=200)


def test_modules_of_a_method_and_of_a_partial_stay_in_training():
    class Encoding:
        def __init__(self):
            self.encoder = nn.Linear(4, 4).eval()

        def loss(self, model, x, decoder):
            self.encoder.train()
            decoder.train()
            return flow(model, x, torch.rand(len(x)))

    trainer = Encoding()
    decoder = nn.Linear(4, 4).eval()
    dv.probe(partial(trainer.loss, decoder=decoder), X, draws=200)
    assert not trainer.encoder.training
    assert not decoder.training


def test_a_network_is_named_in_a_partial_too():
    network = nn.Linear(4, 4)

    def loss(x, net):
        t = torch.rand(len(x), 1)
        noise = torch.randn_like(x)
        return ((net((1 - t) * x + t * noise) - (noise - x)) ** 2).mean()

    assert dv.probe(partial(loss, net=network), X, model="net", draws=200).kind == "u"


def with_an_empty_cell(filled=False):
    def loss(model, x):
        return late if len(x) == 0 else flow(model, x, torch.rand(len(x)))

    if filled:
        late = 1
    return loss


@pytest.mark.parametrize(
    "wrap", [lambda loss: loss, partial, lambda loss: wraps(loss)(lambda m, x: loss(m, x))]
)
def test_a_variable_without_a_value_is_left_out(wrap):
    loss = wrap(with_an_empty_cell())
    assert "late" not in outside.variables_of(loss)
    assert dv.probe(loss, X, draws=200).exact


def test_of_two_variables_with_one_name_that_of_the_outer_callable_counts():
    def inner(value=1):
        return value

    assert outside.variables_of(inner) == {"value": 1}
    assert outside.variables_of(partial(inner, value=2)) == {"value": 2}


def test_parts_of_a_callable_that_is_made_of_itself_are_finite():
    def loss(model, x):
        return x

    loss.__wrapped__ = loss
    assert outside.parts_of(loss) == [loss]


class NotOfAClass:
    """Stands for a method, and refuses to be looked up on the class, as that of a script does."""

    def __get__(self, owner, kind=None):
        if owner is None:
            raise RuntimeError("look it up on an object")
        return torch.clone


class Refusing(nn.Module):
    forward = NotOfAClass()


ENCODERS = {
    "scripted": torch.jit.script,
    "traced": lambda module: torch.jit.trace(module, X),
    "refusing": lambda module: Refusing(),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit goes, files of it stay
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_loss_may_name_a_module_whose_class_does_not_show_its_forward(kind):
    encoder = ENCODERS[kind](nn.Identity())
    measured = dv.probe(lambda model, x: by_function(model, encoder(x)), X, draws=200)
    clean = 1 / (1 + np.exp(-measured.logsnr / 2))  # 1 − t on the linear path
    np.testing.assert_allclose(measured.factor, 1 / clean**2 / X.shape[1], rtol=1e-4)


class Keyed(dict):
    """A dictionary whose keys are attributes, so that a missing one is a KeyError."""

    __getattr__ = dict.__getitem__


class KeyedAlone(Keyed):
    """The same without attributes of its own, so that it has no ``__dict__``."""

    __slots__ = ()


class Unloaded:
    """Looks nothing up before it is loaded."""

    factor = 1.0

    def __getattr__(self, name):
        raise RuntimeError("load it first")


class AnswersAll:
    """Has something for every name."""

    __slots__ = ("factor",)

    def __init__(self):
        self.factor = 1.0

    def __getattr__(self, name):
        return "nothing"


class Gone:
    """What a weak proxy still names when it is gone."""


FOREIGN = {
    "keys as attributes": Keyed(factor=1.0),
    "the same without __dict__": KeyedAlone(factor=1.0),
    "not loaded": Unloaded(),
    "answers all names": AnswersAll(),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("place", ["closure", "attribute", "default"])
def test_a_loss_may_name_objects_that_look_attributes_up_in_their_own_way(kind, place):
    setting = FOREIGN[kind]

    def by_closure(model, x):
        return setting.factor * by_function(model, x)

    def by_argument(model, x, setting=setting):
        return setting.factor * by_function(model, x)

    holder = Drawing()
    holder.setting = setting
    holder.loss = lambda model, x: holder.setting.factor * by_function(model, x)
    loss = {"closure": by_closure, "attribute": holder.loss, "default": by_argument}[place]
    before = states()
    measured = dv.probe(loss, X, draws=200)
    assert states() == before
    clean = 1 / (1 + np.exp(-measured.logsnr / 2))  # 1 − t on the linear path
    np.testing.assert_allclose(measured.factor, 1 / clean**2 / X.shape[1], rtol=1e-4)


def test_a_loss_may_hold_the_proxy_of_an_object_that_is_gone():
    gone = Gone()
    proxy = weakref.proxy(gone)
    del gone
    holder = Drawing()
    holder.parent = proxy

    def loss(model, x):
        return by_function(model, x) if len(x) else (proxy, holder)

    before = states()
    assert dv.probe(loss, X, draws=200).kind == "u"
    assert states() == before


def test_a_loss_that_answers_every_name_keeps_its_own_counter():
    class Answering:
        calls = 0

        def __getattr__(self, name):
            return None

        def __call__(self, model, x):
            self.calls += 1
            return by_function(model, x)

    loss = Answering()
    loss.calls = 3
    dv.probe(loss, X, draws=200)
    assert loss.calls == 3
    assert outside.bound_to(loss) is loss
    assert outside.bound_to(loss.__call__) is loss
    assert outside.bound_to(NUMPY.random) is NUMPY


class OfKeys:
    """A loss whose parts are found by name, in a dictionary of its own."""

    def __init__(self, **parts):
        self.parts = parts

    def __getattr__(self, name):
        return vars(self)["parts"][name]

    def __call__(self, x):
        return by_function(self.network, x)


def test_a_network_is_found_by_its_name_in_a_loss_of_keys():
    loss = OfKeys(network=nn.Linear(4, 4))
    assert dv.probe(loss, X, model="network", draws=200).kind == "u"


@pytest.mark.parametrize("name", ["net", "parts.net", "inner.net"])
def test_a_name_that_a_loss_of_keys_lacks_is_refused(name):
    loss = OfKeys(network=nn.Linear(4, 4), inner=Keyed())
    with pytest.raises(ValueError, match=f"model='{name}': .*net"):
        dv.probe(loss, X, model=name, draws=200)
