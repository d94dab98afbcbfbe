"""The README's client settings, block by block: a pair, values stored through it, a node killed.

Each block makes a client, `cache`. The test puts a pair's addresses into it and has it store KEYS
values, which both nodes then have, and read them all after one node is dead. A language whose library
is not installed here is skipped, with a line that says so.
"""

import os
import re
import subprocess
import unittest

from harness import HOST, SOURCE, PairTest, contents, differences, eventually, main
from interop import Script, works

KEYS = 40
SECTION = "Client settings"
# In each language: a block's way to store and read, between `stored` and `end`. A read may fail until
# the library has left the dead node: it is repeated.
PYTHON = """
import sys, time
for i in range({keys}):
    if not cache.set(f"r{{i}}", f"v{{i}}"): sys.exit(f"not stored: r{{i}}")
print("stored", flush=True)
sys.stdin.readline()
for i in range({keys}):
    for _ in range(200):
        try:
            got = cache.get(f"r{{i}}")
        except Exception:
            got = None
        if got in (f"v{{i}}", f"v{{i}}".encode()): break
        time.sleep(0.05)
    else: sys.exit(f"r{{i}} is {{got}}")
print("end")
"""
PHP = """
for ($i = 0; $i < {keys}; ++$i) if (!$cache->set("r$i", "v$i")) exit("not stored: r$i\\n");
echo "stored\\n";
fgets(STDIN);
for ($i = 0; $i < {keys}; ++$i) {{
  for ($n = 0; $n < 200 && $cache->get("r$i") !== "v$i"; ++$n) usleep(50000);
  if ($n == 200) exit("r$i is missing\\n");
}}
echo "end\\n";
"""
PERL = """
$| = 1;
for my $i (0 .. {keys} - 1) {{ $cache->set("r$i", "v$i") or die "not stored: r$i" }}
print "stored\\n";
<STDIN>;
for my $i (0 .. {keys} - 1) {{
  my $n = 0;
  until (($cache->get("r$i") // '') eq "v$i") {{ die "r$i is missing" if ++$n > 200; select undef, undef, undef, 0.05 }}
}}
print "end\\n";
"""
RUBY = """
$stdout.sync = true
{keys}.times {{ |i| cache.set("r#{{i}}", "v#{{i}}") or abort "not stored" }}
puts 'stored'
$stdin.gets
{keys}.times do |i|
  n = 0
  until (cache.get("r#{{i}}") rescue nil) == "v#{{i}}"
    abort "r#{{i}} is missing" if (n += 1) > 200
    sleep 0.05
  end
end
puts 'end'
"""
JS = """
cache.on('issue', () => {{}});
const ask = (...words) => new Promise((done) => cache[words[0]](...words.slice(1), (error, got) => done(error ? undefined : got)));
(async () => {{
  for (let i = 0; i < {keys}; ++i) if (!(await ask('set', `r${{i}}`, `v${{i}}`, 0))) throw new Error('not stored');
  console.log('stored');
  await new Promise((done) => process.stdin.once('data', done));
  for (let i = 0; i < {keys}; ++i) {{
    let n = 0;
    while ((await ask('get', `r${{i}}`)) !== `v${{i}}`) {{
      if (++n > 200) throw new Error(`r${{i}} is missing`);
      await new Promise((done) => setTimeout(done, 50));
    }}
  }}
  console.log('end');
  process.exit(0);
}})();
"""
JAVA = """
import net.spy.memcached.*;
public class Client {{
  public static void main(String[] words) throws Exception {{
    System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
    java.util.logging.Logger.getLogger("net.spy.memcached").setLevel(java.util.logging.Level.OFF);
    {block}
    for (int i = 0; i < {keys}; ++i)
      if (!cache.set("r" + i, 0, "v" + i).get()) throw new Exception("not stored: r" + i);
    System.out.println("stored");
    System.in.read();
    for (int i = 0; i < {keys}; ++i) {{
      for (int n = 0; ; ++n) {{
        try {{ if (("v" + i).equals(cache.get("r" + i))) break; }} catch (RuntimeException e) {{ }}
        if (n > 200) throw new Exception("r" + i + " is missing");
        Thread.sleep(50);
      }}
    }}
    System.out.println("end");
    cache.shutdown();
  }}
}}
"""
GO = """
package main
import ("fmt"; "os"; "time"; "bufio"; "github.com/bradfitz/gomemcache/memcache")
func main() {{
  {block}
  for i := 0; i < {keys}; i++ {{
    if err := cache.Set(&memcache.Item{{Key: fmt.Sprintf("r%d", i), Value: []byte(fmt.Sprintf("v%d", i))}}); err != nil {{ panic(err) }}
  }}
  fmt.Println("stored")
  bufio.NewReader(os.Stdin).ReadString('\\n')
  for i := 0; i < {keys}; i++ {{
    for n := 0; ; n++ {{
      it, err := cache.Get(fmt.Sprintf("r%d", i))
      if err == nil && string(it.Value) == fmt.Sprintf("v%d", i) {{ break }}
      if n > 200 {{ panic("missing") }}
      time.Sleep(50 * time.Millisecond)
    }}
  }}
  fmt.Println("end")
}}
"""
JARS = "/usr/share/java/spymemcached.jar"
GOPATH = "/usr/share/gocode"


