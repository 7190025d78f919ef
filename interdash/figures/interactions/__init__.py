"""Charts of the page Interactions: patterns over the samples, and the variables that take part in them."""
