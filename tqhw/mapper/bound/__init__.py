"""What every mapping costs at least: partial costs from the inside out, lower bounds from the outside in."""
