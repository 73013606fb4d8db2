import type { FastMCP, FastMCPSession } from "fastmcp";
import type { Complete } from "../completions.js";
import type { PromptDefinition } from "../prompt.js";
import { prompts as always } from "../prompts.js";
import { type Prompts, type Standing, spell } from "../template-prompts.js";
import type { ProjectStep } from "../tools/output.js";
import { listRoots } from "./in-flight-calls.js";
import { completeValues } from "./publish-resources.js";
import { changeSilently, prepareRequests } from "./session-hook.js";

type FrameworkPrompt = Parameters<FastMCP["addPrompt"]>[0];

/** What a session has been given of prompts. */
interface Given {
  standing: Standing;
  list: readonly PromptDefinition[];
  /** Whether its client has asked for prompts: nobody else is told of changes. */
  isAsked: boolean;
}

/**
 * Publishes the prompts. What depends on where a client stands is looked up when its session asks for prompts, and told
 * when it changes after that. Must be called before the first session.
 * @returns stops telling
 */
export function publishPrompts(
  server: FastMCP,
  options: { prompts: Prompts; project: ProjectStep; complete: Complete },
): () => void {
  const { prompts, project, complete } = options;
  const sessions = new Map<FastMCPSession, Given>();

  const toFramework = (prompt: PromptDefinition): FrameworkPrompt => ({
    name: prompt.name,
    description: prompt.description,
    arguments: prompt.arguments.map(({ name, description, required, completes }) => ({
      name,
      description,
      required,
      ...(completes ? { complete: (typed: string) => completeValues(complete, completes, typed) } : {}),
    })),
    // Called without arguments when the client sends none.
    load: async (args: Record<string, string | undefined> | undefined) => prompt.write(args ?? {}, project),
  });

  /** @param silently the client is given the list next, so that there is nothing to tell it */
  async function refresh(session: FastMCPSession, given: Given, silently: boolean): Promise<void> {
    given.isAsked = true;
    const list = await prompts.list(given.standing);
    if (spell(list) === spell(given.list) || !sessions.has(session)) return;
    given.list = list;
    const change = () => session.promptsListChanged(list.map(toFramework) as never);
    if (silently) await changeSilently(session, change);
    else change();
  }

  for (const prompt of always) server.addPrompt(toFramework(prompt));
  server.on("connect", ({ session }) => {
    const given: Given = {
      standing: { localFolders: (until) => listRoots(session.server, until) },
      list: always,
      isAsked: false,
    };
    sessions.set(session as FastMCPSession, given);
    const isNew = (name: unknown) => !given.list.some((one) => one.name === name);
    prepareRequests(session, "prompts/list", () => refresh(session, given, true));
    prepareRequests(session, "prompts/get", async ({ params }) => {
      if (isNew(params?.name)) await refresh(session, given, false);
    });
    prepareRequests(session, "completion/complete", async ({ params }) => {
      if (params?.ref?.name !== undefined && isNew(params.ref.name)) await refresh(session, given, false);
    });
  });
  server.on("disconnect", ({ session }) => void sessions.delete(session as FastMCPSession));
  return prompts.onChange(() => {
    for (const [session, given] of sessions) {
      if (given.isAsked) void refresh(session, given, false).catch(() => {});
    }
  });
}
