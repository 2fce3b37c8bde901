"""The patch cache: manifests, shards, what builds, opens, cleans them.

A new kind of shard is an entry of `shard_kinds`. `patch_cache` builds,
`opening` finds and checks, `cleaning` removes; `records` says what a manifest
holds.
"""
