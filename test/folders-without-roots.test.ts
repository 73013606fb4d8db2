import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { copyRepository } from "./support/git-place.js";
import { until } from "./support/harness.js";
import { CLAUDE, createModernFrames, type Frame, type ModernFrames } from "./support/modern-frames.js";

// Where a client stands that names no folders itself, as every client of protocol 2026-07-28: the bin, on both protocols.

const REMOTE = "https://host.example/team/app";
const CALL = {
  name: "orchestrate_workflow",
  arguments: { workflow_name: "architect", message: "Design the JWT login" },
};

/** How the form of a call comes to the client. */
const ERAS: [name: string, askedBy: (client: ModernFrames) => Promise<Frame>][] = [
  [
    "2025-11-25",
    async (client) => {
      const capabilities = { elicitation: { form: {} } };
      const clientInfo = { name: "test", version: "1" };
      await client.send("init", "initialize", { protocolVersion: "2025-11-25", capabilities, clientInfo });
      client.write({ method: "notifications/initialized" });
      void client.send("call", "tools/call", CALL);
      const forms = () => client.notifications.filter(({ method }) => method === "elicitation/create");
      await until(() => forms().length > 0, "the form");
      return forms()[0].params;
    },
  ],
  [
    "2026-07-28",
    async (client) => {
      const { result } = await client.request("tools/call", CALL);
      return Object.values<Frame>(result.inputRequests)[0].params;
    },
  ],
];

const PLACES: [name: string, begin: (repository: string) => { cwd: string; env: Record<string, string> }][] =
  [
    ["the server's working folder", (repository) => ({ cwd: join(repository, "src"), env: {} })],
    [
      "CLAUDE_PROJECT_DIR",
      (repository) => ({ cwd: temporaryFolder(), env: { CLAUDE_PROJECT_DIR: repository } }),
    ],
  ];

test.each(ERAS.flatMap(([era, askedBy]) => PLACES.map(([place, begin]) => ({ era, askedBy, place, begin }))))(
  "on $era the repository of $place is suggested",
  async ({ askedBy, begin }) => {
    const api = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
    onTestFinished(() => api.close());
    const home = realpathSync(temporaryFolder());
    const repository = join(home, "code", "myapp");
    mkdirSync(join(home, "code"));
    copyRepository(repository);
    mkdirSync(join(repository, "src"));
    execFileSync("git", ["-C", repository, "remote", "add", "origin", REMOTE]);
    const { cwd, env } = begin(repository);
    const variables = toVariables({
      API_KEY: "test-key",
      BASE_URL: api.url,
      ERA: "auto",
      STATE_DIR: temporaryFolder(),
    });
    const { child } = spawnBin([], { HOME: home, ...variables, ...env }, cwd);
    const { stdin, stdout } = child;
    if (!stdin || !stdout) throw new Error("The process has no pipes.");
    const form = await askedBy(createModernFrames({ stdin, stdout }, CLAUDE));
    expect(form.requestedSchema.properties.repository_url.default).toBe(REMOTE);
  },
);
