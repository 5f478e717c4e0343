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
            f"--question {', '.join(asked)}: profile {choice.profile!r} has no such jobs for these "
            f"backends; it answers {', '.join(profile.questions)}: choose another question or backend"
        )
    if choice.batch_limit and all(spec.budget is None for spec in jobs):
        raise UserError(
            "--budget, --gpu, --phase and --compare-finders apply to batch limits: "
            "use `ftbench limit`, or add --question batch_limit"
        )
    if choice.throughput and all(spec.key.question != "throughput" for spec in jobs):
        raise UserError(
            "--until and --until-minutes apply to speed: add --question throughput, or leave them out"
        )
    if choice.accuracy and all(spec.key.question != "accuracy" for spec in jobs):
        raise UserError(
            "--keep-models, --metric and --checkpoint-interval: no model is trained to its end here: "
            "add --question accuracy, or leave them out"
        )
    if profile.throughput.until_minutes and profile.throughput.until != "decided":
        raise UserError(
            f"--until-minutes {profile.throughput.until_minutes}: only a race with --until decided "
            "has a time limit: add it, or leave this out"
        )
    if choice.track and all(spec.key.question == "equivalence" for spec in jobs):
        raise UserError(
            f"--track {choice.track[0]}: traces are no figures that can be tracked: leave it out, or "
            "add --question accuracy"
        )
