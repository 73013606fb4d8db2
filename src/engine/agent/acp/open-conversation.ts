import type {
  McpServer as AcpMcpServer,
  InitializeRequest,
  NewSessionRequest,
  ResumeSessionRequest,
} from "@agentclientprotocol/sdk";
import { cleanLine } from "../../../shared/text.js";
import { VERSION } from "../../../shared/version.js";
import type { McpServer } from "../../types.js";
import type { AgentOptions } from "../agent-process.js";
import { FAILURE_CHARACTERS, isKeptId, MODEL_CHARACTERS } from "../bounds.js";
import { asList, asRecord, asText, type JsonRecord } from "../json.js";
import type { AcpProfile, TurnFailure } from "./acp-profile.js";
import { type JsonRpc, RpcError } from "./json-rpc.js";

const PROTOCOL_VERSION = 1;
/** The protocol's number for "log in first". */
const AUTH_REQUIRED = -32000;

const TITLE_CHARACTERS = 60;
const VERSION_CHARACTERS = 40;

/** Goes before instructions in a prompt. */
const INSTRUCTIONS =
  "[Instructions of the service that runs this workflow, not of the person. They hold from now on, instead of earlier ones.]";

/** What an agent is told at first. */
export const HELLO = {
  protocolVersion: PROTOCOL_VERSION,
  clientCapabilities: {
    fs: { readTextFile: false, writeTextFile: false },
    terminal: false,
    elicitation: { form: {} },
  },
  clientInfo: { name: "automagik-workflows-mcp", title: "Automagik Workflows", version: VERSION },
} satisfies InitializeRequest;

/** A conversation that can be given something to do. */
export interface OpenedConversation {
  /** The agent's own id of it, by which another process continues it. */
  id: string;
  model?: string | undefined;
  /** What goes before the first prompt, where the agent takes no instructions otherwise. */
  preface: string;
  steers: boolean;
}

/** There is no conversation, and nothing was asked of a model. */
export class NotOpened extends Error {
  override name = "NotOpened";
  constructor(readonly failure: TurnFailure) {
    super(failure.text);
  }
}

/**
 * Opens the conversation of a run, or continues one.
 * @throws NotOpened with the reason; whatever the agent would do otherwise than was asked for is one
 */
export async function openConversation(
  rpc: Pick<JsonRpc, "request">,
  profile: AcpProfile,
  options: AgentOptions,
): Promise<OpenedConversation> {
  const begun = await step(() => rpc.request("initialize", HELLO), profile);
  if (begun.protocolVersion !== PROTOCOL_VERSION)
    throw new NotOpened({
      text: `${profile.title} speaks version ${cleanLine(String(begun.protocolVersion), VERSION_CHARACTERS)} of the Agent Client Protocol, and only version ${PROTOCOL_VERSION} is known here. Install a version that was tested.`,
    });
  const can = asRecord(begun.agentCapabilities);
  const canSession = asRecord(can.sessionCapabilities);
  // One that is continued keeps the instructions that it has begun with, and says nothing of others.
  const takesPrompt = canSession.systemPrompt !== undefined && !options.resume;
  const { systemPrompt = "" } = options;
  const common = {
    cwd: options.cwd,
    mcpServers: listMcpServers(options.mcpServers ?? {}, asRecord(can.mcpCapabilities), profile),
    additionalDirectories: profile.folders(options),
    ...(systemPrompt && takesPrompt
      ? { systemPrompt: { mode: "append", content: [{ type: "text", text: systemPrompt }] } }
      : {}),
  };
  const session = options.resume
    ? await resume(rpc, { ...common, sessionId: options.sessionId }, canSession, profile)
    : await step(() => rpc.request("session/new", common satisfies NewSessionRequest), profile);
  const id = options.resume ? options.sessionId : asText(session.sessionId);
  if (id === undefined)
    throw new NotOpened({ text: `${profile.title} has not said what its conversation is` });
  if (!options.resume && !isKeptId(id))
    throw new NotOpened({
      text: `${profile.title} has given its conversation an id that cannot be kept (${cleanLine(id, TITLE_CHARACTERS)}), so nothing was asked of it. Install a version that was tested.`,
    });
  await takeMode(rpc, id, session, profile, profile.mode(options));
  if (profile.titlesByModel && !options.resume) {
    const title = cleanLine(options.prompt, TITLE_CHARACTERS) || "A run";
    await step(() => rpc.request("session/set_title", { sessionId: id, title }), profile);
  }
  const model = await takeModel(rpc, id, session, options.model, profile);
  return {
    id,
    model: model && cleanLine(model, MODEL_CHARACTERS),
    preface: takesPrompt || !systemPrompt ? "" : `${INSTRUCTIONS}\n\n${systemPrompt}`,
    steers: asRecord(asRecord(begun._meta).steering).supported === true,
  };
}

