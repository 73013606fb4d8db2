import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { BIN, startBin } from "./support/bin.js";
import { COMPLETE } from "./support/harness.js";

/** Writes the names of Node's modules that were loaded to stderr when the process ends. */
const TELL_MODULES = `process.on("exit", () => process.stderr.write("LOADED " + process.moduleLoadList.join(",")));`;

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

test("it begins with a handful of files", () => {
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
  follow(BIN);
  expect(files.size).toBeGreaterThan(1);
  expect(files.size).toBeLessThanOrEqual(5);
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
