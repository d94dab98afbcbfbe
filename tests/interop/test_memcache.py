"""python-memcached, the oldest of Python's clients, against a pair."""

import sys

from interop import CLIENTS, ClientTest, main, requires, works


@requires(works(sys.executable, "-c", "import memcache"), "python3-memcache")
class PythonMemcached(ClientTest):
    command = (sys.executable, CLIENTS / "memcache_client.py")
    passes_min = 31


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
