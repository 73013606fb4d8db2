import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { showCosts } from "../src/cli/engine/show-costs.js";
import { readHandedOver, renderHandedOver } from "../src/cli/plan-driver/handed-over.js";
import { checkInTerminal } from "../src/cli/plans/check-command.js";
import { readLimits } from "../src/cli/plans/read-limits.js";
import { createServer, readSettings } from "../src/library.js";
import { temporaryFolder } from "./support/bin.js";

const HANDED = { began: 1_000, partial: false, secrets: { "api-key": "sk-live-7d1f0a9b" } };

test("what a driver is handed goes in one line, whatever is in it", async () => {
  const odd = { ...HANDED, secrets: { "api-key": 'sk "odd"\nkey' } };
  const line = renderHandedOver(odd);
  expect(line.trimEnd().split("\n")).toHaveLength(1);
  expect(await readHandedOver(Readable.from([line]))).toEqual(odd);
});

test.each([
  "",
  "sk-live-7d1f0a9b",
  "{}",
  `${" ".repeat(300_000)}{}`,
  '{"secrets": {"api-key": "sk-live-7d1f0a9b"}}',
])("anything else is refused, and not quoted", async (given) => {
  const refusal = await readHandedOver(Readable.from([given])).catch((error: Error) => error.message);
  expect(refusal).toContain("Nothing was done");
  expect(refusal).not.toContain("sk-live");
});

test("a plan's file is checked in a terminal: its waves and runs, or all its mistakes", async () => {
  let told = "";
  const out = (text: string) => {
    told += text;
  };
  const steps = (run: string) =>
    `steps:\n  - { id: one, run: ${run}, task: Design }\n  - { id: two, run: fix, needs: [one] }\n`;
  const workflows = [
    { name: "architect", description: "Designs" },
    { name: "fix", description: "Fixes" },
  ];
  const file = (run: string) => ({ text: steps(run), name: "mine" });
  expect(await checkInTerminal(file("architect"), { workflows } as never, { out })).toBe(0);
  expect(told).toMatch(/^Plan mine: no mistakes\.\nSteps: one → two\nRuns: 2, at most 20\.\n/);
  told = "";
  expect(await checkInTerminal(file("architekt"), { workflows } as never, { out })).toBe(1);
  expect(told).toContain("architect");
  expect(told).toMatch(/1 mistake\. Nothing was begun\.\n$/);
});

test("a program that embeds the server cannot have the engine of this machine, and gets a server that closes", async () => {
  const settings = readSettings({ AUTOMAGIK_WORKFLOWS_API_KEY: "test-key" });
  expect(() => createServer({ settings: { ...settings, engine: "local" } })).toThrow(TypeError);
  const lines: string[] = [];
  const server = createServer({ settings, onLog: (line) => lines.push(line) });
  await server.close(0);
  expect(lines.join("\n")).not.toContain("test-key");
});

test("limits of a plan are read as they are given, and one out of its bounds is named", () => {
  expect(readLimits({ cost: "12.5", runs: "20" })).toEqual({ costUsd: 12.5, runs: 20 });
  for (const wrong of [{}, { cost: "0" }, { runs: "2.5" }, { parallel: "101" }, { minutes: "soon" }])
    expect(() => readLimits(wrong)).toThrow(/plan limits: give --cost|the value is not allowed/);
});

test("costs of an engine that has run nothing are told as none, in words and as JSON", async () => {
  const folder = temporaryFolder();
  const told: string[] = [];
  const out = (text: string) => void told.push(text);
  const common = { days: 7, settings: {}, now: Date.UTC(2026, 10, 29), out };
  expect(await showCosts(folder, { ...common, json: true })).toBe(0);
  expect(JSON.parse(told[0] ?? "")).toMatchObject({ cost_usd: 0, runs: 0 });
  expect(await showCosts(folder, { ...common, json: false })).toBe(0);
  expect(told[1]).toMatch(/\S/);
});
