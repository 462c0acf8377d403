// A person's way through the web UI, from the first start to the audit trail, as the connector guide tells it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { browser, missing, picture, violations } from "./browser.mjs";
import { components, password, receiver, root, serve, until } from "./server.mjs";

/** The example's connector as an archive with its components, as a person would upload it. */
function archive() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stepbox-connector-"));
  const connector = path.join(folder, "csv-notify");
  cpSync(path.join(root, "examples", "csv-notify"), connector, { recursive: true });
  for (const step of ["normalise.wasm", "notify.wasm"]) {
    cpSync(path.join(components, step), path.join(connector, "steps", step));
  }
  const file = path.join(folder, "csv-notify.tar");
  execFileSync("tar", ["-cf", file, "-C", connector, "."]);
  return file;
}

// The whole way is gone again below a path, as a proxy would serve it.
for (const basePath of ["", "/x/y"]) {
  describe(`a person's way, served at ${basePath || "/"}`, { skip: missing }, () => {
    let server, chromium, page, application;
    before(async () => {
      [server, chromium, application] = await Promise.all([
        serve({ basePath, policy: "network: { loopback: true }\n" }), browser(), receiver(),
      ]);
      page = await chromium.page(server);
    });
    after(async () => {
      await chromium?.close();
      application?.close();
      await server?.close();
    });
    const at = (place) => server.address + place;
    const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
    const press = (name) => page.getByRole("main").getByRole("button", { name, exact: false }).first().click();
    /** Waits until the page of an execution says that status. */
    const ended = (status) => page.locator(`#status [data-status=${status}]`).waitFor({ timeout: 30_000 });

    test("the first operator is created with the link, once", async () => {
      await page.goto(server.link);
      await page.getByLabel("User").fill("julia");
      await page.getByLabel("Password", { exact: true }).fill(password);
      await page.getByLabel("The same password again").fill(password + "!");
      await press("Create the first operator");
      await page.getByText("the two passwords are not the same").waitFor();
      await page.getByLabel("Password", { exact: true }).fill(password);
      await page.getByLabel("The same password again").fill(password);
      await press("Create the first operator");
      await heading("Sign in");
      assert.equal((await page.goto(server.link)).status(), 404);
    });

    test("a reader who is not signed in comes back to the page that they wanted", async () => {
      await page.goto(at("/tenants/default/instances"));
      await page.getByLabel("User").fill("julia");
      await page.getByLabel("Password").fill("wrong password");
      await press("Sign in");
      await page.getByRole("alert").waitFor();
      await page.getByLabel("Password").fill(password);
      await press("Sign in");
      await heading("Job profiles");
      assert.equal(page.url(), at("/tenants/default/instances"));
    });

    test("a component is inspected before it is kept", async () => {
      await page.goto(at("/tenants/default/connectors"));
      await page.locator("#component").setInputFiles(path.join(components, "notify.wasm"));
      await page.locator("form:has(#component) button").click();
      await page.getByText("tasklet").first().waitFor();
      await press("Keep notify");
      await page.goto(at("/tenants/default/connectors"));
      await page.getByText("notify").first().waitFor();
    });

    test("the connector is installed from an archive, after a look at it", async () => {
      await page.locator("#package").setInputFiles(archive());
      await page.locator("form:has(#package) button").click();
      await page.getByText("Product CSV export with notification").first().waitFor();
      await press("Install acme_csv_notify");
      await page.getByText("Acme CSV Notify Connector").first().waitFor();
    });

    test("a profile with a wrong URL gets its violation at the field, and is created with a good one", async () => {
      await page.goto(at("/tenants/default/new-instance"));
      await page.getByRole("link", { name: "Product CSV export with notification" }).click();
      await page.locator("[name=_code]").fill("my_app_product_export");
      await page.locator("[name=_label]").fill("Product export to my app");
      await page.locator("[name='source.type']").selectOption("local");
      await page.locator("[name='source.file_path']").fill("csv-notify/data/catalogue.csv");
      await page.locator(".tabs > label", { hasText: "Notification" }).click();
      await page.getByLabel("URL to notify").fill("htp:/my-app.example");
      await page.locator(".save-bar").getByRole("button", { name: "Create" }).click();
      await page.locator("#p-urlToNotify-violation").waitFor();
      assert.equal(await page.getByLabel("URL to notify").getAttribute("aria-invalid"), "true");
      assert.equal(await page.locator("[name=_label]").inputValue(), "Product export to my app");
      await page.getByLabel("URL to notify").fill(application.url);
      await page.locator(".save-bar").getByRole("button", { name: "Create" }).click();
      await heading("Product export to my app");
    });

    test("the profile runs, its progress moves, and the application is notified", async () => {
      await press("Run");
      await ended("COMPLETED");
      // What is known at the end alone comes by itself.
      await page.getByRole("link", { name: /products_.*\.csv/ }).first().waitFor();
      await until("the application was notified", () => application.bodies.length > 0);
      assert.match(application.bodies[0], /^directory=/);
    });

    test("the file that is downloaded is the file that was written", async () => {
      const link = page.getByRole("link", { name: /products_.*\.csv/ }).first();
      const answer = await page.request.get(new URL(await link.getAttribute("href"), page.url()).href);
      assert.match(answer.headers()["content-disposition"], /^attachment/);
      const written = readdirSync(server.work).find((name) => name.startsWith("products_"));
      assert.deepEqual(await answer.body(), readFileSync(path.join(server.work, written)));
      await picture(page, `execution${basePath && "-below"}`);
    });

    test("warnings are listed, and corrected rejected items are imported again", async () => {
      const execution = page.url();
      await page.goto(execution + "/warnings");
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.getByText("line ", { exact: false }).first().waitFor();
      await page.goto(execution);
      const [head, row] = readFileSync(path.join(root, "examples/csv-notify/data/catalogue.csv"), "utf8").split("\n");
      await page.getByText("Import corrected items…").click();
      await page.locator("textarea[name=rows]").fill(`${head}\n${row}\n`);
      await page.getByRole("button", { name: "Import the rows" }).click();
      await page.waitForURL((url) => url.href !== execution && /executions\/\d+$/.test(url.pathname));
      await ended("COMPLETED");
    });

    test("a long launch is stopped, and restarted to its end", async () => {
      const catalogue = readFileSync(path.join(root, "examples/csv-notify/data/catalogue.csv"), "utf8").split("\n");
      const lines = catalogue.slice(1).filter(Boolean);
      writeFileSync(path.join(server.work, "long.csv"), [catalogue[0], ...Array.from({ length: 1_500_000 }, (_, line) => lines[line % lines.length])].join("\n") + "\n");
      await page.goto(at("/tenants/default/instances/my_app_product_export/launch"));
      await page.locator("[name='source.file_path']").fill("long.csv");
      await page.locator(".save-bar").getByRole("button", { name: "Run" }).click();
      await page.locator("#status [data-status=STARTED]").waitFor();
      await press("Stop");
      await ended("STOPPED");
      await press("Restart");
      await ended("COMPLETED");
    });

    test("a second user with less rights sees and does less", async () => {
      await page.goto(at("/users"));
      await page.locator("[name=name]").first().fill("victor");
      await press("Create, and make a link");
      await page.getByText("It is shown this once").waitFor();
      const address = (await page.content()).match(/https?:\/\/[^"<\s]*\/one-time-links\/[A-Za-z0-9_-]+/)[0];
      server.cli("members", "set", "victor", "viewer");
      const other = await chromium.page(server);
      await other.goto(address);
      await other.getByLabel("Password", { exact: true }).fill(password);
      await other.getByLabel("The same password again").fill(password);
      await other.getByRole("main").getByRole("button").first().click();
      await other.getByLabel("User").fill("victor");
      await other.getByLabel("Password").fill(password);
      await other.getByRole("main").getByRole("button").first().click();
      await other.goto(at("/tenants/default/instances/my_app_product_export"));
      await other.getByRole("heading", { level: 1, name: "Product export to my app" }).waitFor();
      assert.equal(await other.getByRole("button", { name: "Run" }).count(), 0);
      assert.equal(await other.getByRole("link", { name: "Edit" }).count(), 0);
      assert.equal((await other.goto(at("/tenants/default/instances/my_app_product_export/edit"))).status(), 403);
      assert.equal((await other.goto(at("/users"))).status(), 403);
    });

    test("the audit trail names who did what", async () => {
      await page.goto(at("/tenants/default/audit"));
      await page.getByText("my_app_product_export").first().waitFor();
      await page.getByText("julia").first().waitFor();
    });

    test("nothing of the page came from another host, and no script was refused", () => {
      assert.deepEqual(page.strangers, []);
      assert.deepEqual(page.said, []);
    });
  });
}
