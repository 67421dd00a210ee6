"""What all rooms ask of the operating system: files, locks, signals, processes, programs, progress."""
