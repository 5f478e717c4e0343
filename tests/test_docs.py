"""The documentation says what is true of the code: links, commands, options, reference."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks.harness.data.tasks import Task
from benchmarks.harness.machine.gpu_types import GpuType
from benchmarks.harness.plan.profile import load_profile

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "results" / "published" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Options of other programs that the pages mention.
FOREIGN = {
    "--benchmark-only",
    "--benchmark-save",
    "--benchmark-compare",
    "--benchmark-compare-fail",
    "--dry-run",
    "--exclude-editable",
    "--format",
    "--help",
    "--logdir",
    "--no-deps",
    "--query-gpu",
}
FOLDERS = "benchmarks|constraints|docs|frameworks|results|tests"
RESULTS_OF_RUNS = ("results/runs", "results/published/<machine>")

pytestmark = [pytest.mark.once, pytest.mark.smoke]


def load_generator():
    path = ROOT / "docs" / "hooks" / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_generate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = load_generator()


def text_of(path):
    """A page as the site shows it."""
    return GENERATE.fill(path.read_text("utf-8"))


def without_code(text):
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def code_of(text):
    """Code blocks and inline code, with the lines of a block joined where they end in a backslash."""
    blocks = re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for part in block for line in part.splitlines()]
    return [re.sub(r"\s+#.*", "", line.strip()) for line in lines]


def anchors_of(text):
    """The ids that the site gives to a page's headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    plain = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads)
    return {re.sub(r"[\s-]+", "-", head) for head in plain}


def ids(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_somewhere(page):
    for target in re.findall(
        r"\]\((?!https?://)([^)\s]+)\)", without_code(page.read_text("utf-8"))
    ):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(text_of(path)), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_commands_and_options_exist(page):
    parsers = GENERATE.subparsers()
    everything = {flag for parser in parsers.values() for flag in parser._option_string_actions}
    for line in code_of(page.read_text("utf-8")):
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", line))
        command = re.search(r"(?:^|&& )ftbench ([a-z]+)\b", line)
        known = everything
        if command:
            assert command[1] in parsers, f"{page.name}: {line}"
            known = set(parsers[command[1]]._option_string_actions)
        assert flags <= known | FOREIGN, f"{page.name}: {line}: {sorted(flags - known - FOREIGN)}"


def test_profiles_and_extras_that_are_named_exist():
    profiles = {path.stem for path in (ROOT / "benchmarks" / "profiles").glob("*.toml")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    environments = set(
        re.findall(r"^\[testenv:(.+)\]", (ROOT / "tox.ini").read_text("utf-8"), re.M)
    )
    for page in PAGES:
        for line in code_of(page.read_text("utf-8")):
            for name in re.findall(r"--profile ([\w-]+)(?![\w./-])", line):
                assert name in profiles | {"NAME"}, f"{page.name}: {line}"
            for extras in re.findall(r"pip install (?:-e )?'?\.\[([\w,-]+)\]", line):
                assert set(extras.split(",")) <= set(project["optional-dependencies"]), line
            for names in re.findall(r"tox (?:run )?-e ([\w,-]+)", line):
                assert set(names.split(",")) <= environments, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_files_and_modules_that_are_named_exist(page):
    for line in code_of(page.read_text("utf-8")):
        for path in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*-]*", line):
            if not path.startswith(RESULTS_OF_RUNS):
                assert any(ROOT.glob(path.rstrip("/"))), f"{page.name}: {line}"
        for module in re.findall(r"python -m ((?:benchmarks|frameworks|tests)[\w.]+)", line):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), line


def test_every_profile_is_explained():
    text = (ROOT / "docs" / "profiles.md").read_text("utf-8")
    for path in (ROOT / "benchmarks" / "profiles").glob("*.toml"):
        assert f"| `{path.stem}` |" in text


def toml_of(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_examples_of_files_are_valid(tmp_path):
    profile = tmp_path / "my.toml"
    profile.write_text(toml_of("profiles.md")[0], encoding="utf-8")
    assert load_profile(str(profile)).description
    (task,) = toml_of("add-a-task.md")
    Task.model_validate(tomllib.loads(task))
    (gpu,) = toml_of("add-a-gpu-type.md")
    for table in tomllib.loads(gpu).values():
        GpuType.model_validate(table)


def test_the_smallest_backend_is_shown():
    text = text_of(ROOT / "docs" / "add-a-backend.md")
    assert "\nBACKENDS = " in text and "class Session" in text


def test_every_room_is_explained():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in (ROOT / "benchmarks" / "harness").iterdir():
        if (path / "__init__.py").exists():
            assert f"| `{path.name}/` |" in text


def test_every_section_of_a_report_is_explained():
    text = (ROOT / "docs" / "reading-a-report.md").read_text("utf-8")
    sources = "".join(
        path.read_text("utf-8") for path in (ROOT / "results" / "report" / "sections").rglob("*.py")
    )
    titles = re.findall(r"\bSection\(\s*\"([^\"]+)\"", sources)
    assert len(titles) > 12
    for title in titles:
        assert f"\n### {title}\n" in text, f"no section {title!r} in docs/reading-a-report.md"


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_every_page_is_in_the_navigation():
    navigation = (
        (ROOT / "mkdocs.yml").read_text("utf-8").partition("nav:")[2].partition("plugins:")[0]
    )
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in navigation


def test_the_reference_covers_every_field_and_key():
    recipe = text_of(ROOT / "docs" / "reference" / "recipe.md")
    assert all(f"| `{name}` |" in recipe for name in GENERATE.Recipe.model_fields)
    profile = text_of(ROOT / "docs" / "reference" / "profile.md")
    top = {name.partition(".")[0] for name in GENERATE.SECTIONS}
    for name in GENERATE.Profile.model_fields:
        assert f"| `{name}` |" in profile or name in top
    for name, model in GENERATE.SECTIONS.items():
        section = profile.partition(f"## `[{name}]`")[2].partition("\n## ")[0]
        assert all(f"| `{field}` |" in section for field in model.model_fields), name


@pytest.mark.parametrize("model", [GENERATE.Recipe, GENERATE.Profile, *GENERATE.SECTIONS.values()])
def test_every_field_and_key_is_explained(model):
    """By the docstring that follows it in the class."""
    assert set(GENERATE.field_docstrings(model)) == set(model.model_fields)


def test_every_section_of_a_profile_is_in_the_reference():
    """A new section must be added to SECTIONS in docs/hooks/generate.py."""
    properties = GENERATE.Profile.model_json_schema()["properties"]
    nested = {name for name, schema in properties.items() if "$ref" in str(schema)}
    assert nested == {name.partition(".")[0] for name in GENERATE.SECTIONS}


def test_the_reference_covers_every_command_and_option():
    text = text_of(ROOT / "docs" / "reference" / "commands.md")
    for name, parser in GENERATE.subparsers().items():
        assert f"## `ftbench {name}`" in text
        for flag in set(parser._option_string_actions) - {"-h", "--help"}:
            assert f"| `{flag}" in text, f"{name} {flag}"
