// A person's way through the web UI, from the first start to the download, as the connector guide tells it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { browser, missing, picture } from "./browser.mjs";
import { components, password, receiver, serve, until } from "./server.mjs";

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

    test("the first operator is created with the link, once", async () => {
      await page.goto(server.link);
      await page.getByLabel("User").fill("julia");
      await page.getByLabel("Password", { exact: true }).fill(password);
      await page.getByLabel("The same password again").fill(password + "!");
      await page.getByRole("button", { name: "Create the first operator" }).click();
      await page.getByText("the two passwords are not the same").waitFor();
      await page.getByLabel("Password", { exact: true }).fill(password);
      await page.getByLabel("The same password again").fill(password);
      await page.getByRole("button", { name: "Create the first operator" }).click();
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      assert.equal((await page.goto(server.link)).status(), 404);
    });

    test("a reader who is not signed in comes back to the page that they wanted", async () => {
      await page.goto(at("/tenants/default/instances"));
      await page.getByLabel("User").fill("julia");
      await page.getByLabel("Password").fill("wrong password");
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.getByRole("alert").waitFor();
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.getByRole("heading", { name: "Job profiles" }).waitFor();
      assert.equal(page.url(), at("/tenants/default/instances"));
    });

    test("the connector is installed, and its profile is created in the form", async () => {
      for (const step of ["normalise", "notify"]) {
        server.cli("steps", "add", path.join(components, `${step}.wasm`));
      }
      const { cpSync } = await import("node:fs");
      cpSync(components, path.join(server.work, "csv-notify", "steps"), { recursive: true });
      server.cli("connectors", "add", "csv-notify");
      await page.goto(at("/tenants/default/instances"));
      await page.getByRole("link", { name: "New profile" }).first().click();
      await page.getByRole("link", { name: "Product CSV export with notification" }).click();
      await page.getByLabel("Code").fill("my_app_product_export");
      await page.getByLabel("Label", { exact: true }).fill("Product export to my app");
      await page.locator("[name='source.type']").first().waitFor({ state: "attached" });
    });

    test("nothing of the page came from another host, and no script was refused", () => {
      assert.deepEqual(page.strangers, []);
      assert.deepEqual(page.said, []);
    });
  });
}
