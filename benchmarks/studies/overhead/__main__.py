"""Does the harness cost anything?

    python -m benchmarks.studies.overhead --profile quick

For each backend a script trains as its user would write it, without ftbench, and then ftbench's
own throughput job on the same weights and texts, each in a process of its own: script, job, job,
script, and so on, so that a machine that drifts slows both. Printed is ftbench's steps per second
over the script's, with Student's interval over the pairs. The goal is 0.99 or more.

Batches are padded to full length, because the script draws its own order: every batch is then the
same work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import log
from pathlib import Path

from benchmarks.harness.data.tasks import task_names
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Attempt, Excluded, Ready
from benchmarks.harness.jobs.environment import process_environment
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.plan.validation import parse_overrides
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant
from benchmarks.harness.run.run import Run
from results.analysis.speed import FEWEST_LAUNCHES, Sample
from results.analysis.statistics import median

SCRIPTS = {"hf_torch": "plain_trainer.py", "hf_tf": "plain_fit.py"}
# What the scripts do not do; a recipe that asks for it would compare two things.
FIXED = {
    "padding": "max",
    "precision": "fp32",
    "accumulation": 1,
    "schedule": "linear",
    "compile": False,
    "attention": None,
    "dropout": None,
}


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="quick", metavar="NAME")
    parser.add_argument("--backend", action="append", choices=sorted(SCRIPTS))
    parser.add_argument("--task", action="append", default=[], metavar="NAME")
    parser.add_argument("--data", metavar="SOURCE")
    parser.add_argument("--checkpoint", metavar="NAME", help="a BERT: the scripts train no other")
    parser.add_argument("--recipe", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument(
        "--pairs", type=int, default=6, help="script and job, side by side; an interval needs 3"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    with tempfile.TemporaryDirectory(prefix="ftbench-overhead-") as folder:
        try:
            run, jobs = prepared(options, Path(folder))
        except UserError as error:
            print(f"overhead: {error}", file=sys.stderr)
            return 2
        for ready in jobs:
            if isinstance(ready, Ready):
                compare(run, ready, options.pairs)
            else:
                print(f"{ready.spec.key.id}: {ready.status}: {ready.reason}")
    return 0


def prepared(options: argparse.Namespace, folder: Path) -> tuple[RunFolder, list[Ready | Excluded]]:
    """The throughput jobs alone, without controls."""
    asked = parse_overrides(options.recipe)
    fixed = sorted(asked.keys() & FIXED.keys())
    if fixed:
        raise UserError(
            f"--recipe {fixed[0]}: the scripts to compare with have {FIXED[fixed[0]]!r}: leave it out"
        )
    choice = Choice(
        profile=options.profile,
        backends=options.backend or list(SCRIPTS),
        tasks=options.task,
        questions=["throughput"],
        data=options.data,
        checkpoint=options.checkpoint,
        recipe=asked | FIXED,
    )
    profile = load_profile(choice.profile)
    alone = profile.throughput.model_copy(update={"control": False, "noise_pair": False})
    plan = make_plan(choice, profile.model_copy(update={"throughput": alone}), task_names(), "")
    run = RunFolder.new(folder, plan)
    jobs = Run(run, print, lambda key, event: None).prepare(plan.jobs)
    run.create()
    return run, list(jobs.values())


def compare(run: RunFolder, ready: Ready, pairs: int) -> None:
    """Takes the pairs, the first of a pair in turns, and prints what they say."""
    rates: dict[str, list[float]] = {"script": [], "job": []}
    for pair in range(pairs):
        for side in ("script", "job") if pair % 2 == 0 else ("job", "script"):
            windows = script_rates(run, ready) if side == "script" else job_rates(run, ready)
            rates[side].append(median(windows))
        print(
            f"{ready.job.key.id}: pair {pair + 1} of {pairs}: ftbench {rates['job'][-1]:.4g}, "
            f"script {rates['script'][-1]:.4g} steps/s",
            flush=True,
        )
    both = zip(rates["job"], rates["script"], strict=True)
    ratio = Sample(tuple(log(job / script) for job, script in both), launches=pairs)
    interval = (
        f" ({ratio.interval.low:.4f} to {ratio.interval.high:.4f})"
        if ratio.interval
        else f" (fewer than {FEWEST_LAUNCHES} pairs: no interval)"
    )
    print(f"{ready.job.key.id}: ftbench / script = {ratio.value:.4f}{interval}, {pairs} pairs")


def script_rates(run: RunFolder, ready: Ready) -> list[float]:
    """Steps per second of every window of the plain script, by its own clock."""
    job, plan = ready.job, ready.job.throughput
    recipe = run.path / "recipe.json"
    recipe.write_text(job.recipe.model_dump_json())
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name(SCRIPTS[job.key.backend]),
            job.start.folder,
            job.train,
            recipe,
            "--first",
            str(1 + plan.steps_per_window * plan.warmup_windows),
            "--every",
            str(plan.steps_per_window),
        ],
        cwd=run.path,
        env=process_environment(job.environment),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{SCRIPTS[job.key.backend]} failed:\n{done.stderr[-3000:]}")
    rates: list[float] = json.loads(done.stdout.splitlines()[-1])
    return rates


def job_rates(run: RunFolder, ready: Ready) -> list[float]:
    """The same of ftbench's job, by the parent's clock, as it is measured in every run."""
    with Attempt(ready, run.path, run.device, lambda key, event: None) as attempt:
        job = Participant(attempt)
        job.start()
        for round_ in range(ready.job.throughput.rounds):
            job.take_turn(round_, "training")
        windows = job.finish().windows["training"]
    return [window.steps / window.seconds for window in windows]


if __name__ == "__main__":
    sys.exit(main())
