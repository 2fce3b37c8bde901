"""The patch cache: patches of a folder of images, saved beside it.

    field/images/
    field/images_patches/
      shards/<stem>-<hash>.images.npy          one per image: (n, h, w, c)
      shards/<stem>-<hash>.masks.npy           its labels, in the same order
      segmentation-128x128-1f0c9ab2d3e4.json   a manifest: one complete cache

A shard's name hashes what it is made from, so shards never change and caches
share them. A build takes what is there, makes the rest, and writes the manifest
last: it can be killed at any moment, and run in two processes at once. It never
deletes a shard, since readers may have it open; `clean` does.
"""

import contextlib
import dataclasses
import os
import pathlib
import time

from keras_patching._disk_space import check_space, describe_bytes
from keras_patching._faults import raise_faults
from keras_patching._printing import say
from keras_patching._whole_files import flush_folder
from keras_patching.data.cache.disk_space import missing_bytes
from keras_patching.data.cache.manifest import (
    manifest_state,
    refresh_manifest,
    write_manifest,
)
from keras_patching.data.cache.memory import CacheMemory, name_of
from keras_patching.data.cache.opening import (
    SHARD_FOLDER,
    BuiltCache,
    check_shard_folder,
)
from keras_patching.data.cache.records import Manifest
from keras_patching.data.cache.shard_builder import (
    Job,
    build_shards,
    changed_meanwhile,
)
from keras_patching.data.cache.shards import ShardError, digest, open_shard
from keras_patching.data.cache.shared_folder import shared_folder
from keras_patching.data.cache.workers import WorkersEndedError, run_jobs

# How often a build makes again what another program takes away from it.
_ROUNDS = 3
# Names of images that an error lists.
_FEW = 3


def patch_folder(dirname, cache_dir=None):
    """Give the folder of the patch caches of a folder of images.

    Args:
        dirname: Folder of images.
        cache_dir: Folder for caches; `None` puts them beside the images.

    Returns:
        An absolute `pathlib.Path`, which need not exist.
    """
    dirname = pathlib.Path(os.path.abspath(dirname))
    if cache_dir is None:
        return dirname.with_name(f"{dirname.name}_patches")
    name = f"{dirname.name}-{digest(str(dirname))[:8]}_patches"
    return pathlib.Path(os.path.abspath(cache_dir)) / name


