import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { runDoctor } from "../src/cli/doctor/doctor.js";
import type { Finding } from "../src/cli/doctor/finding.js";
import { readSettings } from "../src/settings/settings.js";
import { systemClock } from "../src/shared/clock.js";
import { resolveConfigFolder } from "../src/shared/config-folder.js";
import { toVariables } from "./support/bin.js";
import { connectInMemory } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine } from "./support/local-engine.js";

/** A home with a workflow of the person's own whose workflow.json holds this. */
function homeWith(settings: string) {
  const { folder: home, remove } = engineFolder();
  onTestFinished(remove);
  const env = { XDG_CONFIG_HOME: join(home, "config") };
  const config = resolveConfigFolder({ env, platform: process.platform, home });
  const folder = join(config, "workflows", "audit");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "prompt.md"), "Audit it.");
  writeFileSync(join(folder, "workflow.json"), settings);
  return { home, env };
}

const BROKEN = '{"description": "Audits", }';

describe("a workflow.json that cannot be read", () => {
  it("shows in list_workflows, beside the workflows that can be used", async () => {
    const { home } = homeWith(BROKEN);
    const engine = await startLocalEngine(home);
    onTestFinished(() => engine.close());
    const { call } = await connectInMemory({ settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url } });
    const { data } = await call({ action: "list_workflows" });
    const names = data.workflows.map(({ name }: { name: string }) => name);
    expect(names).toContain("architect");
    expect(names).not.toContain("audit");
    expect(data.summary).toContain('The workflow "audit" is left out: workflow.json');
  });

  it.each([
    ["and fits", '{"description": "Audits"}', ["ok"]],
    ["is a warning when it does not", BROKEN, ["warning"]],
  ])("is looked at by the doctor %s", async (_what, text, expected) => {
    const { home, env } = homeWith(text);
    let told = "";
    await runDoctor({
      settings: readSettings(toVariables({ ENGINE: "local", STATE_DIR: join(home, "state") })),
      env: { ...env, PATH: join(home, "no-programs") },
      home,
      platform: process.platform,
      nodeVersion: "20.20.2",
      clock: systemClock,
      json: true,
      out: (shown) => {
        told += shown;
      },
    });
    const found = (JSON.parse(told) as Finding[]).filter(({ check }) => check === "workflows");
    expect(found.map(({ status }) => status)).toEqual(expected);
    if (text === BROKEN) expect(found[0]?.message).toContain('"audit" is left out: workflow.json');
  });
});

describe("the titles of choices", () => {
  it("hold no quotes, which clients show escaped", async () => {
    const { home } = homeWith(BROKEN);
    const engine = await startLocalEngine(home);
    onTestFinished(() => engine.close());
    const { call, forms } = await connectInMemory({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url },
      onForm: async () => ({ action: "cancel" }),
    });
    await call({ workflow_name: "fix", message: "Go on", continue_session: "log in" });
    const titles = forms.flatMap(({ schema }) =>
      schema.properties.continue_session.oneOf.map(({ title }: { title: string }) => title),
    );
    expect(titles).toContain("Start a new session log in");
    expect(titles.join()).not.toContain('"');
  });
});
