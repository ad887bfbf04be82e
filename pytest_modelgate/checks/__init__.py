"""Judgements that run a model or read data: reproducible training, wiring, data, faulted twins."""
