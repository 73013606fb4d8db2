import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import {
  COMPLETE,
  connectInMemory,
  type FormAnswerer,
  type InMemoryOptions,
  until,
} from "./support/harness.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const sim = useSimulatedApi({
  paceMs: 0,
  script: ({ workflowName }) => ({
    actions: workflowName === "fix" ? ["Looking", "Mending"] : ["Looking"],
    costUsd: workflowName === "fix" ? 0.25 : 0.5,
    result: "Done",
  }),
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "figures-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let chats = 0;

/** A client of a server that knows three runs: two of fix, one of architect. */
async function connect(options: InMemoryOptions & { folder?: string } = {}) {
  const { folder = makeFolder(), ...more } = options;
  const clock = createSkippingClock();
  const store = createDatabaseSessionStore({ folder, upstream: "the API", clock });
  const chat = await connectInMemory({ templates: { stateFolder: folder }, store, clock, ...more });
  for (const [index, workflow_name] of ["fix", "fix", "architect"].entries()) {
    const session_name = `task-${index}-${chats++}`;
    const args = { ...COMPLETE, workflow_name, session_name, wait_seconds: 20 };
    expect((await chat.call({ action: "run", ...args })).data.outcome).toBe("completed");
  }
  const history = (asked = {}) => {
    // Its reading is good for five seconds.
    clock.skip(10_000);
    return chat.call({ action: "history", ...asked });
  };
  return { ...chat, folder, history };
}

const choose =
  (content: Record<string, string>): FormAnswerer =>
  () => ({ action: "accept", content });

test("a question about figures that leaves all open is asked by one form, and answered with a small table", async () => {
  const { history, forms } = await connect({
    onForm: choose({ by: "workflow", figure: "all", days: "30" }),
  });
  const { text, data } = await history();
  expect(forms).toHaveLength(1);
  expect(Object.keys(forms[0]?.schema.properties).sort()).toEqual(["by", "days", "figure"]);
  expect(data).toMatchObject({
    outcome: "ok",
    summary: "3 runs have ended in the last 30 days, by workflow.",
    figures: {
      groups: [
        { name: "fix", runs: 2, succeeded: 2, cost_usd: 0.5 },
        { name: "architect", runs: 1, cost_usd: 0.5 },
        { name: "All", runs: 3, cost_usd: 1 },
      ],
    },
  });
  expect(text).toContain("| workflow | runs | succeeded | cost | turns: median, 9 of 10 |");
  expect(text).toMatch(/\| fix \| 2 \| 2 of 2 \| \$0\.50 \|/);
});

test("only what is left open is asked; of one figure only its column is shown", async () => {
  const { history, forms } = await connect({ onForm: choose({ days: "0" }) });
  const { text, data } = await history({ by: "workflow", figure: "cost" });
  expect(Object.keys(forms[0]?.schema.properties)).toEqual(["days"]);
  expect(data.summary).toBe("3 runs have ended, by workflow.");
  expect(text).toContain("| workflow | runs | cost |\n| --- | --- | --- |\n| fix | 2 | $0.50 |");
  await history({ by: "day", figure: "runs", days: 7 });
  expect(forms).toHaveLength(1);
});

test("what was chosen is filled in the next time, also after a restart, and nobody else can read it", async () => {
  const folder = makeFolder();
  const first = await connect({ folder, onForm: choose({ by: "day", figure: "cost", days: "7" }) });
  await first.history();
  const file = join(folder, "figures-choice.json");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ by: "day", figure: "cost", days: 7 });
  if (process.platform !== "win32") expect(statSync(file).mode & 0o777).toBe(0o600);
  const second = await connect({ folder, onForm: () => ({ action: "decline" }) });
  const { data } = await second.history();
  const { by, figure, days } = second.forms[0]?.schema.properties ?? {};
  expect([by.default, figure.default, days.default]).toEqual(["day", "cost", "7"]);
  // The decline came too fast for a person: what was chosen last is told.
  expect(data).toMatchObject({ outcome: "ok", figures: { by: "day", figure: "cost", days: 7 } });
});

test("people who share a server do not find each other's choice on its disk", async () => {
  const folder = makeFolder();
  const { history } = await connect({
    folder,
    sharesMachine: false,
    onForm: choose({ by: "day", figure: "cost", days: "7" }),
  });
  await history();
  expect(() => readFileSync(join(folder, "figures-choice.json"))).toThrow(/ENOENT/);
});

test("where nobody can be asked, the usual figures are told, and how others are had", async () => {
  const { history } = await connect();
  const { data } = await history({ figure: "runs" });
  expect(data).toMatchObject({ outcome: "ok", figures: { by: "workflow", days: 30, figure: "runs" } });
  expect(data.summary).toContain(
    "Nobody was asked which; others are had by `days` (a number, 0 for all), `by` (workflow, template, repository, day).",
  );
});

test("a person who wants none gets none", async () => {
  const { history } = await connect({
    onForm: async () => {
      // No person is faster.
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { action: "decline" };
    },
  });
  const { data } = await history();
  expect(data).toMatchObject({ outcome: "declined", summary: "The person declined. Nothing was read." });
  expect(data.figures).toBeUndefined();
});

test("a name from elsewhere ends no cell, and an argument that is none is told", async () => {
  sim.api().world.workflows.add({ name: "a|b", description: "Odd", suggestedTurns: 1 });
  const { call, history } = await connect();
  const args = { ...COMPLETE, workflow_name: "a|b", session_name: "odd", wait_seconds: 20 };
  expect((await call({ action: "run", ...args })).data.outcome).toBe("completed");
  // A reading that was begun before, for what such a run usually takes, may still be on its way.
  await until(async () => {
    const { text } = await history({ by: "workflow", figure: "runs", days: 0 });
    return text.includes("| a/b | 1 |");
  }, "the run among the figures");
  const wrong = await history({ by: "month" });
  expect(wrong.isError).toBe(true);
  expect(wrong.text).toMatch(/`by` "month"/);
});
