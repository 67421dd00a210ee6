"""Methods, states and schedules: from statistics per layer to energy, traffic and storage."""
