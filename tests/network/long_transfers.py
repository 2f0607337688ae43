"""The long runs that `make test` has no time for, both ways at once: ``make lossy`` and ``make migration``.

    lossy --mib 64 --seeds 20       over a bad network, in virtual time
    migration --mib 64 --seeds 1    on loopback, with a client whose address changes five times

Prints a line for each run; ends with 1 when anything arrived changed, or not at all.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass

from engine_pair import EnginePair
from handle_pair import session_pair
from moving import transfer_with_changes
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


@dataclass(frozen=True)
class _Files:
    certfile: str
    keyfile: str


def migration(certificate: tuple[str, str], *, mib: int, seed: int) -> str:
    """Move so much each way while the client's address changes five times, and say how it went.

    Raises:
        AssertionError: something arrived changed, or the server did not follow.
    """

    async def run() -> None:
        async with session_pair(_Files(*certificate), network={"seed": seed}) as pair:
            await transfer_with_changes(pair, size=mib * MIB, changes=5)

    began, cpu = time.monotonic(), time.process_time()
    asyncio.run(run())
    return f"{time.monotonic() - began:8.1f} {time.process_time() - cpu:8.1f}"


RUNS = {
    "lossy": (lossy, 20, "hash of what arrived              virtual s    CPU s   packets of client and server"),
    "migration": (migration, 1, " seconds   CPU s, of both ends and what is between"),
}


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--mib", type=int, default=64, help="MiB each way")
    parser.add_argument("--seeds", type=int, help="how many runs")
    parser.add_argument("--first-seed", type=int, default=1)
    given = parser.parse_args()
    run, runs, columns = RUNS[given.what]
    runs = given.seeds or runs
    print(f"{given.mib} MiB each way; {BAD if run is lossy else 'five changes'}; kernels: {BACKEND}")
    print(f"seed  {columns}")
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for seed in range(given.first_seed, given.first_seed + runs):
            try:
                outcome = run(certificate, mib=given.mib, seed=seed)
            except (AssertionError, TimeoutError) as error:
                failed += 1
                outcome = f"FAILED: {error}"
            print(f"{seed:4}  {outcome}", flush=True)
    print(f"{runs - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
