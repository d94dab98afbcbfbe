"""pylibmc against a pair: libmemcached's C client as Python uses it."""

import sys

from interop import CLIENTS, ClientTest, main, requires, works


@requires(works(sys.executable, "-c", "import pylibmc"), "python3-pylibmc")
class Pylibmc(ClientTest):
    command = (sys.executable, CLIENTS / "pylibmc_client.py")
    passes_min = 34


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
