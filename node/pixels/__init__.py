"""Pixels decoded, written in another transfer syntax, and drawn; only ever inside a worker.

Decoders are other people's C code, and their input is from strangers: nothing here is called in a
process that outlives one job.
"""
