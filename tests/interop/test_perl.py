"""Perl's clients against a pair: Cache::Memcached, and Cache::Memcached::Fast, which is in C."""

from interop import CLIENTS, ClientTest, main, requires, works


@requires(works("perl", "-MCache::Memcached", "-e", "1"), "libcache-memcached-perl")
class CacheMemcached(ClientTest):
    command = ("perl", CLIENTS / "perl_client.pl", "Cache::Memcached")
    passes_min = 29


@requires(works("perl", "-MCache::Memcached::Fast", "-e", "1"), "libcache-memcached-fast-perl")
class CacheMemcachedFast(ClientTest):
    command = ("perl", CLIENTS / "perl_client.pl", "Cache::Memcached::Fast")
    passes_min = 38


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
