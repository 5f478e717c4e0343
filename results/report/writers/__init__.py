"""How a report is written: Markdown, HTML, terminal, plots."""
