"""Sections over several runs or machines: what no run shows alone."""
