<?php
// PHP's extensions memcached (libmemcached) and memcache: what it does and prints, see
// ../interop.py.
// Usage: php_client.php CLASS exercise HOST PORT | CLASS failover HOST PORT PORT
const BIG = (1 << 20) - 1024;
const KEYS = 100;

$failures = 0;

function check(string $what, $got, $wanted = true): void
{
    global $failures;
    if ($got === $wanted) {
        echo "pass $what\n";
        return;
    }
    ++$failures;
    $shown = array_map(fn ($value) => var_export($value, true), [$got, $wanted]);
    printf("fail %s: %.100s, not %.100s\n", $what, ...$shown);
}

function eventually(string $what, callable $condition): void
{
    $deadline = microtime(true) + 5;
    while (!$condition() && microtime(true) < $deadline) {
        usleep(50000);
    }
    check($what, (bool) $condition());
}

// Until it returns what is wanted; counts the calls in vain.
$repeated = 0;

function again(callable $call, $wanted): bool
{
    global $repeated;
    for ($i = 0; $i < 100; ++$i) {
        if (@$call() === $wanted) {
            return true;
        }
        ++$repeated;
        usleep(100000);
    }
    return false;
}

// What both have.
function exercise_common($mc, callable $set): void
{
    check('flush', $mc->flush());
    check('get of nothing', $mc->get('none'), false);
    check('set', $set('set', 'k', 'v'));
    check('get', $mc->get('k'), 'v');
    check('add of what is there', $set('add', 'k', 'x'), false);
    check('add', $set('add', 'k2', 'y'));
    check('replace', $set('replace', 'k2', 'y'));
    check('replace of nothing', $set('replace', 'none', 'y'), false);
    check('append', $set('append', 'k2', 'z'));
    check('prepend', $set('prepend', 'k2', 'x'));
    check('the joined value', $mc->get('k2'), 'xyz');
    $set('set', 'n', 10);
    check('increment', $mc->increment('n', 5), 15);
    check('decrement', $mc->decrement('n', 20), 0);
    check('increment of nothing', $mc->increment('none'), false);
    check('delete', $mc->delete('k'));
    check('delete of nothing', $mc->delete('k'), false);
    $long = str_repeat('k', 250);
    check('set with a key of 250 bytes', $set('set', $long, 'long'));
    check('get with a key of 250 bytes', $mc->get($long), 'long');
    $binary = implode('', array_map('chr', range(0, 255))) . "\r\nEND\r\nVALUE x 0 1\r\n\0\0";
    check('set of a binary value', $set('set', 'left:binary', $binary));
    check('get of a binary value', $mc->get('left:binary') === $binary);
    $big = str_repeat('x', BIG);
    check('set of a large value', $set('set', 'left:large', $big));
    check('get of a large value', $mc->get('left:large') === $big);
    check('set of too large a value', @$set('set', 'large', random_bytes(2 << 20)), false);
    check('in step after it', $mc->get($long), 'long');
    $thing = ['list' => [1, 2.5, null], 'text' => "snowman \u{2603}"];
    $set('set', 'o', $thing);
    check('objects', $mc->get('o'), $thing);
    $set('set', 'gone', 'v', 1);
    eventually('expiry', fn () => $mc->get('gone') === false);
    check('statistics', count($mc->getStats()) > 0);
    $set('set', 'left:text', 'text');
    $set('set', 'left:number', 7);
}

