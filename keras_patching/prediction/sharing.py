"""How the devices of a distribution share what is computed, on jax."""

import dataclasses
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class _Sharing:
    """Devices that share what is computed.

    Attributes:
        devices: Mesh of jax, with the devices of this process.
        axis: Name of the axis of the mesh that is shared along.
    """

    devices: Any
    axis: str

    @property
    def count(self):
        """How many devices there are."""
        return self.devices.shape[self.axis]

    def _place(self, values, arguments, shared):
        import jax

        # Of weights that several processes have, each takes its own.
        values = [
            value if value.is_fully_addressable else value.addressable_data(0)
            for value in values
        ]
        return jax.device_put((values, arguments), (self._along(), shared))

    def _along(self, *axes):
        from jax.sharding import NamedSharding, PartitionSpec

        return NamedSharding(self.devices, PartitionSpec(*axes))


class SharedBatch(_Sharing):
    """Devices that share a batch: each computes some examples, by itself."""

    def spread(self, function):
        """Let each device run a function on its share.

        Args:
            function: Takes the weights, which all devices have, and a tuple of
                arguments with a first axis of examples, as all it returns.
        """
        import jax

        shared = self._along(self.axis).spec
        return jax.shard_map(
            function,
            mesh=self.devices,
            in_specs=(self._along().spec, shared),
            out_specs=shared,
            check_vma=False,
        )

    def place(self, values, arguments):
        """Bring weights and arguments to the devices."""
        return self._place(values, arguments, self._along(self.axis))


class SharedRows(_Sharing):
    """Devices that share the rows of an image.

    The compiler (XLA) lets each compute a part of every tensor, and exchanges
    the rows that layers look at beyond it.
    """

    def spread(self, function):
        """Let devices run a function together.

        Args:
            function: Takes the weights, which all devices have, and a tuple of
                images `(batch, height, ...)`, of which it returns some.
        """
        import jax

        rows = self._along(None, self.axis)

        def run(values, images):
            images = jax.lax.with_sharding_constraint(images, rows)
            outputs = function(values, images)
            return jax.lax.with_sharding_constraint(outputs, rows)

        return run

    def place(self, values, images):
        """Bring weights and images to the devices."""
        # What cannot be shared evenly may be in a graph, but not before it.
        is_even = all(image.shape[1] % self.count == 0 for image in images)
        axes = (None, self.axis) if is_even else ()
        return self._place(values, images, self._along(*axes))


def find_sharing(split=None):
    """Find what shares the work, by the distribution that this thread has set.

    Args:
        split: `"rows"` for one image at a time, whose rows are shared.

    Returns:
        `SharedBatch` or `SharedRows`; `None` where there is nothing to share.

    Raises:
        ValueError: If there is nothing to share rows by.
    """
    if split not in (None, "rows"):
        raise ValueError(
            f"`split` must be None or 'rows'. Received: split={split!r}"
        )
    distribution = keras.distribution.distribution()
    is_parallel = isinstance(distribution, keras.distribution.DataParallel)
    if keras.backend.backend() == "jax" and is_parallel:
        devices = distribution.get_data_layout((None,)).backend_layout.mesh
        if devices.size > 1:
            kind = SharedRows if split else SharedBatch
            return kind(devices.local_mesh, distribution.batch_dim_name)
    if split is None:
        return None
    raise ValueError(
        "split='rows' shares the rows of an image among several devices, on "
        "jax, and needs to know which: call `keras.distribution."
        "set_distribution(keras.distribution.DataParallel())` before. "
        f"Received: distribution={distribution}, on "
        f"{keras.backend.backend()}"
    )


def count_devices(sharing):
    """Count the devices that share; one where there is no sharing."""
    return 1 if sharing is None else sharing.count
