"""NumPy's own test suite, run on npx: whether what fails is what is listed, and the share that passes.

    python tests/conformance/numpy_suite.py RESULTS.json --control NUMPY.json
    python tests/conformance/numpy_suite.py --runner RUNNER.py [--folder FOLDER]

The results are those of a runner of NumPy's installed tests with ``np`` swapped for npx, and for control with NumPy
itself; the README says what they look like. Of the tests that NumPy passes, each that npx does not pass has to be
listed in ``numpy_suite_exceptions.md``, and each pattern there has to match such a test.
"""

import argparse
import fnmatch
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

EXCEPTIONS = Path(__file__).with_name("numpy_suite_exceptions.md")

#: a row of the list: a pattern, in which only ``*`` and ``?`` are special, and the reason
ROW = re.compile(r"^\| `(?P<pattern>.+?)` \| (?P<reason>.+) \|$")


# ------------------------------------------------------------------------------------------------------ results
def run(runner, folder):
    """Let the runner write the results of npx and of NumPy into a folder; what is there already is not run again."""
    results, control = folder / "npx.json", folder / "numpy.json"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, runner, "--target", "npx", "-o", results, "--control", control], check=True)
    return results, control


def outcomes(path):
    """Module -> test -> outcome, of the modules that test what is public."""
    modules = json.loads(Path(path).read_text())["modules"]
    return {
        name: {test: outcome for test, (outcome, _) in module["tests"].items()}
        for name, module in modules.items()
        if module["group"] == "public"
    }


def compare(results, control):
    """The tests that fail though NumPy passes them, and for each module how many pass and how many NumPy passes."""
    failures, counts = [], {}
    for module, tests in results.items():
        expected = [test for test, outcome in control[module].items() if outcome == "passed"]
        failed = [test for test in expected if tests.get(test) != "passed"]
        failures += failed
        counts[module] = len(expected) - len(failed), len(expected)
    return failures, counts


# ------------------------------------------------------------------------------------------------------ exceptions
def listed(path=EXCEPTIONS):
    """Pattern -> reason, of the list of exceptions."""
    rows = map(ROW.match, path.read_text().splitlines())
    return {row["pattern"]: row["reason"] for row in rows if row}


def matches(pattern, test):
    """Whether a pattern stands for a test; the brackets of parametrized tests are meant literally."""
    return fnmatch.fnmatchcase(test, pattern.replace("[", "[[]"))


def contradictions(failures, patterns, modules):
    """What contradicts the list of exceptions, in words; patterns of modules that were not run are passed over."""
    used = Counter()
    for test in failures:
        found = [pattern for pattern in patterns if matches(pattern, test)]
        used.update(found)
        if not found:
            yield f"fails, and is not listed: {test}"
    for pattern in patterns:
        if not used[pattern] and any(matches(pattern.split("::")[0], module) for module in modules):
            yield f"listed, and nothing that it matches fails: {pattern}"


# ------------------------------------------------------------------------------------------------------ the program
def table(counts):
    """One line for each module, and one for all of them."""
    total = tuple(map(sum, zip(*counts.values(), strict=True)))
    rows = [f"{'module':<50} {'npx':>6} {'NumPy':>6}"]
    for name, (passed, expected) in [*sorted(counts.items()), ("all", total)]:
        rows.append(f"{name:<50} {passed:>6} {expected:>6} {passed / max(expected, 1):>8.2%}")
    return "\n".join(rows)


def main():
    """Compare what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="what the runner wrote for npx")
    parser.add_argument("--control", type=Path, help="what it wrote for NumPy (default: numpy.json beside the results)")
    parser.add_argument("--runner", type=Path, help="run this first")
    parser.add_argument("--folder", type=Path, default=Path("build/numpy_suite"), help="where the runner writes")
    given = parser.parse_args()
    if given.runner:
        results, control = run(given.runner, given.folder)
    elif given.results:
        results, control = given.results, given.control or given.results.with_name("numpy.json")
    else:
        parser.error("name the results, or the runner")
    results = outcomes(results)
    failures, counts = compare(results, outcomes(control))
    wrong = list(contradictions(failures, listed(), results))
    print(*wrong, table(counts), sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
