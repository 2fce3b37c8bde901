"""What arguments of several commands have in common."""

import argparse
import math
import string
import sys


def _named(name):
    """Decorator: name a type as in argparse's "invalid NAME value: 'x'"."""

    def rename(parse):
        parse.__name__ = name
        return parse

    return rename


def integer_from(minimum, maximum=math.inf):
    """Return a type of integers that are not smaller and not larger."""
    expected = f"an integer of at least {minimum}"
    if maximum < math.inf:
        expected = f"an integer from {minimum} to {maximum}"

    @_named("integer")
    def parse(text):
        value = int(text)
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f"expected {expected}, received {text}"
            )
        return value

    return parse


@_named("number")
def fraction(text):
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to 1, received {text}"
        )
    return value


@_named("number")
def finite(text):
    """Parse a number that is not infinite."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, received {text}")
    return value


@_named("number")
def positive(text):
    """Parse a number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(
            f"expected a number above 0, received {text}"
        )
    return value


def number_or_name(text):
    """Parse a number from 0, or a name."""
    return int(text) if text.isdecimal() else text


@_named("number")
def seconds(text):
    """Parse a number from 0."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0, received {text}"
        )
    return value


_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@_named("size")
def number_of_bytes(text):
    """Parse bytes, such as `512MB`, `2 GB` or `1.5GiB`."""
    number = text.rstrip(string.ascii_letters)
    unit = text[len(number) :].upper()
    if unit not in _UNITS or not 1 <= float(number) * _UNITS[unit] < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a size such as 512MB or 2GB, received {text}"
        )
    return int(float(number) * _UNITS[unit])


@_named('number of pixels (or "auto")')
def overlap_value(text):
    """Parse pixels that neighbours share, or `auto`."""
    return text if text == "auto" else integer_from(0)(text)


@_named('number (or "all")')
def count_or_all(text):
    """Parse a number of pixels or of others, or `all`, which is None."""
    return None if text == "all" else integer_from(1)(text)


@_named('number (or "all", "grayscale")')
def channels_wanted(text):
    """Parse a number of channels, `grayscale`, or `all`, which is None."""
    return text if text == "grayscale" else count_or_all(text)


class OneOrTwo(argparse.Action):
    """Stores a height and a width; one number is both."""

    def __call__(self, parser, namespace, values, option_string=None):
        _check_one_or_two(values, parser, option_string, "a height")
        setattr(namespace, self.dest, (values[0], values[-1]))


@_named("number")
def number(text):
    """Parse a number, which is an integer where it is written as one."""
    return int(text) if text.isdecimal() else finite(text)


class FactorOrSize(argparse.Action):
    """Stores one number as it is, and a height and a width as a pair."""

    def __call__(self, parser, namespace, values, option_string=None):
        _check_one_or_two(values, parser, option_string, "a factor")
        value = values[0] if len(values) == 1 else tuple(values)
        setattr(namespace, self.dest, value)


def _check_one_or_two(values, parser, option_string, one):
    """Refuse more numbers than two; `one` is what a single one means."""
    if len(values) > 2:
        parser.error(
            f"argument {option_string}: expected {one}, or a height and a "
            f"width, received {len(values)} numbers"
        )


def add_cache(parser, description):
    """Add the argument of a cache to the parser of a command."""
    parser.add_argument(
        "cache",
        metavar="FOLDER_OR_MANIFEST",
        help=f"{description}, such as field/images_patches",
    )


def add_patch_size(parser):
    """Add the size of patches to cut an image into for prediction."""
    parser.add_argument(
        "--patch-size",
        type=count_or_all,
        nargs="+",
        action=OneOrTwo,
        metavar=("H", "W"),
        help="height and width of the patches in pixels, or `all` for the "
        "length of the image: `512 all` are bands, or the rows of a step where "
        "rows are streamed (default: those that the model predicts with)",
    )


def fail_for_each(faults, summary):
    """Print each fault on its own, then fail if there were any."""
    for fault in faults:
        print(f"keras-patching: error: {fault}", file=sys.stderr)
    if faults:
        raise ValueError(f"{len(faults)} {summary}.")
