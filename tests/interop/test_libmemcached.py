"""libmemcached, the C library, against a pair. The client is compiled by the test."""

import pathlib
import shutil
import subprocess
import tempfile

from interop import CLIENTS, ClientTest, main, requires

COMPILER = shutil.which("gcc") or shutil.which("cc")
HEADER = pathlib.Path("/usr/include/libmemcached/memcached.h")


@requires(COMPILER and HEADER.exists(), "libmemcached-dev or a C compiler")
class Libmemcached(ClientTest):
    passes_min = 42

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="memtandem-test-")
        cls.addClassCleanup(folder.cleanup)
        program = pathlib.Path(folder.name) / "client"
        subprocess.run([COMPILER, "-O1", "-Wall", "-Wextra", "-Werror", "-o", program,
                        CLIENTS / "libmemcached_client.c", "-lmemcached"], check=True)
        cls.command = (program,)


del ClientTest  # or it would be found as a test of its own

if __name__ == "__main__":
    main()
