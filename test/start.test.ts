import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { BIN, startBin } from "./support/bin.js";
import { COMPLETE } from "./support/harness.js";

/** Writes the names of Node's modules that were loaded to stderr when the process ends. */
const TELL_MODULES = `process.on("exit", () => process.stderr.write("LOADED " + process.moduleLoadList.join(",")));`;

/** Compiling them takes time and memory in each chat window; what makes them grow by a tenth is to be looked at. */
const START_BYTES = 760_000;

async function serve(): Promise<string> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: 5 });
  onTestFinished(() => served.close());
  return served.url;
}

test("a server on stdin runs a workflow without loading Node's fetch, TLS or compression", async () => {
  const bin = await startBin({
    url: await serve(),
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TELL_MODULES)}` },
  });
  await bin.client.listTools();
  expect((await bin.call({ ...COMPLETE })).data.outcome).toBe("completed");
  await bin.client.close();
  expect(await bin.ended()).toBe(0);
  const [, loaded = ""] = /LOADED (.*)$/m.exec(bin.stderr()) ?? [];
  expect(loaded).toContain("NativeModule http,");
  for (const name of ["internal/deps/undici/undici", "https", "tls", "http2", "zlib"]) {
    expect(`${loaded},`).not.toContain(`NativeModule ${name},`);
  }
});

/** The files that a server on stdin loads before anybody has asked it for anything, or those that a file loads. */
function filesOfStart(entry = BIN): string[] {
  const files = new Set<string>();
  function follow(path: string): void {
    if (files.has(path)) return;
    files.add(path);
    for (const [, name = ""] of readFileSync(path, "utf8").matchAll(
      /(?:from|^import|[;}]import)"(\.[^"]+)"/gm,
    )) {
      follow(join(dirname(path), name));
    }
  }
  follow(entry);
  return [...files];
}

/** What of the sources and of the packages is in these files, by paths within the repository. */
function sourcesOf(files: readonly string[]): string[] {
  return files.flatMap((path) => {
    if (!existsSync(`${path}.map`)) {
      // What others have written has no map; here that is the bundler's own few lines.
      expect(statSync(path).size).toBeLessThan(4_000);
      return [];
    }
    const { sources } = JSON.parse(readFileSync(`${path}.map`, "utf8")) as { sources: string[] };
    return sources.map((source) => source.replace(/^(\.\.\/)+/, ""));
  });
}

test("it begins with a handful of files, which are small for what they hold", () => {
  const files = filesOfStart();
  expect(files.length).toBeGreaterThan(1);
  expect(files.length).toBeLessThanOrEqual(5);
  const bytes = files.map((path) => statSync(path).size).reduce((sum, size) => sum + size);
  expect(bytes).toBeLessThan(START_BYTES);
});

test("it begins without the database, plans, the engine and whatever else is for later", () => {
  const sources = sourcesOf(filesOfStart());
  expect(sources).toContain("src/server/server.ts");
  for (const later of [
    "src/engine/",
    "src/plans/",
    "src/store/sqlite",
    "src/store/postgres",
    "src/notices/notifier",
    "src/cli/doctor/",
    "node_modules/yaml/",
    "node_modules/kysely/",
    "node_modules/pg/",
    "node_modules/ajv/",
    "node_modules/hono/",
    "node_modules/mcp-proxy/",
    "node_modules/zod/v4/core/compile.js",
  ]) {
    expect(sources.filter((source) => source.startsWith(later))).toEqual([]);
  }
  // Of plans no more than where they are opened when the first one is asked for, and an error's name.
  expect(sources.filter((source) => source.startsWith("src/plan-runner/")).sort()).toEqual([
    "src/plan-runner/name-taken.ts",
    "src/plan-runner/plans-access.ts",
  ]);
});

test("what a client opens with decides which of the protocol's libraries is loaded; the other one is not", () => {
  const chunks = join(dirname(BIN), "chunks");
  const textOf = (files: string[]) => files.map((path) => readFileSync(path, "utf8")).join("\n");
  const legOf = (name: string) => {
    const file = readdirSync(chunks).find((one) => one.startsWith(name) && one.endsWith(".js")) ?? "";
    return textOf(filesOfStart(join(chunks, file)));
  };
  const [earlier, newer] = [legOf("mcp-server-"), legOf("modern-leg-")];
  const theirs = { fastmcp: "FastMCPSession", newer: "io.modelcontextprotocol/tasks" };
  expect([earlier.includes(theirs.fastmcp), earlier.includes(theirs.newer)]).toEqual([true, false]);
  expect([newer.includes(theirs.fastmcp), newer.includes(theirs.newer)]).toEqual([false, true]);
  // No client has opened yet.
  const start = textOf(filesOfStart());
  expect([start.includes(theirs.fastmcp), start.includes(theirs.newer)]).toEqual([false, false]);
});

test("the validator of forms lies beside the chunk that asks for it, and works", () => {
  const chunks = join(dirname(BIN), "chunks");
  const asking = readdirSync(chunks).filter((name) =>
    readFileSync(join(chunks, name), "utf8").includes('("./validator.cjs")'),
  );
  expect(asking).toHaveLength(1);
  const { AjvJsonSchemaValidator } = createRequire(join(chunks, String(asking[0])))("./validator.cjs");
  const validate = new AjvJsonSchemaValidator().getValidator({
    type: "object",
    properties: { session_name: { type: "string" } },
  });
  expect(validate({ session_name: "auth" }).valid).toBe(true);
  expect(validate({ session_name: 42 }).valid).toBe(false);
});
