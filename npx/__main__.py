"""The entry point of ``python -m npx``."""

from npx.running.command import main

if __name__ == "__main__":
    main()
