import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { systemClock } from "../../../shared/clock.js";
import { withDeadline } from "../../../shared/deadline.js";
import { cleanLine } from "../../../shared/text.js";
import { watchChild } from "../agent-child.js";
import type { AgentPlace, FoundAgent } from "../agent-kind.js";
import { buildEnvironment } from "../environment.js";
import { findProgram, probe } from "../find-program.js";
import { asList, asRecord, asText } from "../json.js";
import { spawnProgram } from "../spawn-program.js";
import { CODEX_VARIABLES } from "./codex-profile.js";
import { createJsonRpc } from "./json-rpc.js";
import { HELLO } from "./open-conversation.js";

/** What was tested, and what is too old for it. */
const ADAPTER = { name: "codex-acp", atLeast: [2, 6], tested: "2.6" };
const CODEX = { atLeast: [0, 171], tested: "0.171" };

/** codex-acp starts Codex for it, which takes a second or more. In ms. */
const LOGIN_MS = 30_000;

const INSTALL =
  "Install both (npm install -g @openai/codex @agentclientprotocol/codex-acp) and run `codex login` once";
const UPDATE = "Update both (npm install -g @openai/codex @agentclientprotocol/codex-acp)";

/**
 * Looks for `codex-acp` and the Codex that it works with, and finds out whether they can work, without asking a model.
 * Takes a second or two.
 * @param place.configured path or command name of codex-acp from the settings; default: `codex-acp` on the PATH
 * @param place.env CODEX_PATH in it says where Codex is, else it is the `codex` on the PATH, and where there is none,
 * codex-acp's own
 */
export async function findCodex(place: AgentPlace): Promise<FoundAgent> {
  const { configured, passedVariables = [], platform = process.platform } = place;
  const codex = place.env.CODEX_PATH;
  const path = await findProgram(configured || ADAPTER.name, place.env, platform);
  if (!path) return missing(ADAPTER.name, configured);
  const codexPath = await findProgram(codex || "codex", place.env, platform);
  if (codex && !codexPath)
    return refuse(`There is no Codex at ${codex}, where CODEX_PATH says it is. ${INSTALL}.`);
  const own = codexPath === undefined ? {} : { CODEX_PATH: codexPath };
  const mark = randomUUID().replaceAll("-", "");
  const env = buildEnvironment({ ...place.env, ...own }, mark, passedVariables, CODEX_VARIABLES);
  const [adapter, version] = await Promise.all([
    probe(path, ["--version"], env),
    // Not --version, which codex-acp answers itself.
    probe(path, ["cli", "-V"], env),
  ]);
  const adapterNumber = readVersion(adapter.stdout);
  const number = readVersion(version.stdout);
  if (!adapterNumber || !number) {
    const { stdout, stderr } = adapterNumber ? version : adapter;
    const said = cleanLine(stderr || stdout, 200);
    return refuse(`${path} does not run as codex-acp with a Codex${said ? ` (${said})` : ""}. ${INSTALL}.`);
  }
  if (isOlder(adapterNumber, ADAPTER.atLeast))
    return refuse(`codex-acp ${adapterNumber} at ${path} is older than ${ADAPTER.tested}. ${UPDATE}.`);
  if (isOlder(number, CODEX.atLeast))
    return refuse(`Codex ${number} is older than ${CODEX.tested}. ${UPDATE}.`);
  const [login, servers] = await Promise.all([
    probe(path, ["cli", "login", "status"], env),
    probe(path, ["cli", "mcp", "list", "--json"], env),
  ]);
  // With a provider of the person's own it needs no login, which only a process that runs can tell.
  if (!login.ok && (await askLogin(path, env, mark)) === "unauthenticated")
    return refuse(
      `Codex ${number} is installed but not logged in. Run \`codex login\` in a terminal where the engine runs.`,
    );
  const withoutServers = turnServersOff(servers.stdout);
  // Not known to be out, they would be in.
  if (!withoutServers)
    return refuse(
      `Codex ${number} does not tell which MCP servers it has (\`codex mcp list\`): correct its settings.`,
    );
  return { ok: true, path, version: number, env: { ...own, ...withoutServers } };
}

/** Whether codex-acp is there; nothing is started for it. @param place see `findCodex` */
export async function isCodexInstalled(place: AgentPlace): Promise<boolean> {
  const { configured, env, platform = process.platform } = place;
  return (await findProgram(configured || ADAPTER.name, env, platform)) !== undefined;
}

/** How Codex reaches its model, in the words of codex-acp; undefined when it does not tell. */
async function askLogin(path: string, env: NodeJS.ProcessEnv, mark: string): Promise<string | undefined> {
  const endNow = new AbortController();
  endNow.abort();
  const child = watchChild(spawnProgram({ path, args: [], cwd: tmpdir(), env }), {
    mark,
    clock: systemClock,
    endNow: endNow.signal,
    describeFailure: (error) => error.message,
    onLine: (line) => void rpc.take(line),
    onTooLong() {},
    onEnd: () => rpc.close(),
    onExit() {},
  });
  const rpc = createJsonRpc({ write: child.write, onNotification() {}, onRequest: () => false });
  const answer = async () => {
    await rpc.request("initialize", HELLO);
    return asText((await rpc.request("authentication/status", {})).type);
  };
  try {
    return await withDeadline(systemClock, LOGIN_MS, answer);
  } catch {
    return undefined;
  } finally {
    await child.end({ force: true, graceMs: 0 });
  }
}

function missing(what: string, configured: string | undefined): FoundAgent {
  const where = configured ? `at "${configured}", where the settings say it is` : "on the PATH";
  const otherwise = configured ? "correct the setting" : "name it in AUTOMAGIK_WORKFLOWS_CODEX_ACP_PATH";
  return refuse(`${what} was not found ${where}. ${INSTALL}, or ${otherwise}.`);
}

function refuse(problem: string): FoundAgent {
  return { ok: false, problem };
}

function readVersion(text: string): string | undefined {
  return /\d+\.\d+\.\d+/.exec(text)?.[0];
}

function isOlder(version: string, [major = 0, minor = 0]: number[]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}

/**
 * The person's own MCP servers stay out, this product's among them, since they act with the person's word.
 * @param listed what `codex mcp list --json` has printed
 * @returns undefined when that is no list of servers
 */
function turnServersOff(listed: string): Record<string, string> | undefined {
  let servers: unknown;
  try {
    servers = JSON.parse(listed);
  } catch {
    return undefined;
  }
  const names = asList(servers).map((server) => asText(asRecord(server).name));
  if (!Array.isArray(servers) || names.some((name) => name === undefined)) return undefined;
  if (names.length === 0) return {};
  const off = Object.fromEntries(names.map((name) => [name, { enabled: false }]));
  return { CODEX_CONFIG: JSON.stringify({ mcp_servers: off }) };
}
