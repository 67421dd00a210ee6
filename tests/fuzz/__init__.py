"""Inputs that nobody meant: every reader of tqhw takes an input or refuses it with its one error type.

``python -m tests.fuzz --seconds N --seed S`` runs for long, with a process that may die; tests/fuzz/test_fuzz.py runs
for seconds. An input is a folder of files. A kind (tests/fuzz/kinds.py) says what it is mutated from and who reads it.
"""
