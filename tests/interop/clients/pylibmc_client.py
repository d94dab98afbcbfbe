"""pylibmc (libmemcached in C, from Python)."""

import sys

import pylibmc
from report import BIG, BINARY, LONG, Report


def exercise(report, host, port):
    mc = pylibmc.Client([f"{host}:{port}"], behaviors={"tcp_nodelay": True, "cas": True})
    check = report.check
    check("flush_all", mc.flush_all())
    check("get of nothing", mc.get("none"), None)
    check("set", mc.set("k", "v"))
    check("get", mc.get("k"), "v")
    check("add of what is there", mc.add("k", "x"), False)
    check("add", mc.add("k2", b"y"))
    check("replace", mc.replace("k2", b"y"))
    check("replace of nothing", mc.replace("none", "y"), False)
    check("append", mc.append("k2", b"z"))
    check("prepend", mc.prepend("k2", b"x"))
    check("the joined value", mc.get("k2"), b"xyz")
    check("set_multi", mc.set_multi({f"m{i}": i for i in range(100)}), [])
    check("get_multi", mc.get_multi([f"m{i}" for i in range(101)]),
          {f"m{i}": i for i in range(100)})
    check("add_multi", mc.add_multi({"m1": 0, "a1": 1}), ["m1"])
    check("delete_multi", mc.delete_multi(["m1", "m2"]))
    check("incr", (mc.set("n", 10), mc.incr("n", 5)), (True, 15))
    check("decr", mc.decr("n", 20), 0)
    try:
        mc.incr("none")
        check("incr of nothing", False)
    except pylibmc.NotFound:
        check("incr of nothing", True)
    value, unique = mc.gets("k")
    check("cas", (value, mc.cas("k", "w", unique)), ("v", True))
    check("cas too late", mc.cas("k", "q", unique), False)
    check("touch", mc.touch("k", 100))
    check("touch of nothing", mc.touch("none", 100), False)
    check("delete", mc.delete("k"))
    check("delete of nothing", mc.delete("k"), False)
    check("a key of 250 bytes", (mc.set(LONG, "long"), mc.get(LONG)), (True, "long"))
    check("a binary value", (mc.set("left:binary", BINARY), mc.get("left:binary")), (True, BINARY))
    big = b"x" * BIG
    check("a large value", (mc.set("left:large", big), mc.get("left:large") == big), (True, True))
    try:
        mc.set("large", b"x" * (2 << 20))
        check("too large a value", False)
    except pylibmc.Error:
        check("too large a value", True)
    check("objects", (mc.set("o", {"a": [1, None]}), mc.get("o")), (True, {"a": [1, None]}))
    check("compressed", (mc.set("z", "z" * 50000, min_compress_len=1000), mc.get("z")),
          (True, "z" * 50000))
    mc.set("gone", "v", time=1)
    report.eventually("expiry", lambda: mc.get("gone") is None)
    check("statistics", "curr_items" in mc.get_stats()[0][1])
    eager = mc.clone()
    eager.behaviors = {"no_block": True}
    check("stores without blocking", (all(eager.set(f"q{i}", i) for i in range(200)),
                                      eager.get("q199")), (True, 199))
    noreply = mc.clone()
    noreply.behaviors = {"_noreply": True}
    for i in range(200):
        noreply.set(f"s{i}", i)
    report.eventually("stores without replies", lambda: mc.get("s199") == 199)
    mc.set("left:text", "text")
    mc.set("left:number", 7)


def failover(report, host, first, second):
    mc = pylibmc.Client([f"{host}:{first}", f"{host}:{second}"], binary=False, behaviors={
        "ketama": True, "remove_failed": 1, "failure_limit": 1,
        "retry_timeout": 1, "dead_timeout": 60, "connect_timeout": 1000})
    report.failover(mc.get, mc.set, (pylibmc.Error,))


if __name__ == "__main__":
    made = Report()
    {"exercise": exercise, "failover": failover}[sys.argv[1]](made, *sys.argv[2:])
    made.end()
