"""Benchmarks of the engine without sockets: two ends joined in memory."""
