"""Images that change while they are cut, or so that nobody should notice."""

import concurrent.futures
import dataclasses
import functools
import json
import os
import sys
import time

import numpy as np
from data_sets import STORES, draw_photos, write_pixels
from moments import strike
from processes import Child, run
from trials import Trial, wrong_patches

# Its files have one size, whatever they show.
_CHANGED = ("1.bmp", "2.npy", "3.tif")


def change_before_the_content(name, rng):
    """Change an image between its header and its content."""
    with Trial(name, rng) as trial:
        was_built = bool(rng.integers(2))
        if was_built:
            trial.build(trial.before)
            trial.data.written = {}
        trial.data.write(trial.before)
        changed = rng.choice(_CHANGED)
        after, harm = _changes(trial, changed)
        states = [trial.before, after]
        asked = trial.data, changed, harm, _all_expected(trial, states)
        trial.expect_told(run(_load_changing, *asked), "the builder")
        trial.data.write(after)
        return trial.prove(states, after, was_built)


def replace_during_a_build(name, rng, is_in_place):
    """Put another image in the place of one at a random moment."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.before)
        after = _with_other_pixels(trial, rng.choice(_CHANGED))
        states = [trial.before, after]

        def load():
            expected = _all_expected(trial, states)
            return Child(wrong_patches, trial.data, expected)

        def harm(_):
            if is_in_place:
                trial.data.write(after)
            else:
                _replace(trial.data, after)

        ended = strike(trial, harm, load, "read too")
        if ended is None:
            return None
        trial.expect_told(ended, "the builder")
        return trial.prove(states, after)


def rewrite_again_and_again(name, rng):
    """Rewrite an image, piece by piece, with its time set back after each."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.before)
        changed = rng.choice(_CHANGED)
        after = _with_other_pixels(trial, changed)
        contents = []
        path = trial.data.images / changed
        for photos in (after, trial.before):
            trial.data.write(photos)
            contents.append(path.read_bytes())
        done = trial.folder / "done"
        writer = Child(_rewrite, path, contents, done)
        states = [trial.before, after]
        expected = _all_expected(trial, states)
        for _ in range(5):
            ended = run(_wrong_if_changed, trial.data, expected, path)
            trial.expect_told(ended, "the builder")
        done.touch()
        writer.end()
        trial.data.written = {}
        trial.data.write(after)
        trial.finish(after)
        return trial.outcome


def restore_size_and_times(name, rng, is_old):
    """Change an image, and give it the size and time that it had."""
    with Trial(name, rng) as trial:
        trial.build(trial.before, is_old=is_old)
        changed = rng.choice(_CHANGED)
        path = trial.data.images / changed
        status = path.stat()
        after = _with_other_pixels(trial, changed)
        write_pixels(path, after[changed].image)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_size == status.st_size
        # Builds that find nothing changed come first, as in daily use.
        expected = [trial.data.expected(after)]
        trial.count(run(wrong_patches, trial.data, expected, is_old), "then")
        return trial.prove([after], after)


def _all_expected(trial, states):
    return [trial.data.expected(each) for each in states]


def _with_other_pixels(trial, name):
    """Give photos of which one shows something else, in the same size."""
    photo = trial.before[name]
    image = trial.rng.permutation(photo.image.reshape(-1))
    image = dataclasses.replace(photo, image=image.reshape(photo.image.shape))
    return trial.before | {name: image}


def _changes(trial, name):
    """Give photos after a change, and the function that makes it."""
    path = trial.data.images / name
    kind = trial.rng.choice(["pixels", "size", "removed", "truncated"])
    if kind == "pixels":
        after = _with_other_pixels(trial, name)
        return after, functools.partial(trial.data.write, after)
    if kind == "size":
        other = draw_photos(trial.rng)["5.bmp"]
        after = trial.before | {name: other}
        return after, functools.partial(trial.data.write, after)
    # It comes back afterwards.
    after = _with_other_pixels(trial, name)
    if kind == "removed":
        return after, path.unlink
    return after, functools.partial(os.truncate, path, path.stat().st_size // 2)


def _replace(data, photos):
    """Replace files by others in one step each, as careful programs do."""
    for name, photo in photos.items():
        if data.written[name] is not photo:
            path = data.images / name
            beside = data.images.parent / path.name
            write_pixels(beside, photo.image)
            os.replace(beside, path)
    data.written = dict(photos)


class _ChangesFirst(concurrent.futures.ThreadPoolExecutor):
    """Does something before it does anything."""

    def __init__(self, action):
        super().__init__(1)
        self._action = action

    def submit(self, function, /, *args, **kwargs):
        action, self._action = self._action, None
        if action is not None:
            action()
        return super().submit(function, *args, **kwargs)


def _load_changing(data, name, harm, expected):
    with _ChangesFirst(harm) as executor:
        return wrong_patches(data, expected, executor=executor)


def _wrong_if_changed(data, expected, path):
    """Count what is wrong, if a file changed between its reading and the end.

    Where its writer has to wait it lies half written all the time; then this
    is what the image shows.
    """
    seen = []

    def look(event, names):
        if event == "os.rename" and str(names[1]).endswith(".npy"):
            seen.append(path.stat().st_ctime_ns)

    sys.addaudithook(look)  # There is no way back: this process ends soon.
    wrong = wrong_patches(data, expected)
    (manifest,) = data.images.with_name("images_patches").glob("*.json")
    read = json.loads(manifest.read_text())["files"][path.name]["ctime_ns"]
    return wrong if seen and seen[-1] != read else 0


def _rewrite(path, contents, done):
    status = path.stat()
    rng = np.random.default_rng(0)
    half = len(contents[0]) // 2
    pieces = [
        piece
        for content in contents
        for piece in ((0, content[:half]), (half, content[half:]))
    ]
    with open(path, "r+b", buffering=0) as stream:
        while not done.exists():
            for start, piece in pieces:
                stream.seek(start)
                stream.write(piece)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                time.sleep(rng.uniform(0, 0.001))


FAULTS = {
    "image changed after its header": (change_before_the_content, STORES),
    "image replaced during a build": (
        functools.partial(replace_during_a_build, is_in_place=False),
        STORES,
    ),
    "image rewritten during a build": (
        functools.partial(replace_during_a_build, is_in_place=True),
        STORES,
    ),
    "image torn, its size and time restored": (rewrite_again_and_again, STORES),
    "old image changed, its size and time restored": (
        functools.partial(restore_size_and_times, is_old=True),
        STORES,
    ),
    "young image changed, its size and time restored": (
        functools.partial(restore_size_and_times, is_old=False),
        STORES,
    ),
}
