"""Charts over the samples: the patterns they share, the variables that take part, and what random labels change."""
