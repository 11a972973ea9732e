"""SciPy and scikit-learn with array API dispatch, in a process of their own: see `array_api_users.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import library

library("scipy")
library("sklearn")


@pytest.mark.slow
def test_array_api_users():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            Path(__file__).with_name("array_api_users.py"),
        ],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
