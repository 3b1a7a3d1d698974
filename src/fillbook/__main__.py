"""Run the command as `python -m fillbook`, where its script is not on the path."""

from fillbook.cli import main

if __name__ == "__main__":
    main()
