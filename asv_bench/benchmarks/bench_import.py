"""What `import npx` costs in a fresh interpreter, beside NumPy: at most 1.5 times as much."""

import subprocess
import sys

from .common import fastest

GATE = 1.5


def importing(module):
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


class Import:
    """Absolute times."""

    params = ["npx", "numpy"]
    param_names = ["module"]

    def timeraw_import(self, module):
        return f"import {module}"


def track_ratio():
    """The time of ``import npx`` over that of ``import numpy``, each without the interpreter's own start."""
    times = fastest({name: importing(name) for name in ("npx", "numpy", "sys")}, seconds=10)
    return (times["npx"] - times["sys"]) / (times["numpy"] - times["sys"])


track_ratio.unit = "of NumPy's time"


def main():
    ratio = track_ratio()
    print(f"import npx takes {ratio:.2f} of the time of import numpy (gate {GATE})")
    return int(ratio > GATE)


if __name__ == "__main__":
    sys.exit(main())
