"""What strangers cost a server: see `python -m perf.listener`."""
