"""Standard metrics of any folder of songs, with a metric card that says how they were measured."""
