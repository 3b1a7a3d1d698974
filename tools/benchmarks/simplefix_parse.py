"""Parse a FIX log with simplefix and do nothing else: `python simplefix_parse.py FILE`."""

import sys

import simplefix


def simplefix_parse(path: str) -> int:
    """Return how many messages simplefix finds in the file.

    Fed line by line, which is its quickest way: it copies what is in its buffer at every field.
    """
    parser = simplefix.FixParser()
    count = 0
    with open(path, "rb") as file:
        for line in file:
            parser.append_buffer(line)
            while parser.get_message() is not None:
                count += 1
    return count


if __name__ == "__main__":
    print(simplefix_parse(sys.argv[1]))
