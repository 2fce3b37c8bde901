"""How the devices of a distribution share what is computed, on jax."""

import dataclasses
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class SharedBatch:
    """Devices that share a batch: each computes some examples, by itself.

    Attributes:
        devices: Mesh of jax, with the devices of this process.
        axis: Name of the axis of the mesh that is shared along.
    """

    devices: Any
    axis: str

    @property
    def count(self):
        """How many there are: what batches are multiples of."""
        return self.devices.shape[self.axis]

    def spread(self, function):
        """Let each device run a function on its share.

        Args:
            function: Takes the weights, which all devices have, and a tuple of
                arguments with a first axis of examples, as all it returns.
        """
        import jax

        whole, shared = self._specs()
        return jax.shard_map(
            function,
            mesh=self.devices,
            in_specs=(whole, shared),
            out_specs=shared,
            check_vma=False,
        )

    def place(self, values, arguments):
        """Bring weights and arguments to the devices."""
        import jax

        whole, shared = map(self._on_devices, self._specs())
        # Of weights that several processes have, each takes its own.
        values = [
            value if value.is_fully_addressable else value.addressable_data(0)
            for value in values
        ]
        return jax.device_put((values, arguments), (whole, shared))

    def _specs(self):
        """Return how to share nothing, and the first axis."""
        from jax.sharding import PartitionSpec

        return PartitionSpec(), PartitionSpec(self.axis)

    def _on_devices(self, spec):
        from jax.sharding import NamedSharding

        return NamedSharding(self.devices, spec)


def find_sharing():
    """Find what shares a batch, by the distribution that this thread has set.

    Returns:
        `SharedBatch`; `None` where there is nothing to share.
    """
    distribution = keras.distribution.distribution()
    if keras.backend.backend() != "jax" or not isinstance(
        distribution, keras.distribution.DataParallel
    ):
        return None
    devices = distribution.get_data_layout((None,)).backend_layout.mesh
    if devices.size == 1:
        return None
    return SharedBatch(devices.local_mesh, distribution.batch_dim_name)


def count_devices(sharing):
    """Count the devices that share; one where there is no sharing."""
    return 1 if sharing is None else sharing.count
