"""What passes between ftbench and a tracker's process: one JSON object per line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Config = dict[str, str | float | bool | None]
Metrics = dict[str, float]


class _Line(BaseModel):
    # A loss that diverged is written as "NaN": JSON has no such number.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Point(_Line):
    """The metrics of one step."""

    step: int
    metrics: Metrics


class Begin(_Line):
    """A tracker's run begins: a training, or the summary of all figures."""

    line: Literal["begin"] = "begin"
    name: str
    config: Config


class Points(_Line):
    line: Literal["points"] = "points"
    points: list[Point]


class End(_Line):
    """The tracker's run that began last ends; its summary has no step."""

    line: Literal["end"] = "end"
    failed: bool
    summary: Metrics


Line = Begin | Points | End
_LINES: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="line")])


class Answer(_Line):
    """From the tracker's process: it is ready, everything was written, or why that failed."""

    state: Literal["ready", "done", "failed"]
    reason: str = ""


def write_line(line: Line | Answer) -> str:
    return line.model_dump_json() + "\n"


def read_line(text: str) -> Line:
    """Errors: pydantic.ValidationError."""
    return _LINES.validate_json(text)
