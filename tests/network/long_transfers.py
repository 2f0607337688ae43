"""The long runs that `make test` has no time for: ``make lossy``, or this program with PYTHONPATH=tests/support.

    lossy --mib 64 --seeds 20     both ways at once over a bad network, in virtual time

Prints a line for each run; ends with 1 when anything arrived changed, or not at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

from engine_pair import EnginePair
from network import BAD, Network
from transfer import Transfer

from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert

MIB = 1 << 20

SECONDS_PER_MIB = 60.0
"""Virtual seconds that each MiB may take: some five times what it does."""


def lossy(certificate: tuple[str, str], *, mib: int, seed: int) -> str:
    """Move so much each way with one seed, and say how it went.

    Raises:
        AssertionError: something arrived changed, or not in time.
    """
    network = Network(seed=seed, **BAD)
    pair = EnginePair(certificate, network=network)
    transfer = Transfer(pair, size=mib * MIB, seed=seed)
    began = time.process_time()
    transfer.begin(*pair.connect_in())
    transfer.run(seconds=mib * SECONDS_PER_MIB)
    return (
        f"{transfer.digest} {pair.now:9.1f} {time.process_time() - began:8.1f}"
        f" {pair.packets['client']:9} {pair.packets['server']:9}"
    )


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["lossy"])
    parser.add_argument("--mib", type=int, default=64, help="MiB each way")
    parser.add_argument("--seeds", type=int, default=20, help="how many runs")
    parser.add_argument("--first-seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{given.mib} MiB each way; {BAD}; kernels: {BACKEND}")
    print("seed  hash of what arrived              virtual s    CPU s   packets of client and server")
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            try:
                outcome = lossy(certificate, mib=given.mib, seed=seed)
            except AssertionError as error:
                failed += 1
                outcome = f"FAILED: {error}"
            print(f"{seed:4}  {outcome}", flush=True)
    print(f"{given.seeds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
