"""Names that are nearly right."""

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Ask for the name that a wrong one is nearest to, if one is near."""
    near = difflib.get_close_matches(wrong, known, 1)
    return f"Did you mean `{near[0]}`?" if near else ""
