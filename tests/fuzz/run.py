"""Hostile files for every entry point: what of them is read, and how.

    python tests/fuzz/run.py [--inputs 100000] [--only NAME ...]
    python tests/fuzz/run.py --only NAME --input 12345    # that one again
    python tests/fuzz/run.py --only NAME --atheris        # guided by coverage

Input `i` of an entry point is the same in every run. Each entry point has a
process of its own, which begins again behind an input that killed it. An input
is read, or refused by an error of the package that names the file; whatever
else happens is printed, and the file saved below `--keep`. Exit status 1 if
there is any.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1])]
# What a reader of strangers' images sets: three copies of one are below 1 GB.
LIMITS = {"KERAS_PATCHING_MAX_IMAGE_PIXELS": str(2**26)}
COLUMNS = "entry | inputs | read | refused | others | slowest | memory"


def main():
    options = _parse()
    os.environ.update(LIMITS)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.worker:
        return _work(options)
    if options.atheris:
        import coverage_guided

        return coverage_guided.run(options.only[0], options)
    from entry_points import ENTRIES

    names = [
        name
        for name in ENTRIES
        if not options.only or any(only in name for only in options.only)
    ]
    print(COLUMNS, flush=True)
    failed = [name for name in names if not _try(ENTRIES[name], options)]
    if failed:
        print(f"FAILED: {', '.join(failed)}. Files are in {options.keep}.")
    return bool(failed)


def _parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, help="for each entry point")
    parser.add_argument("--only", nargs="+", help="parts of names")
    parser.add_argument("--first", type=int, default=0, help="input to begin")
    parser.add_argument("--input", type=int, help="number of one input")
    parser.add_argument("--keep", default="fuzz_failed", type=pathlib.Path)
    parser.add_argument("--atheris", action="store_true")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def _try(entry, options):
    """Run the inputs of an entry point, and print its row."""
    first, count = options.first, options.inputs or entry.inputs
    count = min(count, entry.inputs)
    if options.input is not None:
        first, count = options.input, options.input + 1
    total = {"inputs": 0, "read": 0, "refused": 0, "others": {}}
    total |= {"slowest": 0.0, "most_bytes": 0}
    start = first
    while start < count:
        tally, died = _start_worker(entry, start, count, options)
        if tally is None:
            total["others"][died] = 1
            break
        _add(total, tally)
        start = start + tally["inputs"]
        if died is not None:
            total["inputs"] += 1
            total["others"][f"{died} (input {start})"] = 1
            start += 1
    print(row(entry, total), flush=True)
    for what, number in sorted(total["others"].items()):
        print(f"    {number} x {what}", flush=True)
    return not total["others"]


def row(entry, tally):
    """Give the row of an entry point, of the attributes of a `Tally`."""
    return (
        f"{entry.name} | {tally['inputs']} | {tally['read']} | "
        f"{tally['refused']} | {sum(tally['others'].values())} | "
        f"{tally['slowest']:.2f} s | {tally['most_bytes'] / 2**20:.0f} MB"
    )


def _add(total, tally):
    for key in ("inputs", "read", "refused"):
        total[key] += tally[key]
    for key in ("slowest", "most_bytes"):
        total[key] = max(total[key], tally[key])
    for what, number in tally["others"].items():
        total["others"][what] = total["others"].get(what, 0) + number


def _start_worker(entry, start, count, options):
    """Run inputs in a process; give its tally, and how it was killed.

    There is no tally if that was before the first input.
    """
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="kp_fuzz_") as folder:
        result = pathlib.Path(folder, "tally.json")
        worker = [entry.name, str(start), str(count)]
        command = [sys.executable, __file__, "--worker", *worker]
        command += ["--keep", str(options.keep), "--only", folder]
        said = pathlib.Path(folder, "said.txt")
        with open(said, "w") as stream:  # what libraries of C print, too
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stderr=stream
            )
        code = ended.returncode
        if code > 0:
            raise SystemExit(f"{entry.name}: {said.read_text()}")
        died = f"process ended with {code}" if code else None
        number = pathlib.Path(folder, "number")
        if code and not (number.exists() and number.read_text()):
            return None, f"{died} before its first input"
        tally = json.loads(result.read_text())
        if code:
            # Up to 49 before it were read or refused, and are not told apart.
            tally["inputs"] = int(number.read_text()) - start
            target = pathlib.Path(folder, "target").read_text()
            keep(options.keep, entry, died, pathlib.Path(target).read_bytes())
    return tally, died


def _work(options):
    """Be the process of an entry point."""
    from entry_points import ENTRIES
    from trial import Tally, Trials

    name, *numbers = options.worker
    start, count = map(int, numbers)
    entry, folder = ENTRIES[name], pathlib.Path(*options.only)
    (folder / "work").mkdir()
    target = entry.prepare(folder / "work")
    (folder / "target").write_text(str(target.path))
    check_seeds(target)  # what is imported meanwhile is no input's
    tally = Tally()
    result = folder / "tally.json"
    result.write_text(json.dumps(vars(tally)))
    counter = os.open(folder / "number", os.O_CREAT | os.O_RDWR)
    with Trials(target, tally).watched() as trials:
        for number in range(start, count):
            data = input_of(entry, target, number)
            os.pwrite(counter, b"%d" % number, 0)
            fault = trials(data)
            if tally.others.get(fault) == 1:
                keep(options.keep, entry, f"{fault} {number}", data)
            if number % 50 == 49 or number + 1 == count:
                result.write_text(json.dumps(vars(tally)))
    return 0


def check_seeds(target):
    """Refuse an entry point that does not read the files to begin with."""
    for seed in target.seeds:
        target.path.write_bytes(seed)
        try:
            target.read()
        except ValueError as error:
            raise AssertionError(f"{seed[:200]} is refused: {error}") from error


def input_of(entry, target, number):
    """Give the bytes of an input, which are the same in every run."""
    from mutations import mutated

    rng = random.Random(f"{entry.name} {number}")
    return mutated(rng, target.seeds, entry.change)


def keep(folder, entry, what, data):
    """Save an input that failed, or the beginning of a long one."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "_", f"{entry.name} {what}")
    (folder / name).write_bytes(data[:1_000_000])


if __name__ == "__main__":
    sys.exit(main())
