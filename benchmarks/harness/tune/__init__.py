"""Levers are raced, combined and judged until a faster recipe keeps the accuracy."""
