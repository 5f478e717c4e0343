"""One profile on two machines: training and evaluation speeds side by side."""

from __future__ import annotations

import pytest

from results.report.document import Table
from results.report.load import read_runs
from results.report.sections.across.machines import section
from results.report.view import View
from results.schema import Device
from tests.results import samples

pytestmark = pytest.mark.smoke


def test_two_gpu_types_stand_side_by_side_with_ratios(make_run):
    folders = []
    for name, rate in (("T4", 1.0), ("A100", 8.0)):
        gpu = Device(**samples.GPU.model_dump() | {"name": name, "gpu_type": None})
        one = samples.measurement(
            "hf_torch", "imdb", "throughput", throughput=samples.throughput(rate), device=gpu
        )
        folders.append(make_run([one], samples.run_info(name, gpu)))
    found = section(View.merged_by_machine(read_runs(folders), {"hf_torch": "PyTorch"}))
    assert found is not None
    table, published = [block for block in found.blocks if isinstance(block, Table)]
    assert published.caption == "Published speeds of fine-tuning"
    slow, fast = [[cell.text for cell in row] for row in table.rows]
    assert [float(text) for text in slow[4:]] == pytest.approx([1, 1, 3, 1], rel=0.02)
    assert [float(text) for text in fast[4:]] == pytest.approx([8, 8, 24, 8], rel=0.02)
    assert (slow[3], fast[3]) == ("T4", "A100")
