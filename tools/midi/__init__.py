"""A checker in the manner of MIDI-B: an answer key per instance, pass rules, a score per category.

The rules follow what the MIDI-B challenge published about its scoring (TCIA, doi
10.7937/cf2p-aw56); the code is ours, and stricter where theirs lets things pass: see `checks`. The
key is built from PS3.15's tables, not from the engine. `python -m tools.midi FOLDER` tells the
score of a folder.
"""
