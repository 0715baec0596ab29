"""A few kills and interrupts of ``benchmarks/kills.py``, at moments that a seed has drawn."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


@pytest.mark.slow
@pytest.mark.parametrize("job", ["fit-adaptive", "cache"])
def test_what_is_killed_or_interrupted_goes_on_and_leaves_nothing(job):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--jobs", job, "--kills", "3", "--interrupts", "3"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(rf"^\| {job} \| (\w+) \| (\d+) \| (\d+) \|$", done.stdout, re.M)
    assert rows == [("SIGKILL", "3", "0"), ("SIGINT", "3", "0")]
