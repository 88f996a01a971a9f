"""What each plot shows, as plain numbers and words, and how these are computed."""
