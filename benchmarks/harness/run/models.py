"""A trained model that is kept: its tokenizer, and a card that says how it was trained."""

from __future__ import annotations

import shutil

from benchmarks.harness.checkpoints.tokenizers import FILES
from benchmarks.harness.jobs.job import SavedModel
from frameworks.contract import backends
from results.schema import Accuracy, Measurement


def finish_model(model: SavedModel, measurement: Measurement) -> str | None:
    """Adds tokenizer and card to what the worker saved, and moves the folder to its place. Returns
    why that failed, in one line."""
    partial = model.partial
    try:
        for name in FILES:
            if (model.tokenizer / name).is_file():
                shutil.copyfile(model.tokenizer / name, partial / name)
        (partial / "README.md").write_text(card(measurement), encoding="utf-8")
        if model.folder.exists():  # of an earlier attempt
            shutil.rmtree(model.folder)
        partial.rename(model.folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        return str(error)
    return None


def card(measurement: Measurement) -> str:
    """Model card in Markdown: data, recipe, scores and versions, from the measurement alone."""
    m, accuracy = measurement, measurement.require(Accuracy)
    backend, data, start = backends()[m.job.backend], m.data, m.checkpoint
    labels = ", ".join(data.label_names) if data else ""
    lines = [f"# {backend.title} on {m.job.task}, seed {accuracy.seed}", ""]
    if start:
        use = "tokenizer of" if start.tokenizer_only else "fine-tuned from"
        lines += [f"- Checkpoint: {use} {start.name}"]
    lines += [
        f"- Data: {data.description if data else 'unknown'}",
        f"- Labels, by index from 0: {labels}",
        f"- Trained for {accuracy.steps:,} optimizer steps; these are the weights of step "
        f"{accuracy.kept_step:,}",
        "",
        "| evaluation set | examples | accuracy, % | macro F1, % | loss |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {s.examples:,} | {100 * s.accuracy:.2f} | {100 * s.macro_f1:.2f} | {s.loss:.4f} |"
        for name, s in accuracy.scores.items()
    ]
    lines += ["", "| recipe | value |", "| --- | --- |"]
    lines += [f"| {field} | {value} |" for field, value in m.recipe.items() if value is not None]
    versions = ", ".join(f"{name} {version}" for name, version in m.versions.items())
    return "\n".join([*lines, "", f"Versions: {versions}.", "", f"To load it: {_loading(m)}", ""])


def _loading(m: Measurement) -> str:
    if backends()[m.job.backend].pretrained:
        return "`AutoModelForSequenceClassification.from_pretrained(FOLDER)` of transformers."
    return '`keras.saving.load_model("model.keras", compile=False)`.'
