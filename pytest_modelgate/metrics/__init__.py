"""The maths: confusion matrices, metrics on them and on scores, the registry of metrics. Pure: no torch, no pytest."""
