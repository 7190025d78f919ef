"""`python -m interdash`: the command line."""

from interdash.cli import main

if __name__ == "__main__":
    main()
