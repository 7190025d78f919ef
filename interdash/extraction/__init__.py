"""From a checkpoint to a part: one unit of work, and the engines that spread units."""
