import { onTestFinished } from "vitest";
import { createContractClient } from "../contract/upstream.js";
import { connectHttp, type HttpClient, type HttpClientOptions, startServeBin } from "./http.js";
import { ENGINE_KEY, openEngine, withScript } from "./local-engine.js";

/** The tokens of two people who share a server. */
export const TOKENS = { anna: "anna-0123456789abcdef", ben: "ben-0123456789abcdef" };
export type Person = keyof typeof TOKENS;

/** An engine, and before it `serve` as a process, which a team shares; `connect` may be told another one of them. */
export async function openTeam(settings: Record<string, string> = {}) {
  const engine = await openEngine({ engineConcurrency: 4 });
  const { url } = await startTeamServer(engine.url, settings);
  return {
    url,
    engineUrl: engine.url,
    /** The engine as its operator sees it. */
    engine: createContractClient({ url: engine.url, apiKey: ENGINE_KEY }),
    connect: (person: Person, options: HttpClientOptions = {}, at = url): Promise<HttpClient> =>
      connectHttp(at, { ...options, token: TOKENS[person] }),
  };
}

/** `serve` before an API, with a token for each person. */
export async function startTeamServer(api: string, settings: Record<string, string> = {}) {
  const bin = await startServeBin({
    settings: {
      API_KEY: ENGINE_KEY,
      BASE_URL: api,
      TOKENS: Object.entries(TOKENS)
        .map(([name, token]) => `${name}=${token}`)
        .join(),
      ...settings,
    },
  });
  onTestFinished(() => void bin.child.kill("SIGKILL"));
  return bin;
}

/** A start in which everything is given, of an agent that does these steps. */
export const startOf = (name: string, steps: object[]) => ({
  action: "run",
  workflow_name: "implement",
  session_name: name,
  message: withScript(`Do ${name}`, { steps }),
  repository_url: "",
  git_branch: "",
  wait_seconds: 0,
});
