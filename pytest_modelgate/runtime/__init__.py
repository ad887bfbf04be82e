"""What runs a model: devices, seeds, data, training, evaluation, loading."""
