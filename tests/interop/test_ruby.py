"""Ruby against a pair: Dalli with the meta protocol, of versions 3.2 and 4.

Older ones, Debian 12's among them, speak the binary protocol only, and so does Dalli's default
before 5. RUBYLIB=.../dalli/lib names another one than what is installed.
"""

from interop import CLIENTS, ClientTest, main, requires, works

HAS_META = "require 'dalli'; exit(Gem::Version.new(Dalli::VERSION) >= Gem::Version.new('3.2'))"


@requires(works("ruby", "-e", HAS_META), "a Dalli that knows the meta protocol (3.2 or later)")
class Dalli(ClientTest):
    command = ("ruby", CLIENTS / "ruby_client.rb")
    passes_min = 47

    def setUp(self):
        super().setUp()
        with self.master.client() as client:
            if client.command("mn") != "MN":
                self.skipTest("memtandem has no meta commands")


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
