"""Gate files: `*.modelgate.yaml`, read, checked and run."""
