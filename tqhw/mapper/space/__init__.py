"""What may be mapped: levels' slots of loops, their factors and orders, and the tiles that they make."""
