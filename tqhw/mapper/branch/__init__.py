"""Branch and bound over the mapspace: nodes, their children, what dominates them, and the incumbent."""
