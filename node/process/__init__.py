"""The door between the zones: adopt, complete, de-identify, validate, release. Start at role.py."""
