import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { editWorkflow } from "../src/cli/workflows/edit-workflow.js";
import { openWorkflows } from "../src/cli/workflows/open-workflows.js";
import { createContractClient } from "./contract/upstream.js";
import { BIN, runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";

/** A home, `workflows …` in it by the published bin, and the folder of the person's own workflows. */
function createHome() {
  const home = realpathSync(temporaryFolder());
  const env = { HOME: home, XDG_CONFIG_HOME: join(home, "config"), ...toVariables({ STATE_DIR: home }) };
  const own = join(home, "config", "automagik-workflows-mcp", "workflows");
  const write = (name: string, files: Record<string, string>) => {
    mkdirSync(join(own, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(own, name, file), text);
  };
  const workflows = (...args: string[]) => runBin(["workflows", ...args], env);
  const list = async () => JSON.parse((await workflows("--json")).stdout);
  return { home, env, own, write, workflows, list };
}

const fromOf = (list: { workflows: { name: string; from: string }[] }) =>
  Object.fromEntries(list.workflows.map(({ name, from }) => [name, from]));

describe("`workflows`", () => {
  it("lists what there is, with where each comes from, and makes no folder by looking", async () => {
    const { own, write, workflows, list } = createHome();
    const first = await workflows();
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/^NAME +FROM +WHAT\narchitect +shipped +Design/);
    expect(existsSync(own)).toBe(false);
    write("translate", { "prompt.md": "Translate.", "workflow.json": '{"description": "Translates"}' });
    await workflows("edit", "implement");
    const copied = await list();
    expect(fromOf(copied)).toMatchObject({
      architect: "shipped",
      implement: "unchanged copy",
      translate: "yours",
    });
    writeFileSync(join(own, "implement", "prompt.md"), "Do it my way.");
    const changed = await list();
    expect(changed.workflows.map(({ name }: { name: string }) => name).slice(0, 3)).toEqual([
      "architect",
      "implement",
      "test",
    ]);
    expect(changed.workflows[1]).toMatchObject({
      name: "implement",
      from: "changed copy",
      folder: join(own, "implement"),
      original_changed: false,
    });
    expect((await workflows()).stdout).toMatch(/\nimplement +changed copy +Implement features/);
  });
});

describe("`workflows edit`", () => {
  it("copies a shipped one, says where and how to go back, and never over what is there", async () => {
    const { own, workflows, list } = createHome();
    const told = await workflows("edit", "review");
    expect(told.code).toBe(0);
    expect(told.stdout).toContain(`to ${join(own, "review")}. Runs use the copy from now on`);
    expect(told.stdout).toContain(`remove the folder: rm -r ${join(own, "review")}`);
    expect(readdirSync(join(own, "review")).sort()).toEqual([
      "copied-from.json",
      "prompt.md",
      "workflow.json",
    ]);
    const shipped = (file: string) => readFileSync(join("workflows", "review", file), "utf8");
    for (const file of ["prompt.md", "workflow.json"])
      expect(readFileSync(join(own, "review", file), "utf8")).toBe(shipped(file));
    writeFileSync(join(own, "review", "prompt.md"), "Mine.");
    const again = await workflows("edit", "review");
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Your copy of review is in /) });
    expect(readFileSync(join(own, "review", "prompt.md"), "utf8")).toBe("Mine.");
    rmSync(join(own, "review"), { recursive: true });
    expect(fromOf(await list())).toMatchObject({ review: "shipped" });
  });

  it("knows no workflow of another name, and leaves alone a folder that is no copy", async () => {
    const { own, write, workflows, list } = createHome();
    expect(await workflows("edit", "implment")).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /^There is no workflow of that name; implement may be meant\. Nothing was copied\./,
      ),
    });
    expect(await workflows("edit", "../x")).toMatchObject({ code: 1 });
    expect(await workflows("edit")).toMatchObject({ code: 2 });
    expect(existsSync(own)).toBe(false);
    write("fix", { "prompt.md": "Mine.", "workflow.json": "{}" });
    expect(await workflows("edit", "fix")).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(
        'Your workflow "fix" is left out: that name belongs to a workflow that came with the engine.',
      ),
    });
    expect(readdirSync(join(own, "fix")).sort()).toEqual(["prompt.md", "workflow.json"]);
    expect(fromOf(await list())).toMatchObject({ fix: "shipped" });
  });

  it("opens the person's editor, and says what cannot be used afterwards", async () => {
    const { env, home, own } = createHome();
    const look = () => openWorkflows({ env, platform: process.platform, home });
    const said: string[] = [];
    const opened: string[][] = [];
    const options = async (edit: (paths: string[]) => void) => ({
      open: await look(),
      look,
      version: "1.2.3",
      edit: async (paths: string[]) => {
        opened.push(paths);
        edit(paths);
      },
      out: (text: string) => said.push(text),
    });
    const broken = await editWorkflow(
      "test",
      await options(([, settings = ""]) => writeFileSync(settings, "{ not JSON")),
    );
    expect(broken).toBe(1);
    expect(opened).toEqual([[join(own, "test", "prompt.md"), join(own, "test", "workflow.json")]]);
    expect(said.join("")).toContain(
      'The workflow "test" is left out: workflow.json is not valid JSON. Remove the folder to go back',
    );
    const mended = await editWorkflow(
      "test",
      await options(([, settings = ""]) => writeFileSync(settings, "{}")),
    );
    expect(mended).toBe(0);
    expect((await look()).workflows.find(({ name }) => name === "test")?.from).toBe("copy");
  });

  it.runIf(process.platform === "linux")(
    "starts $VISUAL with both files in a terminal, and nothing without one",
    async () => {
      const { home, env, own } = createHome();
      const editor = join(home, "my editor.sh");
      writeFileSync(editor, `#!/bin/sh\nprintf '%s\\n' "$@" > "$HOME/opened"\n`);
      chmodSync(editor, 0o755);
      const visual = { ...env, VISUAL: `'${editor}' --wait`, EDITOR: "false" };
      expect(await runBin(["workflows", "edit", "document"], visual)).toMatchObject({ code: 0 });
      expect(existsSync(join(home, "opened"))).toBe(false);
      const { code } = await inTerminal(["workflows", "edit", "document"], visual);
      expect(code).toBe(0);
      expect(readFileSync(join(home, "opened"), "utf8").split("\n")).toEqual([
        "--wait",
        join(own, "document", "prompt.md"),
        join(own, "document", "workflow.json"),
        "",
      ]);
    },
  );
});

