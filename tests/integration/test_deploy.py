"""The examples of deploy/: each passes its tool's own checker, and fits what a node says.

A tool that is not installed is skipped, with a line that says so.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import admin
from harness import HOST, SOURCE, PairTest, binary, eventually, free_port, main, wait_in_sync

try:
    import yaml
except ImportError:
    yaml = None

DEPLOY = SOURCE / "deploy"
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
# What a metric's name is cut by in an expression.
METRIC = re.compile(r"\b(mem(?:tandem|cached)_[a-z0-9_]+)\b")
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


def tool(name):
    found = shutil.which(name, path=SBIN)
    if not found:
        raise unittest.SkipTest(f"{name} is not installed")
    return found


def checked(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=50,
                          check=False, **options)
    return done.returncode, done.stdout + done.stderr


class Examples(PairTest):
    def assert_good(self, *command, **options):
        code, text = checked(*command, **options)
        self.assertEqual(code, 0, text)
        return text

    def test_prometheus(self):
        promtool = tool("promtool")
        rules = DEPLOY / "prometheus"
        self.assertIn("rules found", self.assert_good(promtool, "check", "rules",
                                                      rules / "memtandem.rules.yml"))
        self.assert_good(promtool, "test", "rules", rules / "memtandem.rules.test.yml")
        self.assert_good(promtool, "check", "config", rules / "prometheus.yml")
        # The checks find something.
        broken = self.directory / "broken.yml"
        broken.write_text((rules / "memtandem.rules.yml").read_text().replace("expr: up{", "expr: up{{"))
        self.assertNotEqual(checked(promtool, "check", "rules", broken)[0], 0)

        # What a pair says is what promtool takes, and has what rules and dashboard ask for.
        master = admin.configure(self.node("a")).start()
        slave = admin.configure(self.node("b")).start(peer=master)
        wait_in_sync(master, slave)
        metrics = admin.ask(master, "/metrics")[1]
        code, text = checked(promtool, "check", "metrics", input=metrics)
        self.assertEqual((code, text), (0, ""))
        there = {line.split(" ")[2] for line in metrics.splitlines() if line.startswith("# TYPE ")}
        there |= {name + part for name in there for part in HISTOGRAM_PARTS}
        asked = {}
        expressions = re.findall(r"(?m)expr: (.*(?:\n {10}.*)*)",
                                 (rules / "memtandem.rules.yml").read_text())
        dashboard = json.loads((DEPLOY / "grafana" / "memtandem.json").read_text())
        for panel in dashboard["panels"]:
            expressions += [target["expr"] for target in panel["targets"]]
        self.assertGreater(len(expressions), 30)
        for expression in expressions:
            for name in METRIC.findall(re.sub(r'"[^"]*"', "", expression)):
                asked[name] = expression
        self.assertEqual({name: why for name, why in asked.items() if name not in there}, {})
        # Every panel has a place of its own.
        cells = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            mine = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                    for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & mine, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells |= mine

    def test_haproxy_sends_clients_to_the_master(self):
        haproxy = tool("haproxy")
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        self.assert_good(haproxy, "-c", "-q", "-f", DEPLOY / "haproxy" / "haproxy.cfg")
        agents = {name: free_port() for name in "ab"}
        nodes = {name: admin.configure(self.node(name), admin=f"  agent_port: {agents[name]}\n",
                                       yaml="replication:\n  on_demotion: close\n")
                 for name in "ab"}
        nodes["a"].start()
        nodes["b"].start(peer=nodes["a"])
        wait_in_sync(nodes["a"], nodes["b"])
        front = free_port()
        for name, host in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
            node = nodes[name]
            text = re.sub(rf"server {name} {host}:11211 check port 11213"
                          r"( agent-check agent-port) 11214",
                          rf"server {name} {HOST}:{node.port} check port {node.admin_port}"
                          rf"\1 {agents[name]}", text)
            text = re.sub(rf"server {name} {host}:11211 check port 11213",
                          f"server {name} {HOST}:{node.port} check port {node.admin_port}", text)
        text = text.replace("127.0.0.1:11311", f"{HOST}:{front}").replace(":11312", f":{free_port()}")
        config = self.directory / "haproxy.cfg"
        config.write_text(text)
        with subprocess.Popen([haproxy, "-db", "-q", "-f", str(config)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            self.addCleanup(running.kill)
            proxied = self.node("proxied")
            proxied.port = front

            def behind():
                return proxied.stats()["pid"]
            eventually(lambda: behind() == str(nodes["a"].pid), 10, "clients get the master")
            self.assertEqual(admin.ask(nodes["a"], "/switchover", "POST", admin.TOKEN)[0], 200)
            eventually(lambda: behind() == str(nodes["b"].pid), 10, "they follow the switchover")
            nodes["b"].kill_and_wait()
            eventually(lambda: behind() == str(nodes["a"].pid), 10, "they follow the failover")
            running.kill()

    def test_keepalived(self):
        keepalived = tool("keepalived")
        text = (DEPLOY / "keepalived" / "keepalived.conf").read_text()
        # The checker wants the user and the program to exist.
        text = text.replace("script_user memtandem memtandem", "script_user root root")
        text = text.replace("/usr/bin/memtandemctl", "/bin/true")
        path = self.directory / "keepalived.conf"
        path.write_text(text)
        self.assert_good(keepalived, "-t", "-f", path)
        path.write_text(text.replace("virtual_router_id 211", "virtual_router_id 999"))
        self.assertNotEqual(checked(keepalived, "-t", "-f", path)[0], 0)
        script = re.search(r'script "/usr/bin/(\w+) ([^"]*)"', (DEPLOY / "keepalived" /
                                                               "keepalived.conf").read_text())
        self.assertEqual(script.group(1), "memtandemctl")
        done = subprocess.run([binary("TANDEM_CTL", "memtandemctl"), "-s",
                               str(self.directory / "none"), *script.group(2).split()],
                              capture_output=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 2)  # understood, and nobody there

    def documents(self, path):
        if yaml is None:
            self.skipTest("python3-yaml is not installed")
        return list(yaml.safe_load_all((DEPLOY / path).read_text()))

    def assert_settings(self, variables):
        """The daemon knows these variables and takes their values."""
        done = subprocess.run([binary(), "--check-config"], capture_output=True, text=True,
                              timeout=20, check=False, env={**os.environ, **variables})
        self.assertEqual(done.returncode, 0, done.stderr)

    def check_pods(self, path):
        """A file's StatefulSet: names that fit; the node's container and all of them."""
        by_kind = {}
        for each in self.documents(path):
            self.assertTrue({"apiVersion", "kind", "metadata"} <= set(each), each)
            by_kind.setdefault(each["kind"], []).append(each)
        (pods,) = by_kind["StatefulSet"]
        template = pods["spec"]["template"]
        labels = template["metadata"]["labels"]
        self.assertEqual(pods["spec"]["selector"]["matchLabels"], labels)
        self.assertIn(pods["spec"]["serviceName"],
                      [each["metadata"]["name"] for each in by_kind["Service"]])
        containers = template["spec"]["initContainers"] + template["spec"]["containers"]
        (node,) = [each for each in containers if each["name"] == "memtandem"]
        ports = {port["name"]: port["containerPort"] for port in node["ports"]}
        for service in by_kind["Service"]:
            self.assertLessEqual(set(labels.items()),
                                 set(service["spec"]["selector"].items()))
            for port in service["spec"]["ports"]:
                self.assertEqual(ports[port["name"]], port["port"])
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        self.assertEqual({mount["name"] for mount in node["volumeMounts"]}, volumes)
        # Each finds the other of the two by the name of the set and of its service.
        name, service = pods["metadata"]["name"], pods["spec"]["serviceName"]
        self.assertIn(f"-x {name}-$((1 - ${{HOSTNAME##*-}})).{service}", node["args"][0])
        self.assert_settings({each["name"]: each["value"] for each in node["env"]})
        for shell in containers:
            if "args" in shell:
                self.assertEqual(checked("bash", "-n", "-c", shell["args"][0]), (0, ""))
        return node, ports

    def check_probes(self, node, ports, served):
        """The probes ask for what there is, and the hook is a command that there is."""
        for probe in {"startupProbe", "livenessProbe", "readinessProbe"} & set(node):
            self.assertEqual(admin.ask(served, node[probe]["httpGet"]["path"])[0], 200)
            self.assertIn(node[probe]["httpGet"]["port"], ports)
        hook = node["lifecycle"]["preStop"]["exec"]["command"]
        ctl = pathlib.Path(binary("TANDEM_CTL", "memtandemctl"))
        done = subprocess.run(hook, capture_output=True, text=True, timeout=20, check=False,
                              env={**os.environ, "PATH": f"{ctl.parent}:{os.environ['PATH']}",
                                   "MEMTANDEM_CONTROL_SOCKET": str(served.control_path)})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_kubernetes(self):
        served = admin.configure(self.node("a")).start()
        pair, ports = self.check_pods("kubernetes/memtandem.yaml")
        sidecar, sidecar_ports = self.check_pods("kubernetes/sidecar.yaml")
        self.assertEqual(sidecar["restartPolicy"], "Always")
        self.check_probes(sidecar, sidecar_ports, served)
        self.check_probes(pair, ports, served)  # drains it

    def test_container(self):
        (compose,) = self.documents("container/docker-compose.yaml")
        if shutil.which("docker-compose"):  # its own check, against its schema
            path = DEPLOY / "container" / "docker-compose.yaml"
            self.assert_good("docker-compose", "-f", path, "config", "-q")
            broken = self.directory / "compose.yaml"
            broken.write_text(path.read_text().replace("restart:", "restrat:"))
            self.assertNotEqual(checked("docker-compose", "-f", broken, "config", "-q")[0], 0)
        else:
            print("\n  docker-compose is not installed: not checked by it")
        self.assertEqual(set(compose["services"]), {"a", "b"})
        for name, service in compose["services"].items():
            self.assertEqual({name, service["environment"]["MEMTANDEM_REPLICATION_PEER"]},
                             {"a", "b"})
            self.assert_settings(service["environment"])
            self.assertLessEqual(set(service["secrets"]), set(compose["secrets"]))
            self.assertTrue((DEPLOY / "container" / service["build"]["context"]).is_dir())
        text = (DEPLOY / "container" / "Containerfile").read_text().replace("\\\n", " ")
        variables = dict(pair.split("=", 1) for pair in
                         re.search(r"(?m)^ENV (.*)$", text).group(1).split())
        self.assert_settings(variables)
        self.assertRegex(text, r"(?m)^USER [1-9]\d*$")
        check = json.loads(re.search(r"(?m)^HEALTHCHECK .*CMD (\[.*\])$", text).group(1))
        self.assertEqual(check[:2], ["memtandemctl", "check"])
        # What it installs to build is what the project needs to build.
        quick = pathlib.Path(SOURCE / "deploy" / "quickstart.sh").read_text()
        for package in re.findall(r"\blib[\w.+-]+-dev\b", text):
            self.assertIn(package, quick)


if __name__ == "__main__":
    main()
