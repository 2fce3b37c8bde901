"""The command line: `keras-patching COMMAND`.

It parses arguments and calls; what a command needs is imported when it runs.
"""

import argparse
import sys

from keras_patching import __version__
from keras_patching.commands import (
    clean,
    demo,
    export,
    inspect,
    patch,
    predict,
    verify,
)

COMMANDS = (demo, patch, clean, inspect, export, predict, verify)

_DESCRIPTION = """\
Train Keras models on patches of large images, predict whole images.

Begin with `keras-patching demo`, which needs no data: it trains a model in
minutes and writes pictures of what it found.
"""


def main(arguments=None):
    """Run a command.

    Args:
        arguments: List of strings; `None` takes those of the process.

    Returns:
        Exit status: 0, or 1 after an error, which is printed. Arguments that
        cannot be parsed exit with 2.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"keras-patching: error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        "keras-patching",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {__version__}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
