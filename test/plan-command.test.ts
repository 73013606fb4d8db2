import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";

// `plan …` in a terminal: through the published bin.

/** A machine without an engine that runs, and `plan …` on it. */
function createTerminal() {
  const home = temporaryFolder();
  const plan = (args: string[] = [], env: Record<string, string> = {}) =>
    runBin(["plan", ...args], { HOME: home, ...toVariables({ STATE_DIR: home }), ...env });
  const file = (text: string, name = "ship.yaml") => {
    writeFileSync(join(home, name), text);
    return join(home, name);
  };
  return { home, plan, file };
}

const SHIP = `
inputs: { feature: { type: string, required: true } }
limits: { runs: 5, cost_usd: 3 }
steps:
  - { id: design, run: architect, task: "Design \${inputs.feature}" }
  - { id: ok, gate: "Build this?", needs: [design] }
  - { id: build, run: implement, needs: [ok], continue: design, task: Build it }
  - { id: review, run: review, needs: [ok], from: design, task: Review it }
`;

it("checks a plan's file without an engine, and begins nothing", async () => {
  const { home, plan, file } = createTerminal();
  expect(await plan(["check", file(SHIP)])).toEqual({
    code: 0,
    stdout: "Plan ship: no mistakes.\nSteps: design → ok → build, review\nRuns: 3, at most 5.\n",
    stderr: "",
  });
  const given = await plan(["check", file(SHIP), "--input", "feature=JWT=login", "--input", "risk=low"]);
  expect(given).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/no input "risk".*\n\n1 mistake\./s),
  });
  expect(existsSync(join(home, "engine", "engine.json"))).toBe(false);
  expect(existsSync(join(home, "automagik.db"))).toBe(false);
});

it("tells all mistakes of a file at once, each with its line and how it could be written", async () => {
  const { plan, file } = createTerminal();
  const wrong = SHIP.replace("run: review", "run: reviw").replace("continue: design", "continue: desing");
  const { code, stdout } = await plan(["check", file(wrong)]);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /steps\[2\]\.continue \(step build, line 7\): .*desing.*\n {2}Write: continue: design/,
  );
  expect(stdout).toMatch(/steps\[3\]\.run \(step review, line 8\): .*reviw.*\n {2}Write: run: review/);
  expect(stdout).toMatch(/\n\n2 mistakes\. Nothing was begun\.\n$/);
});

it("says what is wrong with a file that is none, and with a command line that is wrong", async () => {
  const { home, plan, file } = createTerminal();
  expect(await plan(["check", join(home, "no.yaml")])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/The plan's file is not there\. Nothing was begun/),
  });
  expect(await plan(["check", home])).toMatchObject({ code: 1, stderr: expect.stringMatching(/is none/) });
  expect(await plan(["check"])).toMatchObject({ code: 2 });
  expect(await plan(["check", file(SHIP), "--input", "feature"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--input: a name and a value are needed/),
  });
  expect(await plan(["chek"])).toMatchObject({ code: 2, stderr: expect.stringMatching(/plan check may be/) });
});

it("says that there are no plans, and makes no database for that", async () => {
  const { home, plan } = createTerminal();
  expect(await plan(["list"])).toEqual({ code: 0, stdout: "No plans.\n", stderr: "" });
  expect(await plan()).toMatchObject({ code: 0, stdout: "No plans.\n" });
  expect(await plan(["show", "ship"])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/There is no plan "ship"\. .*Nothing was done\./),
  });
  expect(existsSync(join(home, "automagik.db"))).toBe(false);
});
