"""The commands of the command line, grouped by what they work on. Heavy imports stand inside the commands."""
