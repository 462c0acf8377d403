// A real `stepbox serve` on loopback, with an application that wants to be notified and a proxy where a test wants one.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, cpSync, mkdirSync, writeFileSync, readdirSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, "target");
export const stepbox = process.env.STEPBOX_PROGRAM ?? path.join(target, "debug", "stepbox");
export const components = process.env.STEPBOX_COMPONENTS ?? path.join(target, "guests", "steps");
export const password = "correct horse battery";

/** Waits until `found` gives something, for at most 30 s. */
export async function until(what, found) {
  const end = Date.now() + 30_000;
  for (;;) {
    const value = await found();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited 30 s in vain until ${what}`);
    await new Promise((go) => setTimeout(go, 25));
  }
}

/** An application that is notified: keeps the bodies that arrive. */
export async function receiver() {
  const bodies = [];
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => { body += piece; });
    request.on("end", () => { bodies.push(body); response.end("thanks"); });
  });
  await new Promise((go) => server.listen(0, "127.0.0.1", go));
  return { url: `http://127.0.0.1:${server.address().port}/product-export-done`, bodies, close: () => server.close() };
}

/** A server with a fresh data folder. `basePath` serves it below a path. */
export async function serve({ basePath = "", policy, args = [] } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stepbox-ui-"));
  const data = path.join(folder, "data");
  const work = path.join(folder, "work");
  mkdirSync(work);
  cpSync(path.join(root, "examples", "csv-notify"), path.join(work, "csv-notify"), { recursive: true });
  const cli = (...words) => execFileSync(stepbox, ["--data-dir", data, ...words], { cwd: work, encoding: "utf8" });
  mkdirSync(data, { mode: 0o700 });
  if (policy) writeFileSync(path.join(data, "policy.yaml"), policy, { mode: 0o600 });
  const base = basePath ? ["--base-path", basePath] : [];
  const child = spawn(stepbox, ["--data-dir", data, "serve", "--listen", "127.0.0.1:0", ...base, ...args], { cwd: work });
  let log = "";
  child.stderr.on("data", (text) => { log += text; });
  child.stdout.on("data", (text) => { log += text; });
  const address = await until("the server listens", () => {
    if (child.exitCode !== null) throw new Error(log);
    return log.match(/the API is at (\S+)\/api\/v1/)?.[1];
  });
  const link = await until("the server names the first link", () => log.match(/(http\S+\/one-time-links\/\S+)/)?.[1]);
  return {
    address, link, folder, data, work, cli,
    log: () => log,
    outputs: () => readdirSync(work).filter((name) => name.endsWith(".csv")),
    async close() {
      child.kill("SIGKILL");
      await new Promise((go) => (child.exitCode === null && child.signalCode === null ? child.on("exit", go) : go()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
