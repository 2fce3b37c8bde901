"""What a manifest records: a cache, its sources, and the files of those."""

import dataclasses
import hashlib
from typing import Generic, TypeVar

import numpy as np

from keras_patching.data.cache.shard_kinds import shard_kind
from keras_patching.data.cache.shards import ShardRecord, digest
from keras_patching.data.images.contents import status_of
from keras_patching.data.images.file_state import FileState
from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.resizing import as_resize, resized_size

# What there is of a shard: the plan of it, or the record.
Shard = TypeVar("Shard")


@dataclasses.dataclass(frozen=True)
class FileRecord(FileState):
    """What a manifest says of an image file that shards were made from.

    Attributes:
        size, mtime_ns, ctime_ns, sha256: As in `FileState`.
        header: `[height, width, channels, dtype, rotated, lacks_data]`.
    """

    header: tuple = ()

    @classmethod
    def of(cls, data, stat, header):
        """Make the record of a file.

        Args:
            data: Its bytes.
            stat: Its `os.stat_result`.
            header: The `ImageHeader` in these bytes.
        """
        return cls(
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
            sha256=hashlib.sha256(data).hexdigest(),
            header=(
                *map(int, header.size),
                int(header.channels),
                np.dtype(header.dtype).name,
                bool(header.rotated),
                bool(header.lacks_data),
            ),
        )

    def is_as_read(self, path):
        """Tell whether a file has the size and times that it was read with."""
        try:
            return self.has_times_of(status_of(path))
        except OSError:
            return False

    @property
    def image_header(self):
        """The `ImageHeader` of the file."""
        height, width, channels, dtype, *flags = self.header
        return ImageHeader(
            (height, width), channels, np.dtype(dtype), *map(bool, flags)
        )


@dataclasses.dataclass(frozen=True)
class Source(Generic[Shard]):
    """One image of a data set, its patches, and the shards of them.

    Attributes:
        name: Path of the image, relative to the image folder.
        shards: Dict from kind to `ShardRecord`, images first; of a source that
            is to be built, to `shard_builder.ShardPlan`.
        origins: Pair `(y, x)` per patch, in pixels of the image as it is read,
            which may be resized.
        stages: Per patch, the sampling stage it comes from.
        augmentations: Per patch, what is done to it; empty where nothing is
            done to any.
    """

    name: str
    shards: dict[str, Shard]
    origins: list
    stages: list[str]
    augmentations: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One complete cache.

    Attributes:
        task: Name of the task.
        patch_size: `(height, width)` in pixels.
        parameters: JSON-able dict, what else decides the patches.
        label_path: File or folder that the labels came from, relative to the
            folder of the images; absolute where it is on another drive.
        hashed_at_ns: Time before the first source was hashed.
        files: Dict from path, relative to the image folder, to `FileRecord`.
        sources: List of `Source`.
        classes: JSON-able dict of what is known of the classes, of which
            nothing decides where patches lie: "names", "colors" and "ids", as
            `MaskClasses.to_json` gives them.
    """

    task: str
    patch_size: tuple[int, int]
    parameters: dict
    label_path: str
    hashed_at_ns: int
    files: dict[str, FileRecord]
    sources: list[Source[ShardRecord]]
    classes: dict = dataclasses.field(default_factory=dict)

    @property
    def class_names(self):
        """Names of the classes, that of class 0 first, or `None`."""
        names = self.classes.get("names")
        return names or self.parameters.get("class_names")

    @property
    def class_colors(self):
        """RGB tuples, that of class 0 first, or `None`."""
        colors = self.classes.get("colors")
        return colors and [tuple(color) for color in colors]

    @property
    def class_ids(self):
        """Dict from values in files to classes, or `None`."""
        ids = self.classes.get("ids")
        return ids and dict(ids)

    @property
    def kinds(self):
        """Kinds of shards that each source has, images first."""
        return list(self.sources[0].shards)

    @property
    def fed_kinds(self):
        """Those of them that batches are made of."""
        return [kind for kind in self.kinds if shard_kind(kind).fed]

    def image_size(self, source):
        """Give the `(height, width)` of the image of a source, as it is read.

        Origins and labels are in these pixels.
        """
        size = self.files[source.name].header[:2]
        return resized_size(size, as_resize(self.parameters.get("resize")))

    @property
    def num_patches(self):
        """Number of patches of all sources."""
        return sum(len(source.origins) for source in self.sources)

    @property
    def shards(self):
        """List of all `ShardRecord`."""
        return [
            shard for source in self.sources for shard in source.shards.values()
        ]

    @property
    def file_name(self):
        """Name of the file; it hashes what decides the patches.

        Labels of two files are two caches, and those of a file that has
        changed take the place of what they were.
        """
        key = digest(
            [self.task, self.patch_size, self.parameters, self.label_path]
        )
        height, width = self.patch_size
        return f"{self.task}-{height}x{width}-{key[:12]}.json"


def facts_of(sources, name):
    """Join what the shards of some sources tell of each patch.

    Args:
        sources: List of `Source` with `ShardRecord`s.
        name: Name of the fact.

    Returns:
        Array, patches first; `None` where no shard tells it.
    """
    facts = [
        shard.facts[name]
        for source in sources
        for shard in source.shards.values()
        if name in shard.facts and source.origins
    ]
    return np.concatenate(facts) if facts else None
