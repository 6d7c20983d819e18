"""`deid-node demo`: a node between a modality simulator and a research PACS, all on this machine.

Everything here is the demo's own: made-up patients, a sender and a receiver on stock pynetdicom.
The node between them is the real one, started as `deid-node run`.
"""
