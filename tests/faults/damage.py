"""Shards and manifests that are truncated, flipped, forged, of other versions.

What is written gets a new modification time, as any program that writes gives
it. Bits that change on a disk below the file system change no time, and are
not looked for.
"""

import functools
import json
import os
import pathlib
import shutil
import sys

from data_sets import STORES
from trials import Trial

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "data" / "cache"))

from test_cache_trust import CRAFTED, rewrite


def damage_shards(name, rng, harm, is_named):
    """Harm one to three shards, of a cache with its manifest or without."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        if not is_named:  # As of a build that did not come to its end.
            next(trial.directory.glob("*.json")).unlink()
        kept = trial.shards()
        count = rng.integers(1, 4)
        for path in rng.choice(sorted(kept), count, replace=False):
            harm(path, rng)
            kept.pop(path)
        return trial.prove([trial.before], trial.before, kept=kept)


def damage_the_manifest(name, rng, harm):
    """Harm the manifest; no shard may be made again."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        (manifest,) = trial.directory.glob("*.json")
        harm(manifest, rng)
        return trial.prove([trial.before], trial.before)


def forge_a_manifest(name, rng):
    """Forge what cannot be, hash included."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        (manifest,) = trial.directory.glob("*.json")
        change = rng.choice(list(CRAFTED.values()))
        try:
            rewrite(manifest, change)
        except (LookupError, AttributeError):  # Of what it does not have.
            return None
        return trial.prove([trial.before], trial.before)


def _truncate(path, rng):
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def _flip(path, rng):
    data = bytearray(path.read_bytes())
    bit = int(rng.integers(8 * len(data)))
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


def _zero(path, rng):
    """Write zeros to its end, as some file systems leave it after a crash."""
    data = path.read_bytes()
    start = int(rng.integers(len(data)))
    path.write_bytes(data[:start] + bytes(len(data) - start))


def _append(path, rng):
    with open(path, "ab") as stream:
        stream.write(rng.bytes(int(rng.integers(1, 100))))


def _swap(path, rng):
    """Put another shard of its kind in its place, of the same size or not."""
    kind = "." + path.name.partition(".")[2]
    others = [
        each
        for each in sorted(path.parent.glob(f"*{kind}"))
        if each.read_bytes() != path.read_bytes()
    ]
    shutil.copyfile(rng.choice(others), path)


def _remove(path, rng):
    path.unlink()


def _link(path, rng):
    outside = path.parent.parent.parent / path.name
    os.replace(path, outside)
    path.symlink_to(outside)


def _harm_any(path, rng):
    harms = _truncate, _zero, _append, _remove
    rng.choice(harms)(path, rng)


def _set_version(path, rng):
    """Let it be of another version, whole as that has written it."""
    step = int(rng.choice([-3, -1, 1, 95]))
    key = rng.choice(["version", "readers"])
    rewrite(path, lambda fields: fields.update({key: fields[key] + step}))


def _edit(path, rng):
    """Change a number of it, and not its hash, as an editor does."""
    fields = json.loads(path.read_text())
    source = rng.choice(fields["sources"])
    source["origins"][0][0] += 1
    path.write_text(json.dumps(fields, separators=(",", ":")))


_SHARD_HARMS = {
    "truncated": _truncate,
    "flipped": _flip,
    "ending in zeros": _zero,
    "with more at the end": _append,
    "of another image": _swap,
    "removed": _remove,
    "links": _link,
}
_MANIFEST_HARMS = {
    "truncated": _truncate,
    "flipped": _flip,
    "edited": _edit,
    "of another version": _set_version,
    "zeros, more, nothing": _harm_any,
}
FAULTS = {
    **{
        f"shards {word}, {whose}": (
            functools.partial(damage_shards, harm=harm, is_named=is_named),
            STORES,
        )
        for word, harm in _SHARD_HARMS.items()
        for is_named, whose in ((True, "of a cache"), (False, "of no manifest"))
    },
    **{
        f"manifest {word}": (
            functools.partial(damage_the_manifest, harm=harm),
            STORES,
        )
        for word, harm in _MANIFEST_HARMS.items()
    },
    "manifest forged": (forge_a_manifest, ["detection, images"]),
}
