"""The status page in a real browser: it renders, follows a failover, and is there for everybody.

Debian's chromium, driven by chromium-driver and python3-selenium; without them the test is skipped,
with a line that says so. Screenshots go to screenshots/ in the build directory.
"""

import os
import pathlib
import shutil
import sys
import time

import admin
from harness import HOST, SKIPPED, SLOWDOWN, PairTest, eventually, main, wait_in_sync

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

PROMOTION_SECONDS = 2
CONTRAST_LEAST = 4.5  # WCAG 2.1, AA

CONTRAST = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = c => c.slice(0, 3).map(v => v / 255)
  .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  const p = rgb(c); if (p.length === 3 || p[3] > 0) return p; } return [255, 255, 255]; };
let worst = [99, ''];
for (const e of document.querySelectorAll('body *')) {
  if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  const a = light(rgb(getComputedStyle(e).color)), b = light(back(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < worst[0]) worst = [ratio, e.tagName + '#' + e.id + ' ' + e.textContent.slice(0, 30)];
}
return worst;
"""

# What assistive technology needs: names for controls and charts, headers for columns, one h1.
NAMELESS = """
const name = e => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ')
  .map(i => (document.getElementById(i) || {}).textContent || '').join('') || e.textContent).trim();
return [...document.querySelectorAll('svg[role=img], progress, button, section, [role=region], a')]
  .filter(e => e.checkVisibility() && !name(e)).map(e => e.outerHTML.slice(0, 80))
  .concat(document.querySelectorAll('h1').length === 1 ? [] : ['h1'])
  .concat(document.documentElement.lang ? [] : ['lang'])
  .concat([...document.querySelectorAll('th')].every(t => t.scope) ? [] : ['th without scope']);
"""


def missing():
    if webdriver is None:
        return "python3-selenium is not installed"
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


class StatusPage(PairTest):
    def setUp(self):
        super().setUp()
        options = Options()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--no-first-run", "--disable-extensions",
                         f"--user-data-dir={self.directory / 'profile'}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.browser = webdriver.Chrome(
            service=Service(shutil.which("chromedriver"), log_path=os.devnull), options=options)
        self.addCleanup(self.browser.quit)
        self.shots = pathlib.Path(os.environ.get("TANDEM_BUILD_DIR", self.directory)) / "screenshots"
        self.shots.mkdir(exist_ok=True)

    def text(self, identifier):
        return self.browser.find_element(By.ID, identifier).text

    def shot(self, name):
        self.browser.save_screenshot(str(self.shots / f"{name}.png"))

    def emulate(self, width, scheme):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def look_at_everybody(self):
        """Light and dark, desk and phone: nothing sticks out, and everything can be read."""
        for width in (1200, 360):
            for scheme in ("light", "dark"):
                self.emulate(width, scheme)
                wide = self.browser.execute_script(
                    "return document.documentElement.scrollWidth - window.innerWidth")
                self.assertLessEqual(wide, 0, f"at {width} px it is too wide by {wide}")
                worst = self.browser.execute_script(CONTRAST)
                self.assertGreaterEqual(worst[0], CONTRAST_LEAST, f"{scheme}: {worst[1]}")
                self.shot(f"{scheme}-{width}")
        self.assertEqual(self.browser.execute_script(NAMELESS), [])
        self.emulate(1200, "light")

    def test_it_shows_a_pair_and_follows_a_failover(self):
        master = admin.configure(self.node("a")).start()
        slave = admin.configure(self.node("b")).start(peer=master)
        wait_in_sync(master, slave)
        with slave.client() as client:
            client.set("key", b"value" * 100)
            for _ in range(200):
                client.get("key")
                client.get("nothing")
        self.browser.get(f"http://{HOST}:{slave.admin_port}/")
        eventually(lambda: self.text("role") == "SLAVE", 10, "the page shows the slave")
        eventually(lambda: self.text("peer-role") == "MASTER", 5, "and its master")
        self.assertEqual(self.text("link"), "link up")
        self.assertEqual(self.text("hit-ever"), "50.0 %")
        self.assertIn("of 64.0 MiB", self.text("mem"))
        eventually(lambda: self.text("ops") != "-", 5, "it has rates")
        self.assertIn("memtandemctl switchover", self.text("next"))
        self.assertIn("replication: ", self.text("events"))
        self.look_at_everybody()
        # By keyboard: the way past the head, the button, the table.
        body = self.browser.find_element(By.TAG_NAME, "body")
        body.send_keys(Keys.TAB)
        self.assertEqual(self.browser.switch_to.active_element.text, "To the status")
        self.browser.switch_to.active_element.send_keys(Keys.TAB)
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "pause")
        for pressed in ("true", "false"):
            self.browser.switch_to.active_element.send_keys(Keys.ENTER)
            self.assertEqual(self.browser.switch_to.active_element.get_attribute("aria-pressed"),
                             pressed)

        master.kill()
        began = time.monotonic()
        eventually(lambda: self.text("role") == "MASTER" and "MASTER" in self.text("events"),
                   10, "the page shows the promotion")
        took = time.monotonic() - began
        print(f"\n  the page showed the promotion {took:.2f} s after the kill")
        self.assertLess(took, PROMOTION_SECONDS * SLOWDOWN)
        self.assertEqual(self.text("link"), "link down")
        self.assertIn("without a peer", self.text("roles-said"))
        self.shot("promoted")

        # Nothing but this node was asked for anything, and nothing went wrong.
        asked = self.browser.execute_script(
            "return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertEqual({url for url in asked if not url.startswith("data:")},
                         {f"http://{HOST}:{slave.admin_port}/status"})
        self.assertEqual(self.browser.get_log("browser"), [])
        # The node that the page is of goes, too: that is said, not hidden.
        slave.kill_and_wait()
        eventually(lambda: "does not answer" in self.text("alarm"), 10, "the page says so")
        self.shot("gone")


if __name__ == "__main__":
    REASON = missing()
    if REASON:
        print(f"skipped: {REASON}")
        sys.exit(SKIPPED)
    main()