async function step(send: () => Promise<JsonRecord>, profile: AcpProfile): Promise<JsonRecord> {
  try {
    return await send();
  } catch (error) {
    throw new NotOpened(readFailure(error, profile));
  }
}

/** What an error of the agent means. */
export function readFailure(error: unknown, profile: Pick<AcpProfile, "title" | "causeOf">): TurnFailure {
  if (!(error instanceof RpcError)) return { text: (error as Error).message };
  const detail = asText(asRecord(error.data).details) ?? asText(asRecord(error.data).message);
  const said = [error.message, detail].filter(Boolean).join(": ");
  const text = cleanLine(said, FAILURE_CHARACTERS);
  if (error.code === AUTH_REQUIRED) return { text, cause: "authentication_failed" };
  return { text, cause: profile.causeOf(error.data, said) };
}

async function resume(
  rpc: Pick<JsonRpc, "request">,
  request: ResumeSessionRequest,
  can: JsonRecord,
  profile: AcpProfile,
): Promise<JsonRecord> {
  if (can.resume === undefined)
    throw new NotOpened({ text: `No conversation found: ${profile.title} cannot continue one` });
  try {
    return await rpc.request("session/resume", request);
  } catch (error) {
    const { text, cause } = readFailure(error, profile);
    // Whatever else it says, it has not got this conversation.
    throw new NotOpened(cause === undefined ? { text: `No conversation found: ${text}` } : { text, cause });
  }
}

/** Nothing is asked of an agent that has more rights than it should. */
async function takeMode(
  rpc: Pick<JsonRpc, "request">,
  sessionId: string,
  session: JsonRecord,
  profile: AcpProfile,
  mode: string,
): Promise<void> {
  if (asRecord(session.modes).currentModeId === mode) return;
  await step(() => rpc.request("session/set_mode", { sessionId, modeId: mode }), profile);
}

/** @returns the model's name, where the agent tells it */
async function takeModel(
  rpc: Pick<JsonRpc, "request">,
  sessionId: string,
  session: JsonRecord,
  wanted: string | undefined,
  profile: AcpProfile,
): Promise<string | undefined> {
  const find = (options: unknown) =>
    asList(options)
      .map(asRecord)
      .find(({ category }) => category === "model");
  const option = find(session.configOptions);
  if (wanted === undefined || option?.currentValue === wanted) return asText(option?.currentValue);
  if (option === undefined)
    throw new NotOpened({ text: `${profile.title} lets nobody choose its model`, cause: "model_not_found" });
  try {
    const change = { sessionId, configId: asText(option.id) ?? "model", value: wanted };
    const changed = await rpc.request("session/set_config_option", change);
    if (find(changed.configOptions)?.currentValue === wanted) return wanted;
  } catch (error) {
    throw new NotOpened({ text: readFailure(error, profile).text, cause: "model_not_found" });
  }
  throw new NotOpened({ text: `${profile.title} has no model ${wanted}`, cause: "model_not_found" });
}

function listMcpServers(
  servers: Record<string, McpServer>,
  can: JsonRecord,
  profile: AcpProfile,
): AcpMcpServer[] {
  const pairs = (values: Record<string, string> = {}) =>
    Object.entries(values).map(([name, value]) => ({ name, value }));
  return Object.entries(servers).map(([name, server]): AcpMcpServer => {
    if ("command" in server)
      return { name, command: server.command, args: server.args ?? [], env: pairs(server.env) };
    if (can[server.type] !== true)
      throw new NotOpened({
        text: `${profile.title} cannot reach MCP servers by ${server.type}, as the workflow has it for ${name}`,
      });
    return { type: server.type, name, url: server.url, headers: pairs(server.headers) };
  });
}
