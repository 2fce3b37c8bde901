"""The command line: `keras-patching COMMAND`.

It parses arguments and calls; what a command needs, Keras above all, is
imported when it runs. All that goes wrong is told in a sentence.
"""

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import warnings

from keras_patching import __version__
from keras_patching._backend import choose_backend
from keras_patching._interrupts import interrupt_behind
from keras_patching._spelling import did_you_mean
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
_EPILOG = """\
Exit status: 0; 1 after an error, which is printed; 2 after wrong usage; 130
after Ctrl-C, 143 after SIGTERM. With the variable KERAS_PATCHING_TRACEBACK set,
an error is also printed with the place in the code.
"""
# What a shell gives for a process that was stopped by the signal.
_INTERRUPTED, _BROKEN_PIPE, _TERMINATED = 130, 141, 143


def main(arguments=None):
    """Run a command.

    Args:
        arguments: List of strings; `None` takes those of the process.

    Returns:
        Exit status: 0, or 1 after an error, which is printed, 130 after an
        interrupt, 143 after SIGTERM. Arguments that cannot be parsed exit
        with 2.
    """
    try:
        try:
            options = _parse(arguments)
            return _run(options)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # Of `| head`: nobody reads what is printed.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
        return _BROKEN_PIPE


def _parse(arguments):
    """Parse arguments, or exit with what is wrong."""
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        parser, first = options.parser, unknown[0].split("=")[0]
        known = re.findall(r"--[\w-]+", parser.format_help())
        question = did_you_mean(first, known)
        said = f"unrecognized arguments: {' '.join(unknown)}"
        parser.error(f"{said}. {question}" if question else said)
    return options


def _run(options):
    """Run a command that was parsed, and give the exit status."""
    try:
        with (
            _sigterm_raises(),
            _short_warnings(),
            _printed(not options.quiet),
        ):
            choose_backend(verbose=False)
            options.run(options)
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, Exception) as error:
        if (interrupt := interrupt_behind(error)) is not None:
            return _end_interrupted(interrupt, options)
        if os.environ.get("KERAS_PATCHING_TRACEBACK"):
            raise
        _complain(f"error: {_describe_error(error)}")
        return 1
    return 0


def _end_interrupted(interrupt, options):
    """Say how to go on, and give the exit status."""
    if isinstance(interrupt, _Terminated):
        _complain(f"ended by SIGTERM. {_how_to_go_on(interrupt, options)}")
        return _TERMINATED
    if sys.stderr.isatty():
        print(file=sys.stderr)  # After "^C", and after a bar.
    _complain(f"interrupted. {_how_to_go_on(interrupt, options)}")
    return _INTERRUPTED


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as batch systems send it when the time is over."""


@contextlib.contextmanager
def _sigterm_raises():
    """Let a command that is ended by SIGTERM finish what it is writing."""

    def stop(*_):
        raise _Terminated

    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _short_warnings():
    """Print warnings as sentences, without the line of code they come from."""
    formatwarning = warnings.formatwarning
    warnings.formatwarning = lambda message, *_: (
        f"keras-patching: warning: {message}\n"
    )
    try:
        yield
    finally:
        warnings.formatwarning = formatwarning


@contextlib.contextmanager
def _printed(is_shown):
    """Print what the output can show, escape the rest, or print nothing."""
    if not is_shown:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield
        return
    for stream in (sys.stdout, sys.stderr):
        # A path may hold what an ASCII terminal, or none, can show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    yield


def _how_to_go_on(error, options):
    """Tell what is known of how far an interrupted command has come."""
    return " ".join(getattr(error, "__notes__", [options.go_on]))


def _complain(text):
    print(f"keras-patching: {text}", file=sys.stderr)


def _describe_error(error):
    """Make a sentence of an error, without the colours that Keras adds."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    if isinstance(error, MemoryError):
        return f"not enough memory ({text or 'no more is known'})."
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, (ValueError, OSError, ImportError)) and text:
        return text
    return (
        f"{type(error).__name__}: {text} (unexpected; with "
        "KERAS_PATCHING_TRACEBACK=1 the place in the code is printed)"
    )


def _parser():
    parser = argparse.ArgumentParser(
        "keras-patching",
        description=_DESCRIPTION,
        epilog=_EPILOG,
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
    for each in commands.choices.values():
        each.set_defaults(parser=each)
        each.add_argument(
            "-q",
            "--quiet",
            action="store_true",
            help="print errors and warnings only (default: also what is done)",
        )
        if each.get_default("go_on") is None:
            each.set_defaults(go_on="Run the same command again.")
    return parser
