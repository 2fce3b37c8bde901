"""What CONTRIBUTING tells whoever changes the package is still so."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text()


def test_the_files_that_it_names_are_there():
    paths = re.findall(r"`((?:keras_patching|tests|\.ci)/[\w/.]+)`", TEXT)
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path
