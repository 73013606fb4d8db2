import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { engineFiles } from "../src/engine/background/index.js";
import { toVariables } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { hasEnded, scriptOf } from "./support/driven-plans.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { git } from "./support/one-machine.js";
import { createPlanTerminal, drivePlansOf } from "./support/plan-terminal.js";
import { hasTerminal, runInTypedTerminal } from "./support/typed-terminal.js";

// `plan run` in a terminal where nobody can be asked: through the published bin.

const SHIP = `
inputs:
  feature: { type: string, required: true, description: What to build }
  risk: { type: string, enum: [low, high], default: low }
steps:
  - { id: design, run: architect, task: "Design \${inputs.feature}", output: { parts: { type: list } } }
  - { id: build, run: implement, needs: [design], from: design, task: "Build \${item}", for_each: "\${steps.design.output.parts}" }
  - { id: join, merge: build, needs: [build], check: npm test }
`;

it("begins a plan by its file, and follows it to its end", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const terminal = createPlanTerminal(api);
  const { plan, file } = terminal;
  const path = file(SHIP);
  const given = ["--input", "feature=JWT login", "--repository", "https://host.example/a/b.git"];

  const foreseen = await plan(["run", path, ...given, "--dry-run"]);
  expect(foreseen).toMatchObject({ code: 0, stderr: "" });
  expect(foreseen.stdout).toMatch(
    /has no mistakes\. Nothing was begun\.[\s\S]*1\. design: architect\n2\. build: implement/,
  );

  const unasked = await plan(["run", path, ...given]);
  expect(unasked.code).toBe(1);
  expect(unasked.stdout).toMatch(/Nothing was begun\. No run was started\./);
  expect(unasked.stdout).toMatch(
    /Run `npm test` on the engine's machine as its user, on what agents have written\./,
  );
  expect(unasked.stdout).toMatch(
    /\n\nNobody can be asked here\. These flags say it:\n {2}--agree 'npm test'\n$/,
  );
  expect(await plan(["run", path, ...given, "--agree", "npm"])).toMatchObject({ code: 1 });
  expect(api.runs).toEqual([]);

  const plans = await drivePlansOf(terminal, api);
  const begun = await plan(["run", path, ...given, "--agree", "npm test", "--follow"]);
  expect(begun).toMatchObject({ code: 0, stderr: "" });
  expect(begun.stdout).toMatch(
    /^Began the plan ship\.\nPlan id: ([\w-]{36})\n.*plan show ship --follow.*\n[\s\S]*design: succeeded[\s\S]*build 2\/2: succeeded[\s\S]*join: succeeded[\s\S]*\n\nPlan ship \(\1\): completed\n/,
  );
  // What its merges have made is no session's: git takes it.
  expect(begun.stdout).toMatch(
    /\nThe work is on the branch (\S+)\. In your repository, on the branch that is to have it:\n {2}git fetch origin && git merge origin\/\1\n$/,
  );
  expect((await plan(["list", "--all"])).stdout).toMatch(
    /^NAME +STATE +RUNS +COST +BEGUN +CHANGED +PROGRESS\nship +completed .* \d+ (s|min) ago +\d+ (s|min) ago /,
  );
  const { plans: listed } = JSON.parse((await plan(["list", "--json"])).stdout);
  expect(listed).toMatchObject([{ name: "ship", status: "completed", runs: { started: 3 } }]);
  await plans.until(listed[0].plan_id, hasEnded);
  expect(api.runs.map(({ message }) => message.split("\n")[0])).toEqual([
    "Design JWT login",
    "Build one",
    "Build two",
  ]);
  const shown = JSON.parse((await plan(["show", "ship", "--json"])).stdout);
  expect(shown).toMatchObject({
    status: "completed",
    steps: [{ id: "design" }, { items: "2/2" }, { id: "join" }],
  });
}, 60_000);

it.skipIf(!hasTerminal)(
  "takes a no for a no, and names no flags by which it would be a yes",
  async () => {
    const api = await serveBranchingApi({ script: scriptOf });
    const { env, file } = createPlanTerminal(api);
    const given = `--input feature=login --repository https://host.example/a/b.git --branch main --name ship`;
    const { code, text } = await runInTypedTerminal(`plan run ${file(SHIP)} ${given}`, env, [
      ["Do it? [y/N]", "n"],
    ]);
    const [, said = ""] = text.replaceAll("\r", "").split("[y/N]");
    expect({ code, said }).toEqual({
      code: 1,
      said: expect.stringMatching(
        /You said no to: Begin the plan ship .*\. Nothing was begun\. No run was started\.\n$/,
      ),
    });
    expect(api.posts).toBe(0);
  },
  60_000,
);

