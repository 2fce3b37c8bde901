"""What is lost when machines, disks and people fail: a table of faults.

Each fault harms a cache of patches in processes and on file systems that are
real. Then every patch that can be read is compared with those that NumPy cuts
out of the images, nothing that was done before may be lost, and the build must
come to its end. Exit status 1 if anything is lost or wrong.

    python tests/faults/table.py [FAMILY ...] [--moments 50] [--only WORDS]
"""

import argparse
import sys
import time

import at_once
import damage
import disks
import killed
import numpy as np
import sources

FAMILIES = {
    each.__name__: each for each in (killed, at_once, disks, sources, damage)
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "families", nargs="*", help=f"of {', '.join(FAMILIES)} (default: all)"
    )
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--only", default="", help="words of the faults' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--short", action="store_true", help="each fault on one data set"
    )
    arguments = parser.parse_args()
    print("fault | task, store | tried | survived | lost | wrong | seconds")
    print("--- | --- | --- | --- | --- | --- | ---", flush=True)
    is_good = True
    for index, (fault, function, name) in enumerate(chosen(arguments)):
        rng = np.random.default_rng([arguments.seed, index])
        is_good &= print_row(fault, function, name, rng, arguments.moments)
    sys.exit(not is_good)


def chosen(arguments):
    """Give the rows: a fault, its function, and the name of a data set."""
    rows = []
    for family in arguments.families or FAMILIES:
        module = FAMILIES[family]
        if reason := getattr(module, "missing", str)():
            print(f"{family}: not tried, since {reason}", flush=True)
            continue
        for fault, (function, names) in module.FAULTS.items():
            if arguments.only not in fault:
                continue
            names = list(names)
            if arguments.short:
                names = [names[len(rows) % len(names)]]
            rows += [(fault, function, name) for name in names]
    return rows


def print_row(fault, function, name, rng, moments):
    """Try a fault and print what came of it; tell whether all is well."""
    started = time.monotonic()
    outcomes = []
    for _ in range(4 * moments):  # Some come too late.
        outcome = function(name, rng)
        if outcome is not None:
            outcomes.append(outcome)
        if len(outcomes) == moments:
            break
    good = sum(not (each.lost or each.wrong) for each in outcomes)
    lost = [line for each in outcomes for line in each.lost]
    wrong = sum(each.wrong for each in outcomes)
    seconds = time.monotonic() - started
    cells = fault, name, len(outcomes), good, len(lost), wrong
    print(" | ".join(map(str, cells)), f"| {seconds:.0f}", flush=True)
    for line in dict.fromkeys(lost):
        print(f"    {line}", flush=True)
    return good == len(outcomes)


if __name__ == "__main__":
    main()
