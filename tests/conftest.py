"""Tests of one topic run in one process, where its trainings and figures are cached."""

import re

from xdist.scheduler import LoadScopeScheduling

TOPIC = re.compile(
    r"tests/test_(?:claims_)?(elbo|perception|policy|prior|sampling|search|tracking|training)"
)


class ByTopic(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        topic = TOPIC.match(nodeid)
        return topic[1] if topic else nodeid


def pytest_xdist_make_scheduler(config, log):
    return ByTopic(config, log)
