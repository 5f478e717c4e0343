"""All jobs of one call on one machine: prepared, raced, recorded in a folder, resumed."""
