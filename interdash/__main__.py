"""`python -m interdash`: the command line."""

from interdash.commands.main import main

if __name__ == "__main__":
    main()
