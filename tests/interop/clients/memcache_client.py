"""python-memcached (pure Python)."""

import sys

import memcache
from report import BIG, BINARY, LONG, Report


def exercise(report, host, port):
    mc = memcache.Client([f"{host}:{port}"], cache_cas=True,
                         server_max_value_length=4 << 20)
    check = report.check
    mc.flush_all()
    check("get of nothing", mc.get("none"), None)
    check("set", mc.set("k", "v"))
    check("get", mc.get("k"), "v")
    check("add of what is there", bool(mc.add("k", "x")), False)
    check("add", mc.add("k2", "y"))
    check("replace", mc.replace("k2", "y"))
    check("replace of nothing", bool(mc.replace("none", "y")), False)
    check("append", mc.append("k2", "z"))
    check("prepend", mc.prepend("k2", "x"))
    check("the joined value", mc.get("k2"), "xyz")
    check("set_multi", mc.set_multi({f"m{i}": i for i in range(100)}), [])
    check("get_multi", mc.get_multi([f"m{i}" for i in range(101)]),
          {f"m{i}": i for i in range(100)})
    check("delete_multi", mc.delete_multi(["m1", "m2"]))
    check("incr", (mc.set("n", 10), mc.incr("n", 5)), (True, 15))
    check("decr", mc.decr("n", 20), 0)
    check("incr of nothing", mc.incr("none"), None)
    check("gets", mc.gets("k"), "v")
    check("cas", mc.cas("k", "w"))
    mc.gets("k")
    mc.set("k", "meanwhile")
    check("cas too late", bool(mc.cas("k", "q")), False)
    check("touch", bool(mc.touch("k", 100)))
    check("touch of nothing", bool(mc.touch("none", 100)), False)
    check("delete", bool(mc.delete("k")))
    check("a key of 250 bytes", (mc.set(LONG, "long"), mc.get(LONG)), (True, "long"))
    check("a binary value", (mc.set("left:binary", BINARY), mc.get("left:binary")), (True, BINARY))
    big = b"x" * BIG
    check("a large value", (mc.set("left:large", big), mc.get("left:large") == big), (True, True))
    check("too large a value", bool(mc.set("large", b"x" * (2 << 20))), False)
    check("in step after it", mc.get(LONG), "long")
    check("objects", (mc.set("o", {"a": [1, None]}), mc.get("o")), (True, {"a": [1, None]}))
    mc.set("gone", "v", time=1)
    report.eventually("expiry", lambda: mc.get("gone") is None)
    check("statistics", "replication" in mc.get_stats()[0][1])
    for i in range(200):
        mc.set(f"q{i}", i, noreply=True)
    report.eventually("stores without replies", lambda: mc.get("q199") == 199)
    mc.set("left:text", "text")
    mc.set("left:number", 7)


def failover(report, host, first, second):
    mc = memcache.Client([f"{host}:{first}", f"{host}:{second}"], dead_retry=60, socket_timeout=1)
    report.failover(mc.get, mc.set)


if __name__ == "__main__":
    made = Report()
    {"exercise": exercise, "failover": failover}[sys.argv[1]](made, *sys.argv[2:])
    made.end()
