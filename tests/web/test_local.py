"""What explorers compute in the browser, beside Python, at random settings, in node."""

import pytest
import web_panels

QUICK = {"sampling.js": 6}
AT_ONCE = 50  # states of one question
THOROUGH = 250
FEWER = {"perception.js": 100, "sampling.js": 60}  # pictures of 65,536 pixels, walks of 65 steps


def compare(ask, module, explorer, states):
    """Compare the views of some states."""
    data = web_panels.plain({**explorer.local_data(), **explorer.page_data()})
    for start in range(0, len(states), AT_ONCE):
        some = states[start : start + AT_ONCE]
        views = ask("views", module=module, states=some, data=data)
        web_panels.assert_same_views(views, some, explorer)


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_every_formula_agrees_with_the_package(ask, module):
    explorer = web_panels.MODULES[module][0]()
    compare(ask, module, explorer, web_panels.states_in_turn(module, explorer, seed=5))


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_the_browser_shows_what_python_shows(ask, module):
    explorer = web_panels.MODULES[module][0]()
    count = QUICK.get(module, 12)
    compare(ask, module, explorer, web_panels.states_of(module, explorer, count, seed=3))


@pytest.mark.slow
@pytest.mark.parametrize("module", web_panels.MODULES)
def test_many_settings_agree(ask, module):
    explorer = web_panels.MODULES[module][0]()
    count = FEWER.get(module, THOROUGH)
    compare(ask, module, explorer, web_panels.states_of(module, explorer, count, seed=4))
