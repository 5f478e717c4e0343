"""How a measurement is made. Imports no framework."""
