import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readCommandLine } from "../src/cli/command-line.js";
import { createSecrets, type Secrets } from "../src/settings/secrets.js";
import { readSettings } from "../src/settings/settings.js";
import { temporaryFolder, toVariables } from "./support/bin.js";

const seen: string[] = [];

function secretsBy(variables: Record<string, string>): Secrets {
  const settings = readSettings(toVariables(variables));
  const env = { PATH: process.env.PATH };
  return createSecrets({ settings, env, home: temporaryFolder(), onSecret: (secret) => seen.push(secret) });
}

function fileOf(text: string, mode = 0o600): string {
  const path = join(temporaryFolder(), "secret");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

it("a secret is what is set, what a file has, or what a command prints on its first line", async () => {
  expect(await secretsBy({ SLACK_WEBHOOK: "https://a.example/x" }).read("slackWebhook")).toBe(
    "https://a.example/x",
  );
  expect(await secretsBy({ SLACK_WEBHOOK_FILE: fileOf("from-file\nmore\n") }).read("slackWebhook")).toBe(
    "from-file",
  );
  const command = secretsBy({ SLACK_WEBHOOK_COMMAND: "echo from-command; echo more; echo hidden >&2" });
  expect(command.has("slackWebhook")).toBe(true);
  expect(await command.read("slackWebhook")).toBe("from-command");
  expect(seen).toEqual(["https://a.example/x", "from-file", "from-command"]);
});

it("a command is run when the secret is first needed, once, and again after it was refused", async () => {
  const log = join(temporaryFolder(), "asked");
  const secrets = secretsBy({ SLACK_WEBHOOK_COMMAND: `echo x >> '${log}'; cat '${log}' | wc -l` });
  expect(await secrets.read("slackWebhook")).toBe("1");
  expect(await secrets.read("slackWebhook")).toBe("1");
  secrets.forget("slackWebhook");
  expect(await secrets.read("slackWebhook")).toBe("2");
});

it("one that cannot be had says why, in words that hold nothing of it", async () => {
  const why = (variables: Record<string, string>) =>
    secretsBy(variables)
      .read("slackWebhook")
      .catch(({ message }: Error) => message);
  expect(await why({})).toBe("AUTOMAGIK_WORKFLOWS_SLACK_WEBHOOK is not set");
  expect(await why({ SLACK_WEBHOOK: "x", SLACK_WEBHOOK_COMMAND: "echo hidden" })).toBe(
    "AUTOMAGIK_WORKFLOWS_SLACK_WEBHOOK is set in 2 ways: only one of them can count",
  );
  expect(await why({ SLACK_WEBHOOK_COMMAND: "echo hidden; echo hidden >&2; exit 3" })).toBe(
    "AUTOMAGIK_WORKFLOWS_SLACK_WEBHOOK_COMMAND: the command ended with 3",
  );
  expect(await why({ SLACK_WEBHOOK_COMMAND: "echo two hidden words" })).toMatch(
    /_COMMAND: what it gives is no secret of printable characters without spaces$/,
  );
  expect(await why({ SLACK_WEBHOOK_FILE: fileOf("hidden", 0o644) })).not.toContain("hidden");
  expect(await why({ SLACK_WEBHOOK_FILE: fileOf("hidden", 0o644) })).toContain("_FILE: the file");
});

it("none can be given on the command line, where others on the machine could read it", () => {
  for (const flag of ["slack-webhook", "slack-webhook-file", "slack-webhook-command"])
    expect(() => readCommandLine([`--${flag}`, "x"])).toThrow(flag);
});
