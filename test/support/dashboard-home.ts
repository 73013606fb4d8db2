import { expect, onTestFinished } from "vitest";
import { runBin, temporaryFolder, toVariables } from "./bin.js";
import { endAll, processesWith } from "./one-machine.js";

/** A person's machine, on which nothing goes on yet, and whose `dashboard` command gives links; it ends with the test. */
export function createHome(url: string, apiKey = "test-key", settings: Record<string, string> = {}) {
  const home = temporaryFolder();
  onTestFinished(() => endAll(processesWith(home)));
  const env = {
    HOME: home,
    ...toVariables({ STATE_DIR: home, BASE_URL: url, API_KEY: apiKey, POLLING_INTERVAL: "0.2", ...settings }),
  };
  const run = (...args: string[]) => runBin(["dashboard", ...args], env);
  async function openLink(): Promise<string> {
    const { code, stdout, stderr } = await run("--no-open");
    expect(code, stderr).toBe(0);
    return /http:\S+/.exec(stdout)?.[0] ?? "";
  }
  return { home, openLink };
}
