"""The assertion helpers: check, record, raise."""
