"""The deployable model as a file: its contents, how it is written and read piece by piece. See docs/format.md."""
