"""How a measurement is taken. Imports no framework."""
