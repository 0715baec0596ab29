"""The examples of the views run."""

import inspect

import pytest
from test_examples import run_session

from diffviz.web import bundle, description, figures, page, pictures


@pytest.mark.parametrize("module", [bundle, description, figures, page, pictures])
def test_a_module_has_an_example_that_runs(module):
    run_session(inspect.getdoc(module), module.__name__)
