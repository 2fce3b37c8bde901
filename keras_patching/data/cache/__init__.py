"""The patch cache: manifests, shards, what builds, opens, cleans them."""
