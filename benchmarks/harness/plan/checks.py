"""Options that apply to none of the jobs."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.plan import Choice, JobSpec
from benchmarks.harness.plan.profile import Profile


def check_jobs(choice: Choice, profile: Profile, jobs: Sequence[JobSpec]) -> None:
    """Raises UserError for a plan without jobs, and for options that apply to none of them."""
    if not jobs:
        asked = choice.questions or profile.questions
        raise UserError(
            f"--question {', '.join(asked)}: profile {choice.profile!r} has no such job for these backends, "
            f"only {', '.join(profile.questions)}: choose another question or backend"
        )
    if choice.batch_limit and all(spec.budget is None for spec in jobs):
        raise UserError(
            "--budget, --gpu, --phase and --compare-finders apply to the question batch_limit only: "
            "leave them out, or use `ftbench limit` or `ftbench run --question batch_limit`"
        )
    if choice.throughput and all(spec.key.question != "throughput" for spec in jobs):
        raise UserError(
            "--until and --until-minutes apply to the question throughput only: leave them out, or use "
            "`ftbench run --question throughput`"
        )
    if choice.accuracy and all(spec.key.question != "accuracy" for spec in jobs):
        raise UserError(
            "--keep-models, --metric and --checkpoint-interval apply to the question accuracy only: leave "
            "them out, or use `ftbench run --question accuracy`"
        )
    if profile.throughput.until_minutes and profile.throughput.until != "decided":
        raise UserError(
            f"--until-minutes {profile.throughput.until_minutes} needs --until decided: add it, or leave "
            "out --until-minutes"
        )
    if choice.track and all(spec.key.question == "equivalence" for spec in jobs):
        raise UserError(
            f"--track {choice.track[0]}: certificates have nothing to track: leave it out, or use "
            "`ftbench run --question accuracy`"
        )