class PatchCache:
    """One cache of patches of a folder of images, to be found or built.

    Args:
        dirname: Folder of images.
        task: Name of the task, a plain word: "segmentation".
        patch_size: `(height, width)` in pixels.
        parameters: JSON-able dict of what else decides the patches.
        label_path: File or folder of the labels, for tasks that have one.
        cache_dir: Folder for caches; `None` puts them beside the images.

    Attributes:
        directory: Folder of the cache.
        manifest_path: Path of its manifest.
        built: `BuiltCache`, what `build` made; `None` before.
    """

    def __init__(
        self,
        dirname,
        task,
        patch_size,
        parameters,
        label_path=None,
        cache_dir=None,
    ):
        self.dirname = pathlib.Path(os.path.abspath(dirname))
        self.directory = patch_folder(dirname, cache_dir)
        self._empty = Manifest(
            task=task,
            patch_size=tuple(patch_size),
            parameters=parameters,
            label_path=(
                "" if label_path is None else name_of(label_path, self.dirname)
            ),
            hashed_at_ns=0,
            files={},
            sources=[],
        )
        self.manifest_path = self.directory / self._empty.file_name
        self.built = None
        self._state = manifest_state(self.manifest_path)
        self._memory = CacheMemory(self.manifest_path, self.dirname)
        self._manifest = self._memory.manifest

    def header(self, path):
        """Give the `ImageHeader` of an image or mask.

        It is read from the file only where no manifest remembers it.

        Raises:
            ValueError: If it is not an image that can be read.
        """
        return self._memory.header(path)

    def build(
        self,
        sources,
        overwrite=False,
        executor=None,
        verbose=True,
        check=None,
        classes=None,
    ):
        """Build what is missing and write the manifest.

        Args:
            sources: List of `Source`, the whole data set.
            overwrite: Whether to make all shards again. The old manifest
                stays until the new one is complete.
            executor: `concurrent.futures.Executor` that decodes and writes;
                `None` is a pool of at most 4 threads. Each worker holds one
                file, its image and its patches in memory.
            verbose: Whether to print what is done.
            check: Function without arguments that is called first if anything
                is to be built; nothing is if it raises.
            classes: As in `Manifest`.

        Returns:
            `pathlib.Path` of the manifest.

        Raises:
            ValueError: If the disk lacks the space or cannot be written; or
                if files turn out to be bad, all listed. The other shards stay
                for the next run.
        """
        started = time.time_ns()
        self._empty = dataclasses.replace(self._empty, classes=classes or {})
        check_shard_folder(self.directory)
        records = {
            source.name: None if overwrite else self._memory.find(source)
            for source in sources
        }
        jobs = [
            self._job(source, overwrite)
            for source in sources
            if records[source.name] is None
        ]
        if jobs and check is not None:
            check()
        missing = missing_bytes(self._shards, [job.source for job in jobs])
        check_space(
            self.directory,
            missing,
            "the patches",
            "Free some space, use larger patches or fewer images, or pass "
            "`cache_dir` on another disk.",
        )
        if verbose and (missing or (jobs and overwrite)):
            say(
                f"Cutting patches of {len(jobs)} images into {self.directory} "
                f"({describe_bytes(missing)} more on disk)."
            )
        show_progress = verbose and (missing or overwrite)
        written = self._make(jobs, records, executor, show_progress)
        manifest = self._save(sources, records, started, hashed=bool(jobs))
        if jobs:
            manifest = self._keep(manifest, sources, records, executor)
        self.built = BuiltCache(self.manifest_path, manifest)
        if verbose:
            self._report(written, records)
        return self.manifest_path

    def _make(self, jobs, records, executor, show_progress=False):
        """Make shards, note their records, and give the sources written."""
        try:
            with self._shared(jobs, executor) as shared:
                outcomes = run_jobs(
                    build_shards,
                    [dataclasses.replace(job, shared=shared) for job in jobs],
                    "image",
                    show_progress,
                    executor,
                    before=sum(map(bool, records.values())),
                )
        except WorkersEndedError as error:
            problem = _describe_ended(self.directory, jobs, error)
            raise ValueError(problem) from error
        faults = [fault for outcome in outcomes for fault in outcome.faults]
        # What was read of a file that was being written need not be an image
        # that there ever was.
        faults += [
            changed_meanwhile(path)
            for outcome in outcomes
            for path, file in outcome.files.items()
            if not file.is_as_read(path)
        ]
        raise_faults(
            faults,
            f"{self.dirname}: files that cannot be used",
            "Do as each line says, or remove the file, and run again; the "
            "patches of the others are cached already.",
        )
        for job, outcome in zip(jobs, outcomes, strict=True):
            records[job.source.name] = dataclasses.replace(
                job.source, shards=outcome.shards
            )
            self._memory.learn(outcome.files)
        return [
            job.source
            for job, outcome in zip(jobs, outcomes, strict=True)
            if outcome.written
        ]

    def _shared(self, jobs, executor):
        """Mark the cache for workers that may be on other machines."""
        if executor is None or not jobs:
            return contextlib.nullcontext()
        plans = [plan for job in jobs for plan in job.source.shards.values()]
        folders = {plan.path.parent for plan in plans if plan.path}
        return shared_folder(self.directory, sorted(folders))

    def _keep(self, manifest, sources, records, executor):
        """Make again what was removed while the manifest did not name it.

        `clean` may have taken it for something that a crash left.
        """
        for _ in range(_ROUNDS):
            lost = [s for s in sources if self._is_lost(records[s.name])]
            if not lost:
                return manifest
            jobs = [self._job(source, overwrite=False) for source in lost]
            started = time.time_ns()
            self._make(jobs, records, executor)
            manifest = self._save(sources, records, started, hashed=True)
        raise ValueError(
            f"{self._shards}: shards are removed as soon as they are written. "
            "Find out which program removes them, and call the loader again."
        )

    def _is_lost(self, record):
        for shard in record.shards.values():
            try:
                file, _ = open_shard(self._shards, shard)
            except ShardError:
                return True
            os.close(file)
        return False

    @property
    def _shards(self):
        return self.directory / SHARD_FOLDER

    def _job(self, source, overwrite):
        paths = [plan.path for plan in source.shards.values() if plan.path]
        memory = self._memory
        files = {} if overwrite else {p: memory.trusted(p) for p in paths}
        return Job(
            directory=self.directory,
            source=source,
            headers={path: memory.header(path) for path in paths},
            trusted={path: f.sha256 for path, f in files.items() if f},
            known=memory.shards(source),
            overwrite=overwrite,
        )

    def _save(self, sources, records, started, hashed):
        """Write the manifest where it says something new; give it."""
        files = {
            name_of(plan.path, self.dirname): self._memory.trusted(plan.path)
            for source in sources
            for plan in source.shards.values()
            if plan.path
        }
        manifest = dataclasses.replace(
            self._empty,
            hashed_at_ns=started,
            files=files,
            sources=[records[source.name] for source in sources],
        )
        old = self._manifest
        if old is None or not _says_the_same(old, manifest):
            # Also when the power fails, what it names is there.
            flush_folder(self._shards)
            self._state = write_manifest(self.directory, manifest)
            flush_folder(self.directory)
            flush_folder(self.directory.parent)  # It may be new there.
        elif hashed and manifest_state(self.manifest_path) == self._state:
            # Not over one that another process has written meanwhile, which
            # may know of more images.
            self._state = refresh_manifest(self.manifest_path, manifest)
        else:
            return manifest
        self._manifest = manifest
        return manifest

    def _report(self, written, records):
        total = sum(len(record.origins) for record in records.values())
        cut = sum(len(source.origins) for source in written)
        if written:
            say(
                f"Cut {cut} patches of {len(written)} images; {total} patches "
                f"of {len(records)} images are now in {self.directory}."
            )
        else:
            say(
                f"Found {total} cached patches of {len(records)} images in "
                f"{self.directory}."
            )


def _says_the_same(old, new):
    """Tell whether manifests differ at most in when sources were looked at."""
    return new == dataclasses.replace(
        old, files=new.files, hashed_at_ns=new.hashed_at_ns
    )


def _describe_ended(directory, jobs, error):
    """Say at which images workers ended, and what to do."""
    left = [jobs[index].source.name for index in error.left]
    return (
        f"{directory}: {error.reason}. {len(left)} of {len(jobs)} images are "
        f"not done, the next are {', '.join(left[:_FEW])}. Each worker holds "
        "one image and its patches: pass a new `executor`, with fewer workers "
        "where memory is short, and run again, which goes on from what is done."
    )
