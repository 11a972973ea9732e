"""The command line of ``python -m npx``."""

import argparse
import platform
import sys

import numpy

import npx
from npx.running import binding, program

_USAGE = "python -m npx [options] (SCRIPT | - | -m MODULE | -c CODE) [args]"
_DESCRIPTION = """\
Runs a NumPy program, unchanged, with the name numpy bound to npx in the program's own modules. Installed packages keep
NumPy. Everything else is as `python SCRIPT args` has it."""

#: option that ends npx's own, as in Python -> what runs its argument
_RUN = {"-m": program.run_module, "-c": program.run_code}
_WITH_VALUE = ("--device", "--include")


def _parser():
    parser = argparse.ArgumentParser("python -m npx", _USAGE, _DESCRIPTION, allow_abbrev=False)
    parser.add_argument("-m", metavar="MODULE", help="run a module, as `python -m` does")
    parser.add_argument("-c", metavar="CODE", help="run a string, as `python -c` does")
    parser.add_argument("--device", metavar="DEV", help="make new arrays there: cpu, xla, cuda, cuda:1, ...")
    parser.add_argument("--include", metavar="PKG", action="append", default=[], help="bind this installed package too")
    parser.add_argument("--report", action="store_true", help="at exit, say what was called, where, and for how long")
    versions = f"npx {npx.__version__} (NumPy {numpy.__version__}, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=versions)
    return parser


def _split(argv):
    """npx's own options, and the words that say what to run: a file's name, or -m or -c and their argument, first."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        if argv[at][:2] in _RUN:
            joined = argv[at][2:]
            return argv[:at], [argv[at][:2], *([joined] if joined else []), *argv[at + 1 :]]
        at += 2 if argv[at] in _WITH_VALUE else 1
    return argv[:at], argv[at:]


def main(argv=None):
    """Run the program that the command line names.

    Parameters
    ----------
    argv : list of str, optional
        By default that of the process.
    """
    own, words = _split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    options = parser.parse_args(own)
    run = _RUN.get(words[0]) if words else None
    if run is not None:
        flag, *words = words
        if not words:
            parser.error(f"argument expected for the {flag} option")
    if not words:
        parser.error("nothing to run: name a script, or give - (standard input), -m MODULE or -c CODE")
    try:
        binding.install(options.include, options.device)
    except (ValueError, ImportError) as error:
        parser.error(f"argument --device: {error}")
    if options.report:
        from npx.running import report  # without the option nothing of it is loaded, and nothing counted

        report.start()
    (run or program.run_file)(words[0], words[1:])
