"""Node against a pair, with npm's `memcached`.

Debian packages no memcached client for Node (memjs, elsewhere the usual one, speaks the binary
protocol only). The test runs where the module is found: NODE_PATH=.../node_modules.
"""

from interop import CLIENTS, ClientTest, main, requires, works


@requires(works("node", "-e", "require('memcached')"), "npm's module memcached (see NODE_PATH)")
class NodeMemcached(ClientTest):
    command = ("node", CLIENTS / "node_client.js")
    passes_min = 32


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
