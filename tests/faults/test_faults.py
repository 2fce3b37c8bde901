"""Nothing is lost or wrong after faults: a few of each, on one data set each.

`python tests/faults/table.py` tries all of them, 50 times each.
"""

import pathlib
import subprocess
import sys

import keras
import pytest

TABLE = pathlib.Path(__file__).parent / "table.py"


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Patches are cut without Keras."
)
@pytest.mark.skipif(
    sys.platform != "linux", reason="Processes and disks are those of Linux."
)
@pytest.mark.parametrize(
    ("family", "moments"),
    [
        ("killed", 3),
        ("at_once", 2),
        ("disks", 2),
        ("power", 2),
        ("sources", 2),
        ("damage", 1),
        ("workers", 2),
    ],
)
def test_no_fault_makes_a_patch_wrong_or_loses_one(family, moments):
    # In a process of its own: it forks, which must not be where jax has run.
    table = subprocess.run(
        [sys.executable, TABLE, "--short", f"--moments={moments}", family],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert table.returncode == 0, table.stdout + table.stderr
