"""Gates and verdicts: what is asked of the evidence, and the answer."""
