"""What was measured: evaluations and training histories, as frozen values."""
