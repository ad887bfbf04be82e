"""Is a model wired right: checks that run it on one batch and leave it as it was."""
