"""Hold the book against what the broker says, explain the difference, and settle the rest."""
