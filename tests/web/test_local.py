"""What explorers compute in the browser, beside Python, at random settings, in node."""

import pytest
import web_panels

QUICK = {"sampling.js": 6}
AT_ONCE = 50  # states of one question
THOROUGH = 1000
FEWER = {"sampling.js": 250}  # of up to 65 steps of 150 points


def compare(ask, module, count, seed):
    """Compare the views of random states."""
    kind, _ = web_panels.MODULES[module]
    explorer = kind()
    states = web_panels.states_of(module, explorer, count, seed)
    data = web_panels.plain({**explorer.local_data(), **explorer.page_data()})
    for start in range(0, count, AT_ONCE):
        some = states[start : start + AT_ONCE]
        views = ask("views", module=module, states=some, data=data)
        web_panels.assert_same_views(views, some, explorer)


@pytest.mark.parametrize("module", web_panels.MODULES)
def test_the_browser_shows_what_python_shows(ask, module):
    compare(ask, module, QUICK.get(module, 12), seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("module", web_panels.MODULES)
def test_a_thousand_settings_agree(ask, module):
    compare(ask, module, FEWER.get(module, THOROUGH), seed=4)
