"""Feeding a model from a cache: sequences, what an epoch sees, splits.

Begin at `patching_sequence`; `readers` reads shards, `epoch_sampler` draws the
patches of an epoch, `batch_augmentation` changes them.
"""
