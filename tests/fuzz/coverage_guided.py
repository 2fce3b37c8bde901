"""Inputs that atheris looks for: those that reach code which none did before.

It comes with the extra `fuzz`, and has wheels for Linux.
"""

import os
import pathlib
import random
import shutil
import sys
import tempfile


def run(name, options):
    """Try inputs of an entry point, and print what came of them.

    Args:
        name: Part of the name of the entry point.
        options: Those of `run.py`.

    It ends the process, with status 1 if there is a fault.
    """
    import atheris

    with atheris.instrument_imports(include=["keras_patching"]):
        from entry_points import ENTRIES
        from run import COLUMNS, check_seeds, keep, row
        from trial import Tally, Trials
    from mutations import mutated

    entry = next(entry for each, entry in ENTRIES.items() if name in each)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kp_fuzz_"))
    (folder / "work").mkdir()
    (folder / "corpus").mkdir()
    target, tally = entry.prepare(folder / "work"), Tally()
    check_seeds(target)
    for number, seed in enumerate(target.seeds):
        (folder / "corpus" / str(number)).write_bytes(seed)
    trials = Trials(target, tally, limited=False)
    count = options.inputs or entry.inputs

    def attempt(data):
        fault = trials(data)
        if tally.others.get(fault) == 1:
            keep(options.keep, entry, f"atheris {fault}", data)
        if tally.inputs == count:
            print(f"{COLUMNS}\n{row(entry, vars(tally))}")
            for what, number in tally.others.items():
                print(f"    {number} x {what}")
            sys.stdout.flush()
            shutil.rmtree(folder)
            os._exit(bool(tally.others))  # libFuzzer does not come back

    def change(data, max_size, seed):
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, max_size)
        return mutated(rng, [data, *target.seeds], entry.change)[:max_size]

    limits = ["-max_len=100000", "-rss_limit_mb=0"]
    arguments = ["fuzz", *limits, "-verbosity=0", str(folder / "corpus")]
    atheris.Setup(arguments, attempt, custom_mutator=change)
    with trials.watched():
        atheris.Fuzz()
