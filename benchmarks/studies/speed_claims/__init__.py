"""How often are ftbench's claims about speed wrong? `python -m benchmarks.studies.speed_claims`."""
