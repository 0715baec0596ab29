"""Tests of one topic run in one process, where its trainings and figures are cached."""

import re

import hypothesis
import numpy as np
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

TOPIC = re.compile(
    r"tests/(?:notebooks|lab/figures|lab/explorers)/"
    r"test_(elbo|perception|policy|prior|sampling|search|tracking|training)"
)

# The same examples everywhere and no time limit, so that neither luck nor load fails a test.
hypothesis.settings.register_profile("everywhere", derandomize=True, deadline=None)
hypothesis.settings.load_profile("everywhere")


@pytest.fixture(autouse=True)
def seeded_globals():
    """What a test draws without a generator of its own does not depend on the tests before it."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002


class ByTopic(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        topic = TOPIC.match(nodeid)
        return topic[1] if topic else nodeid


def pytest_xdist_make_scheduler(config, log):
    return ByTopic(config, log)
