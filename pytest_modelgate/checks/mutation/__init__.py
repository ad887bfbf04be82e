"""Faulted twins of a model, and what the gates say of them."""
