"""`python -m incgen`."""

from incgen.cli.main import main

if __name__ == "__main__":
    main()
