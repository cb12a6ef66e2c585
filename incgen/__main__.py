"""`python -m incgen`."""

from incgen.cli.commands import main

if __name__ == "__main__":
    main()