it("names the flags for what is missing, and begins nothing", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const { home, plan, file } = createPlanTerminal(api);
  const { code, stdout } = await plan(["run", file(SHIP)]);
  expect(code).toBe(1);
  // Neither a client's forms nor what has a default.
  expect(stdout).toBe(
    "Nobody can be asked here. Nothing was sent.\n\n" +
      "These flags say it:\n" +
      "  --input feature=…  What to build\n" +
      "  --repository ADDRESS|FOLDER  (may be empty) Git repository, https or ssh. Leave empty for the server's own workspace.\n",
  );
  expect(await plan(["run", file(SHIP.replace("architect", "architekt"))])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /The plan has one mistake\. Nothing was begun\.\n- steps\[0\]\.run .*architect/s,
    ),
  });
  expect(await plan(["run", "ship-featur"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/There is no template "ship-featur"\. There are: ship-feature, /),
  });
  expect(await plan(["run", join(home, "no.yaml")])).toMatchObject({ code: 1 });
  expect(api.posts).toBe(0);
}, 60_000);

it("starts no engine for a plan that cannot begin", async () => {
  const { home, plan, file } = createPlanTerminal();
  const misspelt = await plan(["run", "ship-featur"]);
  expect(misspelt).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/There is no template "ship-featur"\. .*Nothing was begun\./),
  });
  const unsaid = await plan(["run", "ship-feature", "--input", "feature=JWT login"]);
  expect(unsaid).toMatchObject({
    code: 1,
    stdout:
      "Nobody can be asked here. Nothing was sent.\n\n" +
      "These flags say it:\n" +
      "  --repository ADDRESS|FOLDER  (may be empty) Git repository: a folder of this machine, https or ssh. Left empty: a new, empty folder, and no branch comes back.\n",
  });
  const given = ["--input", "feature=JWT login", "--repository", ""];
  const wrong = await plan(["run", file(SHIP.replace("needs: [design]", "needs: [desing]")), ...given]);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("Nothing was begun.") });
  expect(existsSync(engineFiles(home).folder)).toBe(false);
}, 60_000);

it.skipIf(!hasTerminal)(
  "does not count the plan's own file among the changes that stay out",
  async () => {
    const { home, env, file } = createPlanTerminal();
    const shop = join(home, "shop");
    execFileSync("git", ["init", "--quiet", "--initial-branch=main", shop]);
    for (const [name, text] of [
      ["own.txt", "mine"],
      ["ship.yaml", SHIP],
    ] as const)
      file(text, join("shop", name));
    const user = ["-c", "user.name=A", "-c", "user.email=a@host.example"];
    git(shop, ...user, "commit", "--quiet", "--allow-empty", "-m", "Begin");
    const settings = toVariables({ CLAUDE_PATH: SCRIPTED_AGENT, ENGINE_ALLOWED_FOLDERS: home });
    const { text } = await runInTypedTerminal(
      "plan run ship.yaml --input feature=login",
      { ...env, ...settings },
      [["> ", "/decline"]],
      shop,
    );
    expect(text).toContain("You declined. Not started; nothing was charged.");
    expect(text.replace(/\s+/g, " ")).toContain(
      "Your 1 uncommitted change in ~/shop, on main stays out: own.txt. To",
    );
  },
  60_000,
);

it("begins a plan of which all is said that has no default", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const { plan, file } = createPlanTerminal(api);
  const text = `
inputs:
  feature: { type: string, required: true }
  risk: { type: string, enum: [low, high], default: low }
  notes: { type: string, default: none }
steps:
  - { id: design, run: architect, task: "Design \${inputs.feature}: \${inputs.risk}, \${inputs.notes}" }
`;
  const given = ["--input", "feature=JWT login", "--repository", ""];
  const begun = await plan(["run", file(text), ...given]);
  expect(begun).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Began the plan ship\.\n/) });
  const { stdout } = await plan(["show", "ship", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ name: "ship", steps: [{ id: "design" }] });
}, 60_000);

it("lists templates without an engine, and starts none to foresee a plan", async () => {
  const { home, plan } = createPlanTerminal();
  const { code, stdout } = await plan(["templates"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^NAME +FROM +INPUTS +DESCRIPTION\nship-feature +built-in +feature\*, /);
  const { templates } = JSON.parse((await plan(["templates", "--json"])).stdout);
  expect(templates[0]).toMatchObject({ name: "ship-feature", source: "built-in" });
  expect(await plan(["run", "ship-feature", "--dry-run", "--input", "feature=x"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^The engine is not running\. None is started .*Nothing was begun\.\n$/),
  });
  expect(existsSync(join(home, "engine", "engine.json"))).toBe(false);
});
