"""Does the method hold on this machine? One backend races itself several times.

    python -m benchmarks.studies.speed_claims.against_itself --backend hf_torch

Both participants are the same, so a race that names a winner is wrong, which may happen in 1 of 20.
Exit code 1 if it happens in more than a tenth of the races. Every race is a run of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness.data.tasks import task_names
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Excluded, Ready
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan, command_line
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.run import Run
from results.analysis.speed import rate
from results.analysis.verdict import Verdict, judge_rates
from results.schema import Measurement


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.speed_claims.against_itself",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="quick", metavar="NAME")
    parser.add_argument("--backend", required=True, metavar="NAME")
    parser.add_argument("--task", metavar="NAME", help="default: the profile's first")
    parser.add_argument("--data", metavar="SOURCE")
    parser.add_argument("--checkpoint", metavar="NAME")
    parser.add_argument("--races", type=int, default=10)
    parser.add_argument("--launches", type=int, default=6, help="of every race (default: 6)")
    parser.add_argument("--rounds", type=int, default=3, help="of every launch (default: 3)")
    parser.add_argument("--results", default="results", metavar="FOLDER")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace, command: str) -> Plan:
    """Two jobs, the backend and its repeat. Errors: UserError."""
    profile = load_profile(options.profile)
    choice = Choice(
        profile=options.profile,
        backends=[options.backend],
        tasks=[options.task or next(iter(profile.tasks))],
        questions=["throughput"],
        data=options.data,
        checkpoint=options.checkpoint,
    )
    race = profile.throughput.model_copy(
        update={
            "launches": options.launches,
            "rounds": options.rounds,
            "control": False,
            "noise_pair": True,
            "until": "planned",
            "until_minutes": None,
        }
    )
    return make_plan(choice, profile.model_copy(update={"throughput": race}), task_names(), command)


def race(folder: RunFolder) -> list[Measurement]:
    """Runs one race and returns what was recorded. Errors: UserError."""
    run = Run(folder, print, lambda key, event: None)
    jobs = list(run.prepare(folder.plan.jobs).values())
    folder.create()
    excluded = [f"{job.status}: {job.reason}" for job in jobs if isinstance(job, Excluded)]
    if excluded:
        raise UserError(f"--backend {folder.plan.jobs[0].key.backend}: {excluded[0]}")
    run.race([job for job in jobs if isinstance(job, Ready)], evaluation=False)
    return folder.measurements()


def verdict_of(measurements: Sequence[Measurement]) -> Verdict:
    """Of the backend and its repeat, by role."""
    timed = {m.job.role: m.throughput for m in measurements if m.throughput}
    return judge_rates(
        {role: rate(one.windows, [one.race] * len(one.windows)) for role, one in timed.items()}
    )


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = read_options(words)
    module = "benchmarks.studies.speed_claims.against_itself"
    titles = {"framework": options.backend, "repeat": f"{options.backend} repeated"}
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-against-itself"
    wrong = 0
    try:
        plan = plan_of(options, command_line(["python", "-m", module, *words]))
        for number in range(1, options.races + 1):
            folder = RunFolder.new(Path(options.results), plan, f"{name}-{number:02}")
            verdict = verdict_of(race(folder))
            if len(verdict.order) < 2:
                raise UserError(f"race {number} gave no two speeds: see {folder.path}")
            wrong += verdict.winner is not None
            print(f"race {number} of {options.races}: {verdict.sentence(titles)}", flush=True)
    except UserError as error:
        print(f"against_itself: {error}", file=sys.stderr)
        return 2
    print(f"{wrong} of {options.races} races named a winner; at most 1 in 20 should")
    return int(wrong > options.races / 10)


if __name__ == "__main__":
    sys.exit(main())
