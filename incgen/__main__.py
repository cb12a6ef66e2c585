"""`python -m incgen`."""

from incgen.cli import main

if __name__ == "__main__":
    main()
