import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { describeServer } from "../src/cli/describe-server.js";
import { checkServices } from "../src/cli/doctor/check-services.js";
import { createServices } from "../src/server/services.js";
import { systemClock } from "../src/shared/clock.js";
import { createLog } from "../src/shared/log.js";
import { temporaryFolder } from "./support/bin.js";
import { openGithubForTest } from "./support/github.js";
import { testSettings } from "./support/harness.js";

const TOKEN = "gho_token_of_gh_1f0e2d";

/** A `gh` that is logged in, on the PATH. */
async function logIn(): Promise<NodeJS.ProcessEnv> {
  const folder = temporaryFolder();
  const gh = join(folder, "gh");
  writeFileSync(gh, `#!/bin/sh\necho ${TOKEN}\n`);
  chmodSync(gh, 0o755);
  return { PATH: [folder, process.env.PATH].join(delimiter) };
}

it("the log of a window never shows the token of gh", async () => {
  const { PATH } = await logIn();
  vi.stubEnv("PATH", PATH);
  onTestFinished(() => void vi.unstubAllEnvs());
  const secrets: string[] = [];
  let written = "";
  const stderr = {
    write(text: string) {
      written += text;
      return true;
    },
  };
  const log = createLog({ level: "debug", secrets, stderr });
  const settings = testSettings({ GITHUB: "auto", STATE_DIR: temporaryFolder() });
  const { settings: _own, ...described } = describeServer({ settings, log, secrets, flags: {}, script: "" });
  const host = createServices({ ...described, settings, log, sharesMachine: true });
  onTestFinished(() => host.close());
  expect(await host.services.elsewhere.github()).toBeDefined();
  log.warn(`Somebody quotes ${TOKEN}.`);
  expect(written).toContain("Somebody quotes");
  expect(written).not.toContain(TOKEN);
});

it("doctor counts the token of gh among what it never shows", async () => {
  const env = await logIn();
  const github = await openGithubForTest();
  const hidden: string[] = [];
  const settings = testSettings({ GITHUB: "auto", GITHUB_URL: github.url });
  await checkServices(settings, { env, home: "/", clock: systemClock }, hidden);
  expect(hidden).toContain(TOKEN);
});
