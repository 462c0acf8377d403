// Every page in light and dark, at 360 and 1600 px: no violation that axe finds, no scrolling to the side, and a picture of
// each for people. Then the keys.
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { browser, missing, picture, violations } from "./browser.mjs";
import { components, password, receiver, serve, until } from "./server.mjs";

const tenant = "/tenants/default";
const profile = `${tenant}/instances/my_app_product_export`;

describe("every page", { skip: missing }, () => {
  let server, chromium, application, signedIn;
  before(async () => {
    [server, chromium, application] = await Promise.all([serve({ policy: "network: { loopback: true }\n" }), browser(), receiver()]);
    for (const step of ["normalise.wasm", "notify.wasm"]) {
      cpSync(path.join(components, step), path.join(server.work, "csv-notify", "steps", step));
    }
    server.cli("connectors", "add", "csv-notify");
    const create = (code, url) => server.cli("instances", "create", "Acme CSV Notify Connector", "csv_product_export_notify", "export", code,
      JSON.stringify({ source: { type: "local", file_path: "csv-notify/data/catalogue.csv" }, urlToNotify: url }));
    create("my_app_product_export", application.url);
    create("closed_application", "http://127.0.0.1:9/");
    server.cli("publish", "my_app_product_export");
    server.cli("publish", "closed_application");
    await until("both have ended", () => {
      const all = JSON.parse(server.cli("executions", "list", "--format", "json"));
      return all.length === 2 && all.every((one) => ["COMPLETED", "FAILED"].includes(one.status));
    });
    const page = await chromium.page(server);
    await page.goto(server.link);
    await page.fill("#user", "julia");
    await page.fill("#password", password);
    await page.fill("#repeated", password);
    await page.click("main button.primary");
    await page.fill("#user", "julia");
    await page.fill("#password", password);
    await page.click("main button.primary");
    await page.waitForURL((url) => !url.pathname.includes("sign-in"));
    signedIn = await page.context().storageState();
  });
  after(async () => {
    await chromium?.close();
    application?.close();
    await server?.close();
  });

  const digest = () => JSON.parse(server.cli("steps", "list", "--format", "json"))[0].digest;
  const pages = () => [
    ["home", "/"], ["dashboard", tenant], ["executions", `${tenant}/executions`],
    ["executions-filtered", `${tenant}/executions?filter=status%3AFAILED`], ["execution-completed", `${tenant}/executions/1`],
    ["execution-failed", `${tenant}/executions/2`], ["execution-log", `${tenant}/executions/1/log`],
    ["execution-warnings", `${tenant}/executions/1/warnings`], ["execution-abandon", `${tenant}/executions/2/abandon`],
    ["profiles", `${tenant}/instances`], ["profile", profile], ["profile-edit", `${profile}/edit`],
    ["profile-values", `${profile}/values`], ["profile-launch", `${profile}/launch`], ["profile-history", `${profile}/history`],
    ["profile-remove", `${profile}/remove`], ["profile-duplicate", `${profile}/duplicate`], ["profile-new", `${tenant}/new-instance`],
    ["profile-create", `${tenant}/new-instance?job=csv_product_export_notify`], ["schedules", `${tenant}/schedules`],
    ["connectors", `${tenant}/connectors`], ["connector", `${tenant}/connectors/acme_csv_notify`], ["step", `${tenant}/steps/${digest()}`],
    ["workers", `${tenant}/workers`], ["audit", `${tenant}/audit`], ["members", `${tenant}/members`], ["users", "/users"],
    ["account", "/account"], ["tenants", "/tenants"], ["reference", "/reference"], ["errors", "/errors"],
    ["error", "/errors/not-found"], ["find", `${tenant}/find?q=export`], ["missing", `${tenant}/instances/nothing`],
  ];

  for (const [theme, width] of [["light", 1600], ["dark", 1600], ["light", 360], ["dark", 360]]) {
    test(`is accessible in ${theme} at ${width} px`, { timeout: 300_000 }, async () => {
      const page = await chromium.page(server, { storageState: signedIn, colorScheme: theme, viewport: { width, height: 900 } });
      const found = [];
      for (const [name, address] of pages()) {
        const answer = await page.goto(server.address + address, { waitUntil: "load" });
        if (answer.status() !== (name === "missing" ? 404 : 200)) found.push(`${name}: ${answer.status()}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) found.push(`${name}: ${wide} px too wide`);
        for (const violation of await violations(page)) found.push(`${name}: ${violation}`);
        await picture(page, `${name}-${width}-${theme}`);
      }
      assert.deepEqual(found, []);
      assert.deepEqual(page.said, []);
      assert.deepEqual(page.strangers, []);
      await page.context().close();
    });
  }

  test("keys lead to pages, open the list of keys, and put the focus into the filter", async () => {
    const page = await chromium.page(server, { storageState: signedIn });
    await page.goto(server.address + tenant);
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await page.waitForURL(/executions$/);
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.name), "filter");
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("?");
    await page.locator("#keys").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.waitForURL(/instances$/);
  });

  test("a profile is run with the keyboard alone", async () => {
    const page = await chromium.page(server, { storageState: signedIn });
    await page.goto(server.address + profile);
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press("Tab");
      const on = await page.evaluate(() => document.activeElement.textContent.trim());
      if (on === "Run") break;
    }
    await page.keyboard.press("Enter");
    await page.waitForURL(/executions\/\d+$/);
  });

  test("everything works without script", async () => {
    const page = await chromium.page(server, { storageState: signedIn, javaScriptEnabled: false });
    await page.goto(`${server.address}${profile}/edit`);
    await page.locator("[name=linesPerFile]").fill("0");
    await page.locator(".save-bar button.primary").click();
    await page.locator("#p-linesPerFile-violation").waitFor();
    await page.locator("[name=linesPerFile]").fill("100");
    await page.locator(".save-bar button.primary").click();
    await page.waitForURL(/my_app_product_export$/);
    await page.getByText("100").first().waitFor();
  });
});
