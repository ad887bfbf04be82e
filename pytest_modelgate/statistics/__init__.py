"""How sure one can be: exact bounds and tests for proportions. Pure: no torch, no pytest."""
