"""The array API standard's own test suite, run on npx.

    python tests/conformance/array_api.py [npx] [npx.array_api] [--device xla] [--examples 500] [--random]

The suite is found through ARRAY_API_TESTS_DIR, else cloned from upstream into the user's cache. Every failure has to be
listed in ``array_api_exceptions.md``, and what is listed there as failing has to fail. Needs ``pytest-json-report`` and
``ndindex`` beside what npx's tests need.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXCEPTIONS = HERE / "array_api_exceptions.md"

UPSTREAM = "https://github.com/data-apis/array-api-tests"
COMMIT = "55fcc60179efa2680ddd6cd926ddf17b83530e2b"
VERSION = "2025.12"

#: a row of the list of exceptions: the test, and in its last column whether it always fails
ROW = re.compile(r"^\| `(?P<test>.+?)` \|.*\| (?P<fails>always|by draw) \|$")


# ------------------------------------------------------------------------------------------------------ the suite
def find_suite():
    """The folder of the suite, cloned where that has not been done."""
    if given := os.environ.get("ARRAY_API_TESTS_DIR"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "npx" / f"array-api-tests-{COMMIT[:8]}"
    if not (cache / "array-api" / "spec" / VERSION).exists():
        print(f"cloning {UPSTREAM} into {cache}")
        git("clone", "--quiet", UPSTREAM, str(cache))
        git("-C", str(cache), "checkout", "--quiet", COMMIT)
        git("-C", str(cache), "submodule", "update", "--init", "--quiet")
    return cache


def git(*args):
    """Run git, or leave the program with its complaint."""
    if subprocess.run(["git", *args]).returncode:
        sys.exit(f"git {' '.join(args)} failed; set ARRAY_API_TESTS_DIR to a checkout of {UPSTREAM} with submodules")


def run(module, suite, device, examples, random):
    """Run the suite on a module.

    Returns
    -------
    dict of str to str
        Test -> ``"passed"``, ``"failed"`` or ``"skipped"``. A test that did not come to its end has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "outcomes")
        env = {
            **os.environ,
            "ARRAY_API_TESTS_MODULE": module,
            "ARRAY_API_TESTS_VERSION": VERSION,
            "HYPOTHESIS_STORAGE_DIRECTORY": folder,
            "NPX_DEVICE": device,
            "NPX_CONFORMANCE_RECORD": str(record),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        }
        options = ["--max-examples", str(examples), "--disable-deadline", "--timeout", "600", "--tb", "no", "-q"]
        options += [
            "--skips-file",
            os.devnull,
            "--xfails-file",
            os.devnull,
            "-p",
            "no:cacheprovider",
            "-p",
            "array_api",
        ]
        command = [sys.executable, "-m", "pytest", "array_api_tests", *options, *([] if random else ["--derandomize"])]
        done = subprocess.run(command, cwd=suite, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not record.exists():
            sys.exit(f"the suite did not run on {module}:\n{done.stdout[-3000:]}")
        return read_record(record)


def read_record(record):
    """The outcomes that the plugin below has written, one line for each event."""
    outcomes = {}
    for line in record.read_text().splitlines():
        test, outcome = json.loads(line)
        if outcomes.get(test) != "failed" or outcome == "failed":
            outcomes[test] = outcome
    return {test: "failed" if outcome == "collected" else outcome for test, outcome in outcomes.items()}


# ------------------------------------------------------------------------------- as a plugin of pytest, in its process
def _write(nodeid, outcome):
    with open(os.environ["NPX_CONFORMANCE_RECORD"], "a") as file:
        print(json.dumps((nodeid.removeprefix("array_api_tests/"), outcome)), file=file)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Find failures without making them small: verdicts are all that counts."""
    from hypothesis import Phase, settings

    profile = settings(settings.get_profile("array-api-tests"), phases=[Phase.explicit, Phase.reuse, Phase.generate])
    settings.register_profile("verdicts", profile)
    settings.load_profile("verdicts")


def pytest_collectreport(report):
    """A file that cannot be collected has failed."""
    if report.failed:
        _write(report.nodeid, "failed")


def pytest_collection_finish(session):
    """Note all tests, so that none gets lost in a crash."""
    for item in session.items:
        _write(item.nodeid, "collected")


def pytest_runtest_logreport(report):
    """Note the outcome of a test; its set-up and tear-down count where they fail."""
    if report.when == "call" or report.outcome != "passed":
        _write(report.nodeid, report.outcome)


# ------------------------------------------------------------------------------------------------------ exceptions
def listed(target):
    """Test -> "always" or "by draw", for the tests that the list of exceptions names for a target."""
    found, here = {}, False
    for line in EXCEPTIONS.read_text().splitlines():
        if line.startswith("## "):
            here = line[3:].strip().strip("`") == target
        elif here and (row := ROW.match(line)):
            found[row["test"]] = row["fails"]
    return found


def differences(outcomes, known):
    """What contradicts the list of exceptions, in words."""
    failed = {test for test, outcome in outcomes.items() if outcome == "failed"}
    yield from (f"failed, and is not listed: {test}" for test in sorted(failed - known.keys()))
    for test in sorted(known.keys() - failed):
        if known[test] == "always" or test not in outcomes:
            yield f"listed, and {outcomes.get(test, 'is not in the suite')}: {test}"


def main():
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=["npx", "npx.array_api"])
    parser.add_argument("--device", default="cpu", help="the default device of the run")
    parser.add_argument("--examples", type=int, default=30, help="examples that hypothesis draws for each test")
    parser.add_argument("--random", action="store_true", help="fresh examples instead of the same in every run")
    given = parser.parse_args()
    suite, status = find_suite(), 0
    for module in given.modules:
        target = module if given.device == "cpu" else f"{module} on {given.device}"
        outcomes = run(module, suite, given.device, given.examples, given.random)
        counts = Counter(outcomes.values())
        for test in sorted(test for test, outcome in outcomes.items() if outcome == "failed"):
            print("failed:", test)
        wrong = list(differences(outcomes, listed(target)))
        print(*wrong, sep="\n", end="\n" if wrong else "")
        figures = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
        print(f"{target}: {figures} of {len(outcomes)}")
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
