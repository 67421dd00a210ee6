"""What real Timeloop says, beside what the embedded engine says: recorded, compared, derived again."""
