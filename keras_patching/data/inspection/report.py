"""What a patch cache holds, in lines of text."""

import collections
import json

import numpy as np

from keras_patching.data.cache.shard_kinds import key_of, shard_kind
from keras_patching.data.feeding.foreground import HAS_OBJECTS


def describe(contents):
    """Say in lines of text what a patch cache holds.

    Args:
        contents: Its `CacheContents`.

    Example:

    >>> from keras_patching.data.inspection.contents import CacheContents
    >>> print(describe(CacheContents("field/images_patches")))
    field/images_patches/segmentation-128x128-....json
      task          segmentation
      patch size    128 x 128
    ...
    """
    manifest, facts = contents.manifest, facts_of(contents)
    longest = max(map(len, facts))
    lines = [f"  {name:<{longest + 2}}{facts[name]}" for name in facts]
    if contents.class_pixels is not None:
        table = _pixel_table(
            contents.class_pixels, contents.image_pixels, manifest.class_names
        )
        lines += ["", *table]
    if "boxes" in manifest.kinds:
        names = manifest.parameters["class_names"]
        table = _box_table(names, contents.class_objects, contents.class_boxes)
        lines += ["", *table]
    return "\n".join([str(contents.manifest_path), *lines])


def facts_of(contents):
    """Give what there is to say of a cache as a whole, a dict of texts."""
    manifest = contents.manifest
    height, width = manifest.patch_size
    facts = {
        "task": manifest.task,
        "patch size": f"{height} x {width}",
        **_describe_parameters(manifest),
        **_describe_ids(manifest),
        "labels": _describe_labels(manifest),
        "images": f"{len(manifest.sources):,}",
        "patches": (
            f"{manifest.num_patches:,}{_describe_stages(contents.stages)}"
        ),
        "on disk": f"{sum(contents.shard_bytes.values()):,} bytes",
        "padding": _describe_padding(contents),
    }
    if contents.objects is not None:
        facts.update(
            _describe_objects(contents.objects, contents.class_objects)
        )
    return facts


def describe_disk_use(caches):
    """Say what caches of one folder take together, shared shards once."""
    shards = {}
    for cache in caches:
        shards.update(cache.shard_bytes)
    return (
        f"{len(caches)} caches, {sum(shards.values()):,} bytes on disk; shards "
        "that they share are counted once."
    )


def _describe_padding(contents):
    padded = 1 - contents.image_pixels.mean() / np.prod(
        contents.manifest.patch_size
    )
    counted = "" if contents.class_pixels is None else ", not counted below"
    return f"{padded:.1%} of the pixels{counted}"


def _describe_parameters(manifest):
    """Give the parameters; names of classes have a table of their own."""
    return {
        name: json.dumps(value)
        for name, value in manifest.parameters.items()
        if name != "class_names"
    }


def _describe_ids(manifest):
    """Tell which values of mask files are which classes, if not the same."""
    if manifest.class_ids is None:
        return {}
    pairs = manifest.class_ids.items()
    return {"class_ids": ", ".join(f"{value}: {each}" for value, each in pairs)}


def _describe_labels(manifest):
    kinds = [
        key_of(kind)
        for kind in manifest.kinds
        if shard_kind(kind).drawn not in (None, "image")
    ]
    kinds, path = ", ".join(kinds), manifest.label_path
    return (f"{kinds} from {path}" if path else kinds) or "none"


def _describe_stages(stages):
    counts = collections.Counter(stages)
    if len(counts) == 1:
        return ""
    told = ", ".join(f"{stage} {count:,}" for stage, count in counts.items())
    return f" ({told})"


def _describe_objects(objects, class_objects):
    """Tell of objects in patches; of boxes also in images."""
    empty = (objects < HAS_OBJECTS).sum()
    total = _rounded(objects.sum())
    if class_objects is not None:
        total = f"{class_objects.sum():,}, which are {total} in patches"
    return {
        "objects": total,
        "per patch": f"{_rounded(objects.min())} to "
        f"{_rounded(objects.max())}, {objects.mean():.4g} on average",
        "empty patches": f"{empty:,} ({empty / len(objects):.1%})",
    }


def _rounded(number):
    return f"{number:,}" if isinstance(number, np.integer) else f"{number:,.2f}"


def _pixel_table(pixels, image_pixels, names):
    names = names or map(str, range(pixels.shape[1]))
    columns = dict(zip(names, pixels.T, strict=True))
    unlabelled = image_pixels - pixels.sum(axis=1)
    if unlabelled.any():
        columns["unlabelled"] = unlabelled
    wide = max(14, *(len(name) + 2 for name in columns))
    head = f"{'pixels':>16}{'fraction':>12}{'in patches':>12}"
    yield f"  {'class':<{wide}}{head}"
    for name, counts in columns.items():
        fraction = counts.sum() / image_pixels.sum()
        yield (
            f"  {name:<{wide}}{counts.sum():>16,}{fraction:>12.6f}"
            f"{(counts > 0).sum():>12,}"
        )


def _box_table(names, objects, boxes):
    wide = max(14, *(len(name) + 2 for name in names))
    yield f"  {'class':<{wide}}{'objects':>12}{'boxes':>12}{'in patches':>12}"
    for name, count, per_patch in zip(names, objects, boxes.T, strict=True):
        yield (
            f"  {name:<{wide}}{count:>12,}{per_patch.sum():>12,}"
            f"{(per_patch > 0).sum():>12,}"
        )
