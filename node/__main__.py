"""`python -m node ROLE` is `deid-node ROLE`; kept tiny because worker processes import it."""

if __name__ == "__main__":
    from node.cli import main

    main()
