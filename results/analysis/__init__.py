"""Pure functions: records become rows."""
