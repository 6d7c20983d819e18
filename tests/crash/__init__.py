"""Tests that kill the node, at every durable step and at random."""
