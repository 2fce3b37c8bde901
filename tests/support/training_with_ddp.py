"""Trains in one of some processes with torch's `DistributedDataParallel`."""

import sys

import keras
import numpy as np
import torch
from training_a_share import make_model

import keras_patching as kp


def train(sequence, module):
    """An own loop over two epochs.

    Returns:
        The weights, and the numbers of the patches that were seen.
    """
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    seen = []
    for _ in range(2):
        sequence.on_epoch_begin()
        for images, masks in sequence:
            optimizer.zero_grad()
            found = module(torch.as_tensor(images, dtype=torch.float32))
            wanted = torch.as_tensor(masks[..., None], dtype=torch.float32)
            torch.nn.functional.mse_loss(found, wanted).backward()
            optimizer.step()
            seen.extend(masks[:, 0, 0].tolist())
        sequence.on_epoch_end()
    weights = [each.detach().numpy() for each in module.parameters()]
    return weights, seen


def main(number, processes, address, manifest, out):
    number, processes = int(number), int(processes)
    torch.distributed.init_process_group(
        "gloo", address, rank=number, world_size=processes
    )
    sequence = kp.PatchingSequence(manifest, 8, seed=0, augment=True)
    net = make_model().patch_model
    module = torch.nn.parallel.DistributedDataParallel(net)
    weights, seen = train(sequence.shard(number, processes), module)
    np.savez(f"{out}/{number}.npz", *weights, seen=seen)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main(*sys.argv[1:])
