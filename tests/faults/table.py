"""What is lost when machines, disks and people fail: a table of faults.

Each fault harms a cache of patches in processes and on file systems that are
real. Then every patch that can be read is compared with those that NumPy cuts
out of the images, nothing that was done before may be lost, and the build must
come to its end. Exit status 1 if anything is lost or wrong.

    python tests/faults/table.py [FAMILY ...] [--moments 50] [--only WORDS]
"""

import argparse
import itertools
import sys
import time

import at_once
import damage
import disks
import killed
import numpy as np
import power
import sources
import workers

FAMILIES = {
    "killed": killed,
    "at_once": at_once,
    "disks": disks,
    "power": power,
    "sources": sources,
    "damage": damage,
    "workers": workers,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "families", nargs="*", help=f"of {', '.join(FAMILIES)} (default: all)"
    )
    parser.add_argument(
        "--moments",
        type=int,
        default=50,
        help="times of each fault; of killed builds, on each data set (50)",
    )
    parser.add_argument("--only", default="", help="words of the faults' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--short",
        action="store_true",
        help="on one data set, no dask",
    )
    arguments = parser.parse_args()
    print("fault | task, store | tried | survived | lost | wrong | seconds")
    print("--- | --- | --- | --- | --- | --- | ---", flush=True)
    rows = list(chosen(arguments))
    rng = np.random.default_rng(arguments.seed)
    good = [try_fault(*row, rng, arguments.moments) for row in rows]
    sys.exit(not all(good))


def chosen(arguments):
    """Yield the rows: a fault, its function, and the data sets it is tried on.

    Builds are killed on each of them as often as other faults are tried on all.
    """
    for family in arguments.families or FAMILIES:
        module = FAMILIES[family]
        if reason := getattr(module, "missing", str)():
            print(f"{family}: not tried, since {reason}", flush=True)
            continue
        faults = dict(module.FAULTS)
        if not arguments.short:
            faults |= getattr(module, "IN_FULL", {})
        for fault, (function, names) in faults.items():
            if arguments.only not in fault:
                continue
            names = list(names)
            if arguments.short:
                yield fault, function, [names[len(fault) % len(names)]]
            elif module is killed:
                yield from ((fault, function, [name]) for name in names)
            else:
                yield fault, function, names


def try_fault(fault, function, names, rng, moments):
    """Try a fault and print what came of it; tell whether all is well."""
    started = time.monotonic()
    outcomes = []
    # Some come too late, and the first of each only tells how long it takes.
    for name in itertools.islice(itertools.cycle(names), 9 * moments + 50):
        if len(outcomes) == moments:
            break
        outcome = function(name, rng)
        if outcome is not None:
            outcomes.append(outcome)
    good = sum(not (each.lost or each.wrong) for each in outcomes)
    lost = [line for each in outcomes for line in each.lost]
    wrong = sum(each.wrong for each in outcomes)
    seconds = time.monotonic() - started
    where = names[0] if len(names) == 1 else f"{len(names)} in turn"
    cells = fault, where, len(outcomes), good, len(lost), wrong
    print(" | ".join(map(str, cells)), f"| {seconds:.0f}", flush=True)
    for line in dict.fromkeys(lost):
        print(f"    {line}", flush=True)
    return len(outcomes) == good == moments


if __name__ == "__main__":
    main()
