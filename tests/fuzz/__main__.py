"""``python tests/fuzz``: fuzz targets, run saved inputs again, choose the inputs that are worth
saving, and do it all under sanitizers."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fuzzing import corpora, guided, sanitizers, selection, worker
from fuzzing.campaign import Campaign
from fuzzing.execution import Execution
from fuzzing.worlds import TWINS, load, target_names


def _twins(text: str) -> Sequence[str]:
    return TWINS if text == "both" else (text,)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    twin = argparse.ArgumentParser(add_help=False)
    twin.add_argument("--twin", choices=[*TWINS, "both"], default="both", help="side of the kernels")
    chance = argparse.ArgumentParser(add_help=False)
    chance.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="of the random changes")
    chance.add_argument("--unguided", action="store_true", help="do without atheris and coverage")

    run = commands.add_parser("run", parents=[twin, chance], help="fuzz targets, each for a time")
    run.add_argument("names", nargs="*", metavar="TARGET", help=f"{', '.join(target_names())}; all if none is named")
    run.add_argument("--minutes", type=float, default=10.0, help="of CPU time for each target")
    run.add_argument("--jobs", type=int, default=2, help="targets at a time")

    sanitize = commands.add_parser("sanitize", help="test and fuzz the kernels under AddressSanitizer and UBSan")
    sanitize.add_argument("names", nargs="*", metavar="TARGET", help=", ".join(sanitizers.KERNEL_TARGETS))
    sanitize.add_argument("--minutes", type=float, default=1.0, help="of CPU time for each target")
    sanitize.add_argument("--jobs", type=int, default=2, help="targets at a time")

    work = commands.add_parser("worker", parents=[twin, chance], help="fuzz one target in this process")
    work.add_argument("name", choices=target_names())
    work.add_argument("--cpu-seconds", type=float, required=True)

    replay = commands.add_parser("replay", parents=[twin], help="run inputs again, and print what the target saw")
    replay.add_argument("name", choices=target_names())
    replay.add_argument("paths", nargs="+", type=Path)

    select = commands.add_parser("select", help="save the inputs of past runs that reach different code")
    select.add_argument("names", nargs="*", metavar="TARGET")
    select.add_argument("--max-bytes", type=int, default=6000, help="of all saved inputs of a target")
    return parser


def _run(options: argparse.Namespace) -> int:
    names = options.names or target_names()
    unknown = set(names) - set(target_names())
    if unknown:
        raise SystemExit(f"no such target: {', '.join(sorted(unknown))}")
    is_guided = guided.is_available() and not options.unguided and "python" in _twins(options.twin)
    print(f"seed {options.seed}, {'guided by coverage' if is_guided else 'changes at random'}", flush=True)
    campaign = Campaign(
        twins=_twins(options.twin), cpu_seconds=options.minutes * 60, seed=options.seed, is_guided=is_guided
    )
    results = campaign.run(names, jobs=options.jobs)
    return 1 if any(result.finding for result in results) else 0


def _replay(options: argparse.Namespace) -> int:
    twins = sorted(_twins(options.twin), reverse=True)
    execution = Execution([load(options.name, twin) for twin in twins])
    for path in options.paths:
        print(f"{path}:")
        for item in execution(path.read_bytes()):
            print(f"    {item!r}"[:200])
    return 0


def main() -> int:
    """Do what the command line says."""
    options = _arguments().parse_args()
    match options.command:
        case "run":
            return _run(options)
        case "sanitize":
            names = options.names or sanitizers.KERNEL_TARGETS
            return sanitizers.run(names, minutes=options.minutes, jobs=options.jobs)
        case "replay":
            return _replay(options)
        case "select":
            for name in options.names or target_names():
                chosen = selection.choose(name, max_bytes=options.max_bytes)
                corpora.write_saved(name, chosen)
                print(f"{name}: {len(chosen)} inputs, {sum(map(len, chosen))} bytes")
            return 0
        case _:
            worker.main(
                options.name,
                _twins(options.twin),
                cpu_seconds=options.cpu_seconds,
                seed=options.seed,
                is_guided=guided.is_available() and not options.unguided,
            )
            return 0


if __name__ == "__main__":
    sys.exit(main())
