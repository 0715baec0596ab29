"""Prints "yes" where the files of hashes in this folder can be installed, and nothing elsewhere.

They name one release of each package, which has wheels for the Pythons below. A newer Python needs
newer releases, so that there pip chooses them itself. Runs on any Python 3, before anything is
installed.
"""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)


def fits(implementation, version):
    """Whether there are wheels for a Python, named as ``platform`` and ``sys`` name it."""
    return implementation == "CPython" and OLDEST <= tuple(version[:2]) <= NEWEST


if __name__ == "__main__":
    if fits(platform.python_implementation(), sys.version_info):
        print("yes")
