"""A cache that comes to harm, and the proof that nothing is wrong or lost."""

import dataclasses
import pathlib
import shutil
import tempfile
import time

from data_sets import DataSet, count_wrong, draw_photos, read_all
from processes import Child, run

import keras_patching as kp

# What every error that a fault leads to must hold one of: what to do.
_REMEDIES = ("again", "Free some space", "writable", "cache_dir", "Build one")


@dataclasses.dataclass
class Outcome:
    """What came of a fault.

    Attributes:
        wrong: Number of patches that were given and are not what they must be.
        lost: What was done before and is gone or done again, and errors that
            do not say what to do, a line each.
    """

    wrong: int = 0
    lost: list[str] = dataclasses.field(default_factory=list)


class Trial:
    """A data set in a folder of its own, which is removed after it.

    Args:
        name: One of `data_sets.STORES`.
        rng: `numpy.random.Generator` of the fault.
        cache_dir: Folder to keep the patches below; `None` is beside them.
        folder: Folder to write to; `None` makes one.

    Attributes:
        before, after: Photos, of which two of six are others.
    """

    def __init__(self, name, rng, cache_dir=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="faults_"))
        self.rng = rng
        self.data = DataSet(self.folder, name, cache_dir)
        self.before, other = (draw_photos(rng) for _ in range(2))
        changed = rng.choice(list(self.before), 2, replace=False)
        self.after = self.before | {each: other[each] for each in changed}
        self.outcome = Outcome()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def directory(self):
        """The folder of the cache."""
        base = self.data.cache_dir
        if base is None:
            return self.data.images.with_name("images_patches")
        return next(pathlib.Path(base).glob("*_patches"), None)

    def build(self, photos, is_old=False):
        """Write photos and build their cache, which nothing disturbs.

        Args:
            photos: Those to write.
            is_old: Whether files are older than the clock's granularity, as
                they mostly are, so that they are trusted after one look.
        """
        self.data.write(photos)
        ended = run(wrong_patches, self.data, None, is_old)
        if ended.error is not None or ended.is_killed:
            raise RuntimeError(f"An undisturbed build failed: {ended.error}")

    def start(self, **options):
        """Begin to build, in a process of its own."""
        return Child(_load, self.data, options)

    def shards(self):
        """Give the inode of each shard that is there."""
        if self.directory is None:
            return {}
        return {
            path: path.stat().st_ino
            for path in (self.directory / "shards").glob("*.npy")
        }

    def prove(self, may_be, must_be, is_whole=False, kept=None):
        """Look at what the fault has left, and build again.

        Args:
            may_be: List of photos, which the cache may be of before it is
                built again.
            must_be: Photos that it must be of afterwards.
            is_whole: Whether there was a cache before, which must still open.
            kept: What `shards` gave of those that must be kept; `None` takes
                all that are there.

        Returns:
            The `Outcome`.
        """
        kept = self.shards() if kept is None else kept
        self.look(may_be, is_whole)
        self.finish(must_be, kept)
        return self.outcome

    def look(self, may_be, is_whole):
        """Open the cache as it is, without its loader."""
        if self.directory is None or not self.directory.exists():
            if is_whole:
                self.lose("the folder of the cache is gone")
            return
        expected = [self.data.expected(each) for each in may_be]
        ended = run(_open, self.directory, expected)
        self.count(ended, "it cannot be opened", is_error_lost=is_whole)

    def find(self, photos):
        """Call the loader, which must give these photos."""
        ended = run(wrong_patches, self.data, [self.data.expected(photos)])
        self.count(ended, "it cannot be built again")

    def finish(self, photos, kept=()):
        """Call the loader, which must give these photos, and clean up."""
        self.find(photos)
        found = self.shards()
        for path in kept:
            if found.get(path) != kept[path]:
                self.lose(f"{path.name} is gone, or was made again")
        expected = [self.data.expected(photos)]
        self.count(run(_clean, self.directory, expected), "after `clean`")

    def count(self, ended, what, is_error_lost=True):
        """Count the wrong patches that a process has found, and its error."""
        if ended.error is None and not ended.is_killed:
            self.outcome.wrong += ended.value or 0
        elif is_error_lost or not ended.is_told or not _is_advice(ended.error):
            self.lose(f"{what}: {ended.error or 'killed'}")

    def expect_told(self, ended, what):
        """Expect of a process that it ended well, or in an error with advice.

        Returns:
            Whether it ended well.
        """
        self.count(ended, what, is_error_lost=False)
        return ended.error is None

    def lose(self, line):
        """Note what is lost."""
        self.outcome.lost.append(line)


def _is_advice(text):
    return any(each in text for each in _REMEDIES)


def wrong_patches(data, expected, is_old=False, **options):
    """Call the loader of a data set, and count what it gives that is wrong.

    Args:
        data: `DataSet`.
        expected: List of what its batches may hold, as `DataSet.expected`
            gives it; `None` for anything.
        is_old: As for `Trial.build`.
        **options: Of the loader.
    """
    if is_old:  # A process of its own, which ends after this.
        now = time.time_ns
        time.time_ns = lambda: now() + 10**10
    sequence = data.load(**options)
    return 0 if expected is None else _wrong(sequence, expected)


def _load(data, options):
    data.load(**options)


def _open(directory, expected):
    sequence = kp.PatchingSequence(directory, shuffle=False)
    return _wrong(sequence, expected)


def _clean(directory, expected):
    kp.data.clean(directory, min_age=0)
    left = [path.name for path in directory.rglob("*.tmp*")]
    if left:
        raise RuntimeError(f"`clean` leaves {left}")
    return _open(directory, expected)


def _wrong(sequence, expected):
    """Count the patches that are in none of what may be there."""
    found = read_all(sequence)
    return min(count_wrong(found, each) for each in expected)
