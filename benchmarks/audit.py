"""Are weaknesses known of what ``make`` installs? pip-audit asks where they are listed.

Every package of ``locks`` is looked up with its version. Where no list of weaknesses can be
reached, nothing has been looked up, and this says so: it is no clean bill.

Run: python benchmarks/audit.py [--sources pypi osv] [--locks locks/test.txt ...]
Ends with 0 if nothing is known, with 1 if something is, and with 2 if no source has answered.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / ".audit"  # where `make audit` installs pip-audit
LOCKS = ("locks/test.txt", "locks/peers.txt", "locks/others.txt")
SOURCES = {"pypi": "PyPI's advisories", "osv": "the OSV database"}
CLEAN, WEAK, UNKNOWN = 0, 1, 2


class Audit(NamedTuple):
    """What a source says of the packages of a lock file.

    Attributes:
        looked_up: Number of packages that the source knows.
        weak: A line for each weakness.
        left_out: Names of packages that it could not look up.
        error: Why it did not answer, nothing if it did.
    """

    looked_up: int = 0
    weak: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    error: str = ""


def audited(lock: str, source: str) -> Audit:
    """Ask a source for all packages of a lock file."""
    command = [sys.executable, "-m", "pip_audit", "-r", lock, "--require-hashes", "--disable-pip"]
    command += ["-s", source, "-f", "json", "--progress-spinner", "off", "--timeout", "15"]
    environment = os.environ | {"PYTHONPATH": str(TOOL)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return understood(done.stdout, done.stderr)


def understood(output: str, errors: str) -> Audit:
    """What pip-audit has printed."""
    try:
        packages = json.loads(output)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        lines = errors.strip().splitlines() or ["pip-audit said nothing"]
        return Audit(error=lines[-1][:200])
    known = [one for one in packages if "skip_reason" not in one]
    if packages and not known:
        return Audit(error=f"it knows none of {len(packages)} packages")
    weak = [weakness(one, vulnerability) for one in known for vulnerability in one["vulns"]]
    left_out = tuple(one["name"] for one in packages if "skip_reason" in one)
    return Audit(len(known), tuple(weak), left_out)


def weakness(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    """A weakness in a line."""
    mended = ", ".join(vulnerability.get("fix_versions", [])) or "no release yet"
    return f"{package['name']} {package['version']}: {vulnerability['id']}, mended in {mended}"


def told(lock: str, source: str, audit: Audit) -> str:
    """The result for a lock file in words."""
    if audit.error:
        return f"{lock}: {SOURCES[source]} did not answer: {audit.error}"
    left_out = f", {len(audit.left_out)} are not listed there" if audit.left_out else ""
    said = f"{lock}: {audit.looked_up} packages looked up in {SOURCES[source]}{left_out}"
    return "\n".join([f"{said}, {len(audit.weak)} weaknesses are known", *audit.weak])


def main() -> None:
    """Ask the sources one after the other until one has answered for each lock file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=SOURCES)
    parser.add_argument("--locks", nargs="+", default=LOCKS, help="lock files")
    options = parser.parse_args()
    codes = []
    for lock in options.locks:
        for source in options.sources:
            audit = audited(lock, source)
            print(told(lock, source, audit), flush=True)
            if not audit.error:
                break
        codes.append(UNKNOWN if audit.error else WEAK if audit.weak else CLEAN)
    if UNKNOWN in codes:
        print("Nothing was looked up for at least one file. This says nothing of its packages.")
    sys.exit(WEAK if WEAK in codes else max(codes))


if __name__ == "__main__":
    main()
