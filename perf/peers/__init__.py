"""Ours beside the peers: the same work, in the same rounds."""
