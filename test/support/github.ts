import { onTestFinished } from "vitest";
import { type SimulatedGithub, serveSimulatedGithub } from "../../mocks/integrations/github.js";
import { createSecrets } from "../../src/settings/secrets.js";
import { connectInMemory, type InMemory, type InMemoryOptions, testSettings } from "./harness.js";

export const GITHUB_TOKEN = "github-test-token";

/** A simulated GitHub that ends with the test. */
export async function openGithubForTest(options: { login?: string } = {}): Promise<SimulatedGithub> {
  const github = await serveSimulatedGithub({ token: GITHUB_TOKEN, ...options });
  onTestFinished(() => github.close());
  return github;
}

/** A server and a client, where the simulated GitHub is GitHub. */
export function connectWithGithub(
  github: SimulatedGithub,
  { settings = {}, ...options }: InMemoryOptions = {},
): Promise<InMemory> {
  const own = { GITHUB: "auto", GITHUB_URL: github.url, GITHUB_TOKEN, ...settings };
  const secrets = createSecrets({ settings: testSettings(own), env: {}, home: "/" });
  return connectInMemory({ ...options, secrets, settings: own });
}
