"""The command line: one file per group of verbs."""


def main() -> None:
    """Run `deid-node`."""