function exercise_memcached(string $host, int $port): void
{
    $mc = new Memcached();
    $mc->setOption(Memcached::OPT_BINARY_PROTOCOL, false);
    $mc->setOption(Memcached::OPT_COMPRESSION, false);
    $mc->addServer($host, $port);
    exercise_common($mc, fn ($what, $key, $value, $time = null) => $time === null
        ? $mc->$what($key, $value) : $mc->$what($key, $value, $time));
    $many = [];
    for ($i = 0; $i < 100; ++$i) {
        $many["m$i"] = "v$i";
    }
    check('setMulti', $mc->setMulti($many));
    check('getMulti', $mc->getMulti(array_merge(array_keys($many), ['none'])), $many);
    check('getDelayed', $mc->getDelayed(array_keys($many)) && count($mc->fetchAll()) === 100);
    check('deleteMulti', $mc->deleteMulti(['m1', 'none']),
        ['m1' => true, 'none' => Memcached::RES_NOTFOUND]);
    $got = $mc->get('k2', null, Memcached::GET_EXTENDED);
    check('cas', $mc->cas($got['cas'], 'k2', 'w'));
    check('cas too late', $mc->cas($got['cas'], 'k2', 'q'), false);
    check('its reason', $mc->getResultCode(), Memcached::RES_DATA_EXISTS);
    check('touch', $mc->touch('k2', 100));
    check('touch of nothing', $mc->touch('none', 100), false);
    check('getVersion', count($mc->getVersion()), 1);
    $mc->setOption(Memcached::OPT_COMPRESSION, true);
    check('compressed', $mc->set('z', str_repeat('z', 50000)) &&
        $mc->get('z') === str_repeat('z', 50000));

    $buffered = new Memcached();
    $buffered->setOption(Memcached::OPT_BUFFER_WRITES, true);
    $buffered->addServer($host, $port);
    for ($i = 0; $i < 1000; ++$i) {
        $buffered->set("b$i", "$i");
    }
    check('flushBuffers', $buffered->flushBuffers());
    eventually('buffered stores', fn () => $mc->get('b999') === '999');

    $silent = new Memcached();
    $silent->setOption(Memcached::OPT_NOREPLY, true);
    $silent->setOption(Memcached::OPT_NO_BLOCK, true);
    $silent->setOption(Memcached::OPT_TCP_NODELAY, true);
    $silent->addServer($host, $port);
    for ($i = 0; $i < 1000; ++$i) {
        $silent->set("q$i", "$i");
    }
    eventually('stores without replies', fn () => $mc->get('q999') === '999');
}

function exercise_memcache(string $host, int $port): void
{
    $mc = new Memcache();
    $mc->addServer($host, $port);
    $mc->setCompressThreshold(100000000);
    exercise_common($mc, fn ($what, $key, $value, $time = 0) => $mc->$what($key, $value, 0, $time));
    for ($i = 0; $i < 100; ++$i) {
        $mc->set("m$i", "v$i");
    }
    $names = array_map(fn ($i) => "m$i", range(0, 100));
    $many = $mc->get($names);
    check('get of many', count($many) === 100 && $many['m99'] === 'v99');
    $cas = $flags = null;
    $mc->get('k2', $flags, $cas);
    check('cas', $mc->cas('k2', 'w', 0, 0, $cas));
    check('cas too late', $mc->cas('k2', 'q', 0, 0, $cas), false);
    check('getVersion', is_string($mc->getVersion()));
    check('compressed', $mc->set('z', str_repeat('z', 50000), MEMCACHE_COMPRESSED) &&
        $mc->get('z') === str_repeat('z', 50000));
}

function failover($mc): void
{
    global $repeated;
    for ($i = 0; $i < KEYS; ++$i) {
        if (!again(fn () => $mc->set("f$i", "v$i"), true)) {
            check('stores before the failover', false);
        }
    }
    $repeated = 0;
    echo "stored\n";
    fgets(STDIN);
    $good = 0;
    for ($i = 0; $i < KEYS; ++$i) {
        $good += again(fn () => $mc->get("f$i"), "v$i") ? 1 : 0;
    }
    check('reads what was stored before', $good, KEYS);
    echo "failed $repeated\n";
    $good = 0;
    for ($i = 0; $i < KEYS; ++$i) {
        $good += again(fn () => $mc->set("g$i", "w$i"), true) ? 1 : 0;
    }
    check('stores afterwards', $good, KEYS);
    $good = 0;
    for ($i = 0; $i < KEYS; ++$i) {
        $good += $mc->get("g$i") === "w$i" ? 1 : 0;
    }
    check('reads it', $good, KEYS);
}

function failover_memcached(string $host, int $first, int $second): void
{
    $mc = new Memcached();
    $mc->setOptions([
        Memcached::OPT_LIBKETAMA_COMPATIBLE => true,
        Memcached::OPT_REMOVE_FAILED_SERVERS => true,
        Memcached::OPT_SERVER_FAILURE_LIMIT => 1,
        Memcached::OPT_RETRY_TIMEOUT => 1,
        Memcached::OPT_DEAD_TIMEOUT => 60,  // or its keys return to the dead node after a second
        Memcached::OPT_CONNECT_TIMEOUT => 1000,
    ]);
    $mc->addServers([[$host, $first], [$host, $second]]);
    failover($mc);
}

function failover_memcache(string $host, int $first, int $second): void
{
    ini_set('memcache.allow_failover', '1');
    ini_set('memcache.hash_strategy', 'consistent');
    $mc = new Memcache();
    $mc->addServer($host, $first, true, 1, 1, 60);
    $mc->addServer($host, $second, true, 1, 1, 60);
    failover($mc);
}

[, $class, $mode, $host] = $argv;
("{$mode}_" . strtolower($class))($host, ...array_map('intval', array_slice($argv, 4)));
echo "end\n";
exit($failures > 0 ? 1 : 0);
