"""`python -m fuzzing`."""

from fuzzing.cli import main

if __name__ == "__main__":
    main()
