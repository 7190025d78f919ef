"""Charts of other theories of the same training, on the page Theories."""
