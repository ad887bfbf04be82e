"""Models, data and results of other libraries, none of which is imported unless an object is one of its own."""
