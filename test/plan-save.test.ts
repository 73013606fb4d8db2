import { existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeTemplate } from "../src/plan-templates/template-of-runs.js";
import { checkPlan } from "../src/plans/language/check-plan.js";
import { resolveConfigFolder } from "../src/shared/config-folder.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { COMPLETE } from "./support/harness.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { closeWindow, createMachine } from "./support/one-machine.js";

async function planIn(text: string) {
  const checked = await checkPlan(text);
  if ("problems" in checked) throw new Error(JSON.stringify(checked.problems));
  return checked.plan;
}

test("a session becomes a template in one's own folder, in its repository, or on the screen", async () => {
  const { home, repository, openWindow } = createMachine({ claudePath: SCRIPTED_AGENT });
  const save = (...args: string[]) =>
    runBin(["plan", "save", ...args], { HOME: home, ...toVariables({ STATE_DIR: home }) });
  const bin = await openWindow();
  const first = "Build the export of the list as CSV";
  const place = { repository_url: repository, git_branch: "", session_name: "csv-export" };
  await bin.call({ ...COMPLETE, ...place, workflow_name: "implement", message: first });
  for (const [workflow_name, message] of [
    ["test", `Test this: ${first}. Mind \${HOME} and empty lists.`],
    ["test", "Once more, with commas in the texts."],
  ])
    await bin.call({ action: "run", workflow_name, message, continue_session: "csv-export" });

  const printed = await save("csv-export", "--print");
  expect(printed).toMatchObject({ code: 0, stderr: "" });
  const plan = await planIn(printed.stdout);
  expect(plan).toMatchObject({
    name: "csv-export",
    inputs: { task: { type: "string", required: true, description: expect.stringContaining(first) } },
    steps: [
      { id: "implement", workflow: "implement", task: "${inputs.task}" },
      {
        id: "test",
        workflow: "test",
        continue: "implement",
        needs: ["implement"],
        task: "Test this: ${inputs.task}. Mind $${HOME} and empty lists.",
      },
      { id: "test-2", workflow: "test", continue: "test", task: "Once more, with commas in the texts." },
    ],
  });

  // Also when no engine runs.
  await closeWindow(bin);
  const config = resolveConfigFolder({ env: {}, platform: process.platform, home });
  const own = join(config, "plans", "csv-export.yaml");
  const saved = await save("csv-export");
  expect(saved).toMatchObject({ code: 0, stdout: expect.stringContaining(`${own}\n`) });
  expect(saved.stdout).toContain("Messages that were sent to a run while it went on");
  expect(readFileSync(own, "utf8")).toBe(printed.stdout);
  const again = await save("csv-export");
  expect(again).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Nothing was written. Take another name/),
  });
  expect(readFileSync(own, "utf8")).toBe(printed.stdout);

  expect(await save("csv-export", "export", "--in-repository")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Commit it/),
  });
  const committed = join(repository, ".automagik", "plans");
  expect(readdirSync(committed)).toEqual(["export.yaml"]);
  expect((await planIn(readFileSync(join(committed, "export.yaml"), "utf8"))).name).toBe("export");
  const wrong = await save("csv-export", "../../elsewhere");
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/no name for a template/) });
  expect(await save("cvs-export")).toMatchObject({ code: 1, stderr: expect.stringMatching(/csv-export/) });
});

test("nothing is written where a repository leads elsewhere", async () => {
  const { saveInRepository } = await import("../src/plan-templates/save-template.js");
  const [repository, elsewhere] = [temporaryFolder(), temporaryFolder()];
  symlinkSync(elsewhere, join(repository, ".automagik"));
  await expect(saveInRepository(repository, "mine", "steps: []")).rejects.toThrow(
    /is a link.*Nothing was written/,
  );
  expect(existsSync(join(elsewhere, "plans"))).toBe(false);
});

test("what cannot be known of a session, or may not belong in a plan, is said in the template", async () => {
  const completed = { status: "completed" };
  const { text, notes } = await writeTemplate({
    name: "Fix It!",
    runs: [
      { workflowName: "fix", status: "failed", message: "Fix the login" },
      { workflowName: "fix", ...completed, message: "Fix the login" },
      { workflowName: "review", agent: "codex", ...completed },
      { workflowName: "fix", status: "killed", message: "Fix the rest for $Fix the login" },
    ],
  });
  const { name, steps } = await planIn(text);
  expect(name).toBe("fix-it");
  expect(steps.map((step) => [step.id, step.kind === "run" && step.task])).toEqual([
    ["fix", "${inputs.task}"],
    ["review", undefined],
    ["fix-2", "Fix the rest for $Fix the login"],
  ]);
  expect(steps.map((step) => step.kind === "run" && step.agent)).toEqual([undefined, "codex", undefined]);
  expect(notes.slice(0, 2)).toEqual([
    "The API does not tell what the run of step review was told: write its task.",
    "The run of step fix-2 is killed: see whether the step belongs in the plan.",
  ]);
  expect(text).toContain("# The API does not tell what the run of step review was told: write its task.");
  await expect(writeTemplate({ name: "empty", runs: [] })).rejects.toThrow(/no run that could be repeated/);
});
