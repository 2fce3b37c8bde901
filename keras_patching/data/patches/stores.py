"""How pixels of images, and labels of their size, are kept: in tiles, or whole.

Both stores hold the same pixels, and feed the same patches.
"""

import dataclasses
import functools

from keras_patching._disk_space import describe_bytes
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.cache.shard_kinds import PICTURES, shard_kind
from keras_patching.data.cache.shards import npy_bytes
from keras_patching.data.cache.strips import (
    as_image,
    as_strips,
    strip_pieces,
    strips_shape,
)
from keras_patching.data.images.channels import number_of
from keras_patching.data.patches.tiling import cut_patches, cut_pieces
from keras_patching.geometry import PatchGrid

STORES = ("patches", "images")


def check_store(store):
    """Refuse what is no store; give it.

    Raises:
        ValueError: If it is not one of `STORES`.
    """
    if store not in STORES:
        raise ValueError(
            f"`store` must be one of {STORES}. Received: store={store!r}"
        )
    return store


@dataclasses.dataclass(frozen=True)
class PixelShards:
    """Makes shards of the pixels of an image, or of labels of its size.

    Attributes:
        grid: `PatchGrid` of its tiles, without overlap.
        store: One of `STORES`.
    """

    grid: PatchGrid
    store: str = "patches"

    def plan(
        self,
        kind,
        dtype,
        content,
        make,
        *,
        pixel_shape=(),
        path=None,
        facts=None,
        pad_value=0,
        pad_mode="constant",
    ):
        """Plan a shard.

        Args:
            kind: Kind of its tiles: "images", "masks", "heatmaps".
            dtype: Dtype of its pixels.
            content: JSON-able list of what decides them.
            make: Picklable function that gives all of them, `(height, width,
                *pixel_shape)`; it takes what `ShardPlan.make` does.
            pixel_shape: Shape of a pixel.
            path, facts: As for `ShardPlan`; `facts` takes tiles.
            pad_value: Value of the pixels of tiles beyond the image.
            pad_mode: Or how they are copied, one of `PAD_MODES`.

        Returns:
            A `ShardPlan` of this kind, or of whole ones of it.
        """
        padding = pad_value, pad_mode
        if self.store == "images":
            return plan_whole(
                f"whole_{kind}",
                self.grid.image_size,
                dtype,
                # Facts are of tiles, so they are not those of other sizes.
                [*content, self.grid.patch_size] if facts else content,
                make,
                pixel_shape,
                path,
                facts
                and functools.partial(
                    _facts_of_tiles,
                    facts=facts,
                    grid=self.grid,
                    padding=padding,
                ),
            )
        return ShardPlan(
            kind=kind,
            shape=(self.grid.num_patches, *self.grid.patch_size, *pixel_shape),
            dtype=dtype,
            parameters=[
                self.grid.patch_size,
                *content,
                *([pad_mode] if pad_mode != "constant" else []),
            ],
            path=path,
            make=functools.partial(
                _make_tiles,
                make=make,
                grid=self.grid,
                padding=padding,
                cut=cut_patches if facts else cut_pieces,
            ),
            facts=facts,
        )


def plan_whole(
    kind,
    image_size,
    dtype,
    content,
    make,
    pixel_shape=(),
    path=None,
    facts=None,
):
    """Plan a shard of what is kept whole.

    Args:
        kind: Kind of it: "whole_images", "whole_masks".
        image_size: `(height, width)` in pixels.
        dtype, content, make, pixel_shape, path: As for `PixelShards.plan`.
        facts: As for `ShardPlan`.
    """
    shape = strips_shape(image_size, *pixel_shape)
    return ShardPlan(
        kind=kind,
        shape=(1, *shape),
        dtype=dtype,
        parameters=[*content, shape],
        path=path,
        make=functools.partial(
            _make_strips, make=make, at_once=facts is not None
        ),
        facts=facts,
    )


def plan_whole_image(path, header, pixels):
    """Plan the shard of an image that is kept whole.

    Args:
        path: `pathlib.Path` of the image.
        header: Its `ImageHeader`, of the image as it is read.
        pixels: `PixelOptions`.
    """
    return plan_whole(
        "whole_images",
        header.size,
        pixels.dtype(header.dtype),
        pixels.content(header.size),
        functools.partial(pixels.decode, path=path),
        (number_of(pixels.channels, header.channels),),
        path,
    )


def plan_image_shard(path, header, grid, pixels):
    """Plan the shard of the image of a task whose patches are tiles.

    Args:
        path, header, pixels: As for `plan_whole_image`.
        grid: `PatchGrid` of the image, without overlap.

    Returns:
        A `ShardPlan` of kind "images", or "whole_images".
    """
    return PixelShards(grid, pixels.store).plan(
        "images",
        pixels.dtype(header.dtype),
        pixels.content(header.size),
        functools.partial(pixels.decode, path=path),
        pixel_shape=(number_of(pixels.channels, header.channels),),
        path=path,
        pad_value=pixels.value_range[0],
        pad_mode=pixels.pad_mode,
    )


def describe_stores(sources, sizes, patch_size):
    """Say what pixels and labels of their size take with each store.

    Args:
        sources: List of `Source` that are planned.
        sizes: Dict from the name of each to its `(height, width)`.
        patch_size: `(height, width)` in pixels.
    """
    taken = dict.fromkeys(STORES, 0)
    for source in sources:
        for plan in source.shards.values():
            kind = shard_kind(plan.kind)
            if kind.drawn not in PICTURES:
                continue
            pixel_shape = plan.shape[4 if kind.per_image else 3 :]
            shapes = {
                "patches": (len(source.origins), *patch_size, *pixel_shape),
                "images": (1, *strips_shape(sizes[source.name], *pixel_shape)),
            }
            for store, shape in shapes.items():
                taken[store] += npy_bytes(shape, plan.dtype)
    told = {store: describe_bytes(size) for store, size in taken.items()}
    return (
        f"All patches take {told['patches']} on disk with "
        f'store="patches", and {told["images"]} with store="images".'
    )


def _make_tiles(*data, make, grid, padding, cut):
    return cut(make(*data), grid.origins, grid.patch_size, *padding)


def _make_strips(*data, make, at_once):
    image = make(*data)
    if at_once:
        return as_strips(image)[None]
    strips = strip_pieces(image)
    return dataclasses.replace(strips, shape=(1, *strips.shape))


def _facts_of_tiles(strips, facts, grid, padding):
    image = as_image(strips[0], grid.image_size[1])
    return facts(cut_patches(image, grid.origins, grid.patch_size, *padding))
