"""Judgements that run a model: trained twice, so far."""
