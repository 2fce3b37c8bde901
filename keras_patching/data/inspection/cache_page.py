"""A page to look at what a patch cache holds: patches, and their labels."""

from keras_patching._whole_files import whole_file
from keras_patching.data.inspection.cache_labels import labels_of
from keras_patching.data.inspection.report import facts_of
from keras_patching.data.inspection.shown_patches import ShownPatches
from keras_patching.visualization.pages.page import Column, ImageRow, Page


def write_cache_pages(path, caches):
    """Write a page of each of some caches.

    Args:
        path: `pathlib.Path` of the page; where there are several, the names of
            their manifests are added.
        caches: List of `CacheContents`.

    Returns:
        List of the paths.

    Raises:
        OutputError: If one cannot be written.
    """
    paths = [path]
    if len(caches) > 1:
        paths = [
            path.with_name(f"{path.stem}_{cache.manifest_path.stem}.html")
            for cache in caches
        ]
    for each, cache in zip(paths, caches, strict=True):
        text = cache_page(cache)
        with whole_file(each) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def cache_page(contents, num_patches=96):
    """Show patches of a cache, with labels that are switched on and off.

    Args:
        contents: A `CacheContents`.
        num_patches: Number of patches, picked as for the contact sheet.

    Returns:
        The page, HTML that needs no other file.

    Example:

    >>> from keras_patching.data.inspection.contents import CacheContents
    >>> page = cache_page(CacheContents("field/images_patches"))
    >>> "field_0_0000_y0000_x0000" in page
    True
    """
    shown = ShownPatches(contents, num_patches)
    labels = labels_of(contents)
    stages = [Column("Stage")] if len(set(contents.stages)) > 1 else []
    return Page(
        title=f"Patches of {contents.manifest_path.name}",
        facts={
            "folder": str(contents.manifest_path.parent),
            **facts_of(contents),
        },
        notes=[],
        tables=labels.tables,
        heading=f"{len(shown.indices):,} of {len(contents.names):,} patches, "
        "those with rare labels among them",
        columns=[*stages, *labels.columns],
        kinds=labels.kinds,
        rows=[
            _row(contents, labels, shown, place, bool(stages))
            for place in range(len(shown.indices))
        ],
    ).html()


def _row(contents, labels, shown, place, has_stages):
    index = shown.indices[place]
    stages = [contents.stages[index]] if has_stages else []

    def draw():
        layers = labels.layers(shown.patches[place], shown)
        return shown.pictures[place], layers

    return ImageRow(
        name=contents.names[index],
        values=[*stages, *labels.values(index)],
        draw=draw,
        size=contents.manifest.patch_size,
    )