def blocks(language):
    readme = (SOURCE / "README.md").read_text()
    section = re.search(rf"^## {SECTION}$(.*?)^## ", readme, re.M | re.S).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


class Readme(PairTest):
    def addressed(self, block, *nodes):
        """The block with the pair's addresses for its own."""
        for name, node in zip(("10.0.0.1", "10.0.0.2"), nodes):
            block = re.sub(rf"(['\"]){re.escape(name)}\1, 11211", rf"\g<1>{HOST}\g<1>, {node.port}", block)
            block = block.replace(f"{name}:11211", f"{HOST}:{node.port}")
        self.assertNotRegex(block, r"10\.0\.0\.[12]\b")
        return block

    def survive(self, command, master, slave, dying):
        script = Script(command)
        self.addCleanup(script.close)
        script.wait_line("^stored$", 30)
        keys = [f"r{i}" for i in range(KEYS)]
        eventually(lambda: len(contents(slave, keys)) == KEYS
                   and not differences(master, slave, keys), 5, "both nodes have all")
        dying.kill_and_wait()
        other = slave if dying is master else master
        other.wait_role("MASTER")
        script.say("go")
        self.assertEqual(script.end(30), 0, script.text)

    def runs(self, language, needs, script, command, count=1):
        """Every block of a language; `script` is what follows it."""
        found = blocks(language)
        self.assertEqual(len(found), count, f"{language} blocks of the README")
        ran = 0
        for number, block in enumerate(found):
            if not works(*needs[number]):
                print(f"skipped: {' '.join(needs[number])}")
                continue
            master, slave = self.node(f"{language}{number}a").start(), None
            slave = self.node(f"{language}{number}b").start(peer=master)
            eventually(lambda m=master, s=slave: m.in_sync() and s.in_sync(), 10, "in sync")
            path = self.directory / f"client{number}.{language}"
            path.write_text(script(self.addressed(block, master, slave)))
            self.survive(command(path), master, slave, (master, slave)[number % 2])
            ran += 1
        if not ran:
            self.skipTest("its library is not installed")

    def test_php(self):
        self.runs("php", [("php", "-r", "exit(class_exists('Memcached') ? 0 : 1);")],
                  lambda block: f"<?php\n{block}{PHP.format(keys=KEYS)}", lambda path: ["php", path])

    def test_python(self):
        self.runs("python", [("/usr/bin/python3", "-c", f"import {module}")
                             for module in ("pymemcache", "pylibmc")],
                  lambda block: block + PYTHON.format(keys=KEYS),
                  lambda path: ["/usr/bin/python3", path], count=2)

    def test_perl(self):
        self.runs("perl", [("perl", "-MCache::Memcached", "-e", "1")],
                  lambda block: f"use strict; use warnings;\n{block}{PERL.format(keys=KEYS)}",
                  lambda path: ["perl", path])

    def test_ruby(self):
        self.runs("ruby", [("ruby", "-e", "require 'dalli'; exit(Gem::Version.new(Dalli::VERSION) >= "
                            "Gem::Version.new('3.2'))")],
                  lambda block: block + RUBY.format(keys=KEYS), lambda path: ["ruby", path])

    def test_node(self):
        self.runs("js", [("node", "-e", "require('memcached')")],
                  lambda block: block + JS.format(keys=KEYS), lambda path: ["node", path])

    def test_java(self):
        def client(path):
            source = path.with_name("Client.java")
            path.rename(source)
            return ["java", "-cp", JARS, source]
        self.runs("java", [("sh", "-c", f"test -e {JARS} && java --version")],
                  lambda block: JAVA.format(block=block, keys=KEYS), client)

    def test_go(self):
        if not works("go", "version") or not os.path.isdir(f"{GOPATH}/src/github.com/bradfitz"):
            self.skipTest("its library is not installed")
        (block,) = blocks("go")
        master, slave = self.pair()
        source, program = self.directory / "client.go", self.directory / "client"
        self.assertIn("10.0.0.10:11211", block)
        block = block.replace("10.0.0.10:11211", f"{HOST}:{master.port}")
        source.write_text(GO.format(block=block, keys=KEYS))
        subprocess.run(["go", "build", "-o", str(program), str(source)], check=True, timeout=120,
                       env={**os.environ, "GO111MODULE": "off", "GOPATH": GOPATH,
                            "GOCACHE": str(self.directory / "cache")})
        self.survive([program], master, slave, slave)  # the address lives


if __name__ == "__main__":
    main()
