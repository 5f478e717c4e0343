"""What people wrote about a machine's runs: `NOTES.md`, in the folder above the runs."""

from __future__ import annotations

import re
from pathlib import Path

from results.report.document import Paragraph
from results.report.view import View

FILE = "NOTES.md"
CONCLUSIONS = "Conclusions"  # the section that the site shows
_HEAD = re.compile(r"\*\*(.+?)\*\*: ")


def files(view: View) -> list[Path]:
    folders = dict.fromkeys(run.folder.parent for run in view.runs if run.folder)
    return [folder / FILE for folder in folders if (folder / FILE).is_file()]


def conclusions(view: View) -> list[Paragraph]:
    """The paragraphs of every machine's section `## Conclusions`, as plain text. `**Subject**: ` at the
    start of a paragraph becomes its head."""
    found: list[Paragraph] = []
    for path in files(view):
        text = path.read_text("utf-8", errors="replace")
        _, _, after = f"\n{text}".partition(f"\n## {CONCLUSIONS}\n")
        section, _, _ = after.partition("\n## ")
        for paragraph in re.split(r"\n\s*\n", section.strip()):
            line = " ".join(paragraph.split())
            subject = _HEAD.match(line)
            head = f"{subject[1]} ({path.parent.name})" if subject else path.parent.name
            if line:
                body = line[subject.end() :] if subject else line
                found.append(Paragraph(body.replace("`", ""), head=head))
    return found
