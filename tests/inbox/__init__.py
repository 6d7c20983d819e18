"""Tests of the identified zone."""