describe("a copy of a shipped workflow", () => {
  it("is what runs use, goes on working when the shipped one changes, and the doctor says that it has", async () => {
    const { home, own, env, workflows } = createHome();
    await workflows("edit", "fix");
    writeFileSync(join(own, "fix", "workflow.json"), '{"description": "Mine", "model": "haiku"}');
    const engine = await startLocalEngine(home);
    onTestFinished(() => engine.close());
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const { run_id } = await client.start({}, "fix");
    expect((await client.ended(run_id)).model).toBe("haiku");
    // As if it had been copied from another version.
    writeFileSync(join(own, "fix", "copied-from.json"), '{"version": "0.0.9", "sha256": "of-then"}');
    const doctor = async () => {
      const { stdout } = await runBin(["doctor", "--json"], { ...env, ...toVariables({ ENGINE: "local" }) });
      return JSON.parse(stdout).filter(({ check }: { check: string }) => check === "workflows");
    };
    expect(await doctor()).toMatchObject([
      {
        status: "warning",
        message:
          'the workflow "fix" that came with the engine has changed since you copied it from version 0.0.9',
      },
    ]);
    expect((await workflows()).stdout).toContain("The original of fix has changed since version 0.0.9");
    const again = await client.start({}, "fix");
    expect((await client.ended(again.run_id)).model).toBe("haiku");
    const told = (await workflows("edit", "fix")).stdout;
    expect(told).toMatch(
      /has changed since version 0\.0\.9\. To compare: diff -r \S+workflows\/fix \S+workflows\/fix\n/,
    );
    expect(await doctor()).toMatchObject([{ status: "ok" }]);
    expect(readFileSync(join(own, "fix", "workflow.json"), "utf8")).toContain("haiku");
  });

  it("that cannot be used is not replaced by the shipped one in silence", async () => {
    const { home, own, workflows, list } = createHome();
    await workflows("edit", "fix");
    writeFileSync(join(own, "fix", "workflow.json"), "{");
    const engine = await startLocalEngine(home);
    onTestFinished(() => engine.close());
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const refused = await client.post("/run/fix", { message: "Go", input_format: "stream-json" });
    expect(refused.status).toBe(404);
    expect(refused.body.detail).toContain(
      'The workflow "fix" is left out: workflow.json is not valid JSON. Remove the folder to go back to the one that came with the engine.',
    );
    expect(fromOf(await list())).not.toHaveProperty("fix");
    // Through the API a copy is the person's own workflow, a shipped one is not.
    const change = (name: string) => client.call("PUT", "/manage", { body: { name, description: "Mended" } });
    expect((await change("fix")).status).toBe(200);
    expect((await change("test")).status).toBe(400);
    expect(fromOf(await list())).toMatchObject({ fix: "changed copy" });
  });
});

/** The bin in a terminal, by util-linux's `script`. */
function inTerminal(args: string[], env: Record<string, string>): Promise<{ code: number }> {
  const line = [process.execPath, BIN, ...args].map((part) => `'${part}'`).join(" ");
  const child = spawn("script", ["-qec", line, "/dev/null"], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["pipe", "ignore", "ignore"],
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1 }));
  });
}
