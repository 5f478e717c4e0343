"""How each framework does the work: one contract and twin packages that fulfil it."""
