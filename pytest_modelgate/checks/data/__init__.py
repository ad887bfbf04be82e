"""Judgements that read data: leakage, features that tell the label, drift, pipelines on shuffled labels."""
