"""PHP's clients against a pair: the extensions memcached, on libmemcached, and memcache."""

from interop import CLIENTS, ClientTest, main, requires, works


@requires(works("php", "-r", "exit(class_exists('Memcached') ? 0 : 1);"), "php-memcached")
class Memcached(ClientTest):
    command = ("php", CLIENTS / "php_client.php", "Memcached")
    passes_min = 41


@requires(works("php", "-r", "exit(class_exists('Memcache') ? 0 : 1);"), "php-memcache")
class Memcache(ClientTest):
    command = ("php", CLIENTS / "php_client.php", "Memcache")
    passes_min = 32


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
