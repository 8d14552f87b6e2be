"""A service that was given a wrong setting."""

import sys

if __name__ == "__main__":
    print("error: HITOK_WRONG is wrong", file=sys.stderr)
    sys.exit(2)
