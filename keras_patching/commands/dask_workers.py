"""`--dask`: what a command does runs on the workers of a cluster of dask."""

import contextlib
import pkgutil

from keras_patching import __version__

# Seconds to wait for a scheduler, and for its first worker.
_PATIENCE = 30
# Workers that an error names.
_FEW = 3


def add_dask(parser):
    """Add `--dask` to the parser of a command."""
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="address of a scheduler of dask, as tcp://host:8786, whose "
        "workers do it: processes on this machine or on others, which see the "
        'same files and have keras-patching; needs "keras-patching'
        '[distributed]" (default: this process does it)',
    )


@contextlib.contextmanager
def dask_executor(address):
    """Connect to the workers of a cluster.

    Args:
        address: Of its scheduler; `None` is none.

    Yields:
        `concurrent.futures.Executor`, or `None`.

    Raises:
        ImportError: If `distributed` is not installed.
        ValueError: If nothing answers at the address, there are no workers,
            or they cannot run this version of the package.
    """
    if address is None:
        yield None
        return
    with _connected(address) as client:
        _check_workers(client, address)
        # What was done once need not be there any more: nothing is "pure".
        yield client.get_executor(pure=False)


def _connected(address):
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "`--dask` needs dask's scheduler: "
            'pip install "keras-patching[distributed]".'
        ) from error
    try:
        return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{address}: no scheduler of dask answers there ({error}). Start "
            "one with `dask scheduler`, workers with `dask worker ADDRESS`, "
            "and pass the address that it prints."
        ) from error


def _check_workers(client, address):
    """Refuse a cluster that cannot do it, before anything is begun."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        raise ValueError(
            f"{address}: this scheduler has no workers. Start some with `dask "
            f"worker {address}`."
        ) from error
    # By name: a function of ours could not be told to a worker without it.
    found = client.run(
        pkgutil.resolve_name, "keras_patching:__version__", on_error="return"
    )
    others = [
        f"{worker} ({version})"
        for worker, version in sorted(found.items())
        # One that has just ended is the scheduler's to replace.
        if version != __version__ and not isinstance(version, OSError)
    ]
    if others:
        raise ValueError(
            f"{address}: {len(others)} of {len(found)} workers cannot run "
            f"keras-patching {__version__}: {', '.join(others[:_FEW])}. "
            "Install the same version, with what it needs, where they run."
        )
