// Chromium without a window. A request to another host than the server's fails the test.
import AxeBuilder from "@axe-core/playwright";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { root } from "./server.mjs";

const program = process.env.STEPBOX_CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const screens = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "target"), "ui-screens");

/** Why there is no browser; nothing if there is one. */
export const missing = program ? undefined : "no Chromium was found: install Debian's package `chromium`, or name one in STEPBOX_CHROMIUM";

/** A browser; each `page()` has cookies of its own. */
export async function browser() {
  const opened = await chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return {
    async page(server, options = {}) {
      const context = await opened.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", timezoneId: "Europe/Berlin", acceptDownloads: true, ...options });
      const strangers = [];
      const said = [];
      await context.route("**", (route) => {
        const url = route.request().url();
        if (url.startsWith("data:") || url.startsWith(new URL(server.address).origin + "/")) return route.continue();
        strangers.push(url);
        return route.abort();
      });
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      page.on("pageerror", (error) => said.push(`script: ${error}`));
      page.on("console", (message) => { if (/Content Security Policy|Refused/.test(message.text())) said.push(message.text()); });
      page.on("dialog", (dialog) => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss().catch(() => {}); });
      return Object.assign(page, { strangers, said });
    },
    close: () => opened.close(),
  };
}

/** What axe finds in a page, in short. */
export async function violations(page) {
  const found = await new AxeBuilder({ page }).analyze();
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary?.split("\n")[1] ?? ""}`).slice(0, 3).join("; ")}`);
}

/** Keeps a picture of the page, for people. */
export async function picture(page, name) {
  mkdirSync(screens, { recursive: true });
  await page.screenshot({ path: path.join(screens, `${name}.png`), fullPage: true });
}
