"""Codes for every precision at once from calibration data: moments, rounding, fitted scales."""
