"""Models trained once: a store of trained models, and what decides whether one may be served."""
