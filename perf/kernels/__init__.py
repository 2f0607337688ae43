"""Benchmarks of the kernels, both twins side by side: ``python -m perf.kernels``."""
