"""From parts to label tables: τ, G, sums."""
