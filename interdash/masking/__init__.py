"""v(x_T): kinds of input, their variables, masked batches and outputs."""
