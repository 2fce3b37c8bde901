"""The part of a `PatchedModel` that predicts images of any sizes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from keras_patching._signatures import suggesting
from keras_patching.models.image_transforms import Both, Doubt, ImageTransform
from keras_patching.models.predicting_images import ImagePrediction


class ImagePredictor:
    """Predicts images of any sizes, one after the other.

    It is a base of `PatchedModel`, which has the `predictor`, its compiled
    functions (`_engines`) and the checks; tasks say what they make of images.

    Attributes:
        skipped_share: As in `PatchedModel`.
    """

    skipped_share: float | None = None

    def predict_images(
        self,
        sources: Iterable[Any],
        *,
        transform: Callable | str | None = None,
        out: Any = None,
        batch_size: int | None = None,
        device_memory: int | None = None,
        keep: Any = None,
        fill: float = 0,
        shard: tuple[int, int] | None = None,
        split: Literal["rows"] | None = None,
        resume: bool = True,
        overwrite: bool = False,
        verbose: bool = True,
    ) -> Iterator[Any] | list[Any]:
        """Predict images of any sizes, one after the other.

        Images go through one compiled function of few shapes, whatever their
        sizes: bands of rows where the patch model can be streamed (with
        `overlap="auto"`), else full batches of patches of several images. They
        are read while others are computed and written, and only as far as is
        computed: memory holds a few bands of an image, and its result.

        Some images are read and computed before they are asked for: leave
        model and images as they are until all results are there, or some
        would be of the weights before, some of those after.

        On jax, under `keras.distribution.DataParallel`, the devices of this
        process share what is computed: each has lanes of rows, or patches, of
        its own.

        Args:
            sources: Iterable of images `(height, width, channels)`: arrays,
                paths of files, or whatever has a shape, a dtype and slices
                (memory maps, zarr arrays, h5py data sets, rasterio data sets);
                or one folder of image files. A model with `normalize` or
                `resize` does so to all but arrays and tensors in memory, which
                are as `model.read_image` or `prepare_image` gives them; what
                is made of resized pixels is, for each pixel of the file, that
                of the nearest. Of a list, sizes are looked at before, which
                saves compilations.
            transform: Function of what the patch model returns for a part of
                an image, `(batch, height, width, channels)`, that changes
                channels only, pixel by pixel. It is compiled, and what it
                returns is what leaves the device.
            out: What results are written into, instead of the memory: a path
                with `{name}` in it, which stands for the name of an image,
                such as `"results/{name}.npy"`; or a list with a path or an
                array for each. Files are `.npy`, `.tif`,
                `.zarr`, or `.ome.tif` and `.ome.zarr`, which have levels for
                viewers and the size of pixels.
            batch_size: Images side by side where rows are streamed (on jax,
                elsewhere it is 1), else patches; `None` for as many as suit
                the device, or the `patch_batch_size` of the model. It is
                rounded up to a multiple of the devices that share it.
            device_memory: Bytes that a device may hold at once of what the
                layers make, and the rows that they keep: fewer images are
                computed side by side then, and fewer rows of them, or fewer
                patches. It is estimated, and does not count weights, nor what
                libraries need while they convolve: stay a third below what is
                free. `None` for what suits the device.
            keep: Where images hold something; places where they do not are
                not computed. A list with one for each image, or for all of
                them a function or `"content"`. A mask `(height, width)` of
                any resolution is scaled to the image, a pixel of it standing
                for what it covers; what is not 0 is kept. A function takes
                rows of pixels `(rows, width, channels)` as they are read and
                returns booleans `(rows, width)`, or one for all. `"content"`
                keeps a place unless all of its pixels are of one value, as
                those of padding are. A place is a patch; where rows are
                streamed it is 64 rows of full width, counted from the top (or
                the next multiple of the stride). All of a place is computed
                that holds a kept pixel, and what is kept comes out as without
                `keep`. Outputs that are not stitched are computed everywhere,
                but objects are looked for in kept patches only.
            fill: What pixels hold that belong to places with nothing in them,
                and those that have no data: where a TIFF or a rasterio data
                set says so by a value, a mask or alpha. A net sees these
                black. Of georeferenced images `.tif` results are GeoTIFFs
                that lie where these do (`pip install "keras-patching[geo]"`),
                and have no data where these have none.
            shard: `(index, count)`: predicts only the share of one of several
                processes, every `count`-th image from that of `index` on.
            split: `"rows"` runs each image whole, its rows shared by the
                devices (jax, `DataParallel`), for patch models that look at
                the whole image, as GroupNormalization does, and images that
                one device has no room for. They are padded to what the stride
                of the patch model and `multiple_of` divide, and each size is
                compiled. All layers are shared where the devices divide the
                height at each scale of the patch model; else some may be
                computed by all.
            resume: Whether to go on from what a call that was killed, of the
                same model, image and named `transform`, has written to `out`.
                (With a function as `keep` nothing is gone on from.)
            overwrite: Whether to write over files that are there.
            verbose: Whether to show the progress, and with `keep` how much was
                not computed; afterwards `skipped_share` of the model is that
                share of all pixels, from 0 to 1.

        Returns:
            Iterator that gives for each image, in their order, what `predict`
            returns for it alone, without the batch axis. With `out`, when all
            are written, a list of the paths or arrays.

        Raises:
            ValueError: If arguments are not as above; or if an image cannot be
                read or predicted, or needs more than `device_memory`, when its
                turn comes (those after it are lost then), with `out` when all
                others are written.

        Example:

        >>> model = keras_patching.PatchedModel(
        ...     patch_model, patch_size=64, overlap="auto"
        ... )
        >>> images = [np.zeros((90, 70, 3)), np.zeros((50, 120, 3))]
        >>> found = model.predict_images(images, verbose=False)
        >>> [each.shape for each in found]
        [(90, 70, 2), (50, 120, 2)]
        >>> files = model.predict_images(
        ...     images, out="found/{name}.npy", verbose=False
        ... )
        >>> [str(file) for file in files]
        ['found/image_0.npy', 'found/image_1.npy']
        """
        return self._predict_images(
            sources,
            self._image_transform(transform),
            out=out,
            batch_size=batch_size,
            device_memory=device_memory,
            keep=keep,
            fill=fill,
            shard=shard,
            split=split,
            resume=resume,
            overwrite=overwrite,
            verbose=verbose,
        )

    def _predict_images(
        self,
        sources,
        transform,
        out=None,
        resume=True,
        overwrite=False,
        **options,
    ):
        """Predict images with an `ImageTransform`; see `predict_images`."""
        _check_options(options)
        with suggesting(self.predict_images, options):
            prediction = ImagePrediction(self, sources, transform, **options)
        if out is not None:
            return prediction.write(out, resume, overwrite)
        return _values(prediction.run())

    def _image_transform(self, transform):
        """Return the `ImageTransform` that is meant.

        Raises:
            ValueError: If there is none.
        """
        if transform is None:
            return ImageTransform(self._finish_outputs, name="")
        if callable(transform):
            return ImageTransform(Both(self._finish_outputs, transform))
        names = ", ".join(map(repr, self._image_transforms)) or "none"
        if transform not in self._image_transforms:
            raise ValueError(
                "`transform` must be None, a function of what the patch model "
                f"returns, or of the names: {names}. Received: "
                f"transform={transform!r}"
            )
        return self._image_transforms[transform]

    @property
    def _image_transforms(self):
        """What a `transform` may be called, by its name."""
        return {}

    @property
    def _doubt_transform(self):
        """The `ImageTransform` that tells how much predictions differ."""
        return ImageTransform(
            Doubt(self._finish_outputs),
            name="doubt",
            method="linear",
            is_doubt=True,
        )

    def _finish_outputs(self, outputs):
        """Make what the model returns of what its patch model does."""
        return outputs


def _values(outcomes):
    """Yield the values of outcomes, and raise what went wrong."""
    for value, error in outcomes:
        if error is not None:
            raise error
        yield value


def _check_options(options):
    """Refuse what chooses a level of a file, which opening it takes.

    Raises:
        TypeError: With what opens it so.
    """
    for name in ("level", "pixel_size", "series"):
        if name in options:
            chosen = f"{name}={options[name]!r}"
            raise TypeError(
                f"`{name}` is of one file, not of all: pass the image that "
                f"`keras_patching.data.open_image(path, {chosen})` opens. "
                f"Received: {chosen}"
            )
