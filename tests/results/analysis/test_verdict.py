"""What a race says: fastest, equal, or that it cannot be told; and whether it may end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from results.analysis.decision import race_is_decided
from results.analysis.speed import Rate, Ratio, rate
from results.analysis.verdict import Verdict, claims_text, judge_rates, rival, surviving
from results.report.sections.verdict import race_verdicts
from results.report.view import Run, View
from results.schema import Measurement, Throughput
from tests.results.races import TITLES, timed
from tests.results.samples import measurement, window

SHAKY = (1.0, 1.06, 0.95, 1.02, 0.97, 1.0)
STEADY = (1.0, 1.002, 0.999, 1.001, 0.998, 1.0)


def launches(values: Sequence[float], sequential: bool = False) -> Rate:
    """One round in each launch."""
    return rate([window(v, launch=i) for i, v in enumerate(values)], sequential=sequential)


def rounds(values: Sequence[float]) -> Rate:
    return rate([window(v, i) for i, v in enumerate(values)])


def times(factor: float, values: Sequence[float]) -> list[float]:
    return [factor * value for value in values]


def test_the_fastest_is_above_every_rival() -> None:
    verdict = judge_rates(
        {"b": launches([1.0] * 6), "a": launches(times(1.2, STEADY)), "c": launches([0.5] * 6)}
    )
    assert (verdict.kind, verdict.winner, verdict.order) == ("fastest", "a", ("a", "b", "c"))
    assert verdict.sentence({"a": "A", "b": "B", "c": "C"}).startswith(
        "A is fastest: 20.0 % faster ("
    )
    assert "than B and 2.40 times as fast (2.40 to 2.40) as C, in 6 launches" in verdict.sentence(
        {"a": "A", "b": "B", "c": "C"}
    )
    assert verdict.p_value is not None and verdict.p_value < 1e-6


def test_a_rival_that_is_not_shown_to_be_slower_takes_the_claim_away() -> None:
    """Also where it is not the runner-up."""
    verdict = judge_rates(
        {
            "a": launches(times(1.1, STEADY)),
            "b": launches([1.0] * 6),
            "c": launches([0.9, 1.3, 0.6, 1.2, 0.8, 1.0]),
        }
    )
    assert verdict.kind == "undecided" and verdict.leaders == ("a", "c") and verdict.p_value is None
    assert verdict.sentence().startswith(
        "which of a and c is faster cannot be told with 6 launches"
    )


def test_intervals_are_corrected_for_the_number_of_rivals() -> None:
    ratio = Ratio((0.02, 0.05, 0.03, 0.01), launches=4)
    assert rival("", ratio, 1).slower and not rival("", ratio, 10).slower


def test_equal_needs_evidence() -> None:
    close = judge_rates({"a": launches(times(1.0001, STEADY)), "b": launches([1.0] * 6)})
    assert close.kind == "equal" and close.winner is None
    assert (
        "a and b are equally fast to within 5 %, in 6 launches (a over b 1.00" in close.sentence()
    )
    wide = judge_rates({"a": launches(SHAKY), "b": launches([1.0] * 6)}, margin=0.02)
    assert wide.kind == "undecided" and wide.needed and wide.needed > 6
    assert f"; about {wide.needed} would be needed" in wide.sentence()
    lead = judge_rates({"a": launches(times(1.01, STEADY)), "b": launches([1.0] * 6)})
    assert lead.kind == "fastest" and lead.sentence().endswith("; the lead is within 5 %")


def test_how_many_launches_would_tell_is_about_right() -> None:
    """Twice the spread needs about four times as many."""
    found = [
        judge_rates(
            {"a": launches([1.1 + d * (v - 1) for v in SHAKY]), "b": launches([1.0] * 6)}
        ).needed
        for d in (3.0, 6.0)
    ]
    assert found[0] and found[1] and 3 <= found[1] / found[0] <= 5
    hopeless = judge_rates(
        {"a": launches([1.02 + 9 * (v - 1) for v in SHAKY]), "b": launches([1.0] * 6)}
    )
    assert "; more than 100 would be needed" in hopeless.sentence()


def test_two_launches_tell_nothing() -> None:
    verdict = judge_rates({"a": launches([2.0, 2.0]), "b": launches([1.0, 1.0])})
    assert verdict.kind == "undecided" and verdict.needed is None
    assert verdict.sentence().endswith("; at least 3 are needed")


@pytest.mark.parametrize(
    ("factor", "count", "kind"),
    [(1.04, 9, "undecided"), (1.1, 9, "fastest"), (2.0, 8, "undecided"), (1.0, 12, "undecided")],
)
def test_one_launch_needs_nine_rounds_and_a_lead_of_5_percent(
    factor: float, count: int, kind: str
) -> None:
    steady = (STEADY * 2)[:count]
    verdict = judge_rates({"a": rounds(times(factor, steady)), "b": rounds([1.0] * count)})
    assert verdict.kind == kind and verdict.p_value is None
    assert f"one launch of {count} rounds" in verdict.sentence()


def test_one_wild_round_of_nine_changes_nothing() -> None:
    first = [1.2] * 8 + [0.1]
    assert judge_rates({"a": rounds(first), "b": rounds([1.0] * 9)}).winner == "a"


def test_a_race_that_looks_several_times_has_wider_intervals() -> None:
    values = times(1.03, (1.0, 1.02, 0.98, 1.01))
    once, several = (
        judge_rates({"a": launches(values, s), "b": launches([1.0] * 4, s)}) for s in (False, True)
    )
    first, second = once.rivals[0].interval, several.rivals[0].interval
    assert first and second and second.width > 1.3 * first.width
    assert (once.kind, several.kind) == ("fastest", "undecided")


def test_who_raced_apart_or_alone_is_not_compared() -> None:
    apart = judge_rates({"a": rate([window(1.0)], ["one"]), "b": rate([window(9.0)], ["two"])})
    assert apart.kind == "not_compared" and apart.order == ("b", "a")
    assert (
        apart.sentence() == "b and a: no speeds are compared, because they were not raced together"
    )
    assert judge_rates({"a": launches(STEADY)}).kind == "not_compared"


def raced(factor: float, values: Sequence[float] = STEADY, **changes: object) -> list[Measurement]:
    return [
        timed("hf_tf", times(factor, values), rounds=1),
        timed("hf_torch", [1.0] * len(values), rounds=1, **changes),
    ]


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("threads", (2, 1), "with different numbers of threads (hf_tf 2, hf_torch 1)"),
        ("affinity", ("0-1", "0"), "on different cores (hf_tf 0-1, hf_torch 0)"),
        (
            "allocator",
            ("C library", "jemalloc"),
            "with different memory allocators (hf_tf C library, hf_torch jemalloc)",
        ),
        (
            "details",
            ({"deterministic": True}, {"deterministic": False}),
            "with and without deterministic algorithms (hf_tf True, hf_torch False)",
        ),
        ("details", ({"onednn": True}, {"onednn": False}), None),  # said, see test_conditions
        ("threads", (2, 2), None),
        ("threads", (2, None), None),  # older files do not record it
    ],
)
def test_under_unequal_conditions_no_speeds_are_compared(
    name: str, values: tuple[object, object], text: str | None
) -> None:
    sides = [
        m.model_copy(update={"effective": {**(m.effective or {}), name: value}})
        for m, value in zip(raced(1.5), values, strict=True)
    ]
    view = View.of([Run("", None, None, sides, [])], TITLES)
    ((_, verdict),) = race_verdicts(view)
    assert (verdict.kind == "not_compared") == (text is not None)
    if text:
        assert verdict.sentence(TITLES) == (
            f"TensorFlow and PyTorch: no speeds are compared, because they computed {text}"
        )


def test_the_claims_of_a_report_are_corrected_together() -> None:
    sure = judge_rates({"a": launches(times(1.2, STEADY)), "b": launches([1.0] * 6)})
    barely = Verdict("fastest", ("a", "b"), (rival("b", Ratio((0.03, 0.01, 0.02, 0.035), 4)),), 4)
    assert barely.p_value and 0.01 < barely.p_value < 0.05
    assert surviving([sure, barely]) == [sure, barely]
    claims = [("x", sure), *((f"y{i}", barely) for i in range(4))]
    text = claims_text(claims)
    assert "of 5 races, expect at most 0.25" in text and text.endswith("these winners stay: x.")
    assert claims_text([]) == ""


def sequential(measurements: list[Measurement]) -> list[Measurement]:
    return [
        m.model_copy(
            update={"payload": m.require(Throughput).model_copy(update={"sequential": True})}
        )
        for m in measurements
    ]


@pytest.mark.parametrize(
    ("factor", "values", "decided"),
    [
        (1.2, STEADY[:4], True),
        (1.0, STEADY[:4], True),  # equal
        (1.02, SHAKY[:4], False),
        (1.2, STEADY[:5], False),  # no look: the confidence allows for 4, 6, 9 and 12
        (1.2, STEADY, True),
    ],
)
def test_a_race_ends_at_a_look_that_decides_it(
    factor: float, values: Sequence[float], decided: bool
) -> None:
    assert race_is_decided(sequential(raced(factor, values))) == decided


def test_a_backend_alone_is_raced_until_its_overhead_is_known() -> None:
    for factor, values, decided in ((1.1, STEADY[:4], True), (1.02, SHAKY[:4], False)):
        loops = [
            timed("hf_tf", times(factor, values), rounds=1),
            timed("hf_tf", [1.0] * 4, "control", rounds=1),
        ]
        assert race_is_decided(sequential(loops)) == decided
    assert not race_is_decided([measurement("hf_tf", "imdb", "throughput", status="failed")])


@pytest.mark.parametrize(("factor", "decided"), [(1.2, True), (0.8, True), (1.0, True)])
def test_a_study_of_changes_ends_when_each_has_an_answer(factor: float, decided: bool) -> None:
    def changed(change: str, values: Sequence[float]) -> Measurement:
        m = timed("hf_tf", values, rounds=1)
        name = f"throughput-imdb-hf_tf-{change}"
        return m.model_copy(update={"job": m.job.model_copy(update={"id": name, "change": change})})

    plain = changed("plain", [1.0] * 4)
    changes = [plain, changed("bf16", times(factor, STEADY[:4]))]
    assert race_is_decided(sequential(changes)) == decided
    unclear = changed("sdpa", times(1.04, (1.1, 0.9, 1.0, 1.05)))
    assert not race_is_decided(sequential([*changes, unclear]))
