"""What explorers compute in the browser, beside Python, at random settings, in node."""

from functools import cache

import pytest
import web_panels

QUICK = {"sampling.js": 6}
AT_ONCE = 125  # states of one question: node compiles each formula anew for each question
THOROUGH = 250
FEWER = {"perception.js": 100, "sampling.js": 60}  # pictures of 65,536 pixels, walks of 65 steps


@cache
def explorer_of(module):
    """The explorer that a module computes for, and what it sends to a page, which takes seconds."""
    explorer = web_panels.MODULES[module][0]()
    return explorer, web_panels.plain({**explorer.local_data(), **explorer.page_data()})


def compare(ask, module, states):
    """Compare the views of some states."""
    explorer, data = explorer_of(module)
    for start in range(0, len(states), AT_ONCE):
        some = states[start : start + AT_ONCE]
        views = ask("views", module=module, states=some, data=data)
        web_panels.assert_same_views(views, some, explorer)


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_every_formula_agrees_with_the_package(ask, module):
    explorer, _ = explorer_of(module)
    compare(ask, module, web_panels.states_in_turn(module, explorer, seed=5))


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_the_browser_shows_what_python_shows(ask, module):
    explorer, _ = explorer_of(module)
    count = QUICK.get(module, 12)
    compare(ask, module, web_panels.states_of(module, explorer, count, seed=3))


@pytest.mark.slow
@pytest.mark.parametrize("module", web_panels.MODULES)
def test_many_settings_agree(ask, module):
    explorer, _ = explorer_of(module)
    count = FEWER.get(module, THOROUGH)
    compare(ask, module, web_panels.states_of(module, explorer, count, seed=4))
