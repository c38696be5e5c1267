"""`python -m service.cli` is `reelwire`."""

from service.cli import main

if __name__ == "__main__":
    main()
