import { createHash } from "node:crypto";
import type { IssueTask } from "../../integrations/quote-task.js";
import { stopAtDeadline } from "../../shared/deadline.js";
import type { LinkedIssue } from "../../shared/linked-issue.js";
import { cleanLine, cleanText, cutText } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { findClientRepository } from "./client-folders.js";
import type { RunArguments } from "./draft.js";
import { readRepository } from "./local-repository.js";
import { mayNameIssue } from "./may-name-issue.js";

/** What is to be sent in place of a message that names an issue. */
export interface TaskOfIssue {
  message: string;
  /** `acme/shop#12: Login fails` */
  title: string;
  /** The issue's own title. */
  subject: string;
  /** The repository of the issue, where it is in one. */
  repositoryUrl?: string;
  /** By which the issue is told how the work goes, where its service is told. */
  link?: LinkedIssue;
}

/** Reading an issue may take this long, in ms: its comments come after it. */
const READ_MS = 20_000;
/** So much of what would be sent is shown, in characters; most issues are shorter. */
const SHOWN_CHARS = 12_000;
const TITLE_CHARS = 120;
/** So many issues of one list are read, one after the other, and shown at once. */
const MOST_ISSUES = 30;

/**
 * A message that names an issue becomes that issue, quoted as what others have written, once the person has seen it.
 * @returns undefined where no service knows an issue by it; the answer with which the call ends when they do not agree
 * @throws ActionError when the issue cannot be read; nothing was sent
 */
export function takeIssueAsTask(
  { message = "", ...args }: RunArguments,
  call: Call,
  services: Services,
): Promise<TaskOfIssue | Answer | undefined> {
  const { repository_url, confirm, ...others } = args;
  const again = { action: "run" as const, arguments: { message, ...others, repository_url } };
  return takeIssue(message, { repositoryUrl: repository_url, confirm, again }, call, services);
}

/** What a text that may name an issue is part of. */
interface Asked {
  repositoryUrl: string | undefined;
  /** The person's agreement, in a client without forms. */
  confirm: boolean | undefined;
  /** The same call again, without that. */
  again: { action: "run" | "plan"; arguments: Record<string, unknown> };
}

/** The same for any text that is a task, as inputs of plans are. */
export async function takeIssue(
  message: string,
  asked: Asked,
  call: Call,
  services: Services,
): Promise<TaskOfIssue | Answer | undefined> {
  const read = await readIssue(message, asked.repositoryUrl, call, services);
  return read && ((await showToPerson([read], asked, call, services)) ?? read.taken);
}

/**
 * The same for a list of texts, each of them a task of its own: the person sees all issues at once.
 * @returns at the place of each text the issue that it names
 */
export async function takeIssues(
  messages: readonly string[],
  asked: Asked,
  call: Call,
  services: Services,
): Promise<(TaskOfIssue | undefined)[] | Answer> {
  const named = messages.filter(mayNameIssue).length;
  if (named > MOST_ISSUES)
    throw new ActionError(
      `The list may name ${named} issues, and at most ${MOST_ISSUES} are read at once. Nothing was sent. Give fewer at once.`,
    );
  const all: (ReadIssueTask | undefined)[] = [];
  for (const message of messages) all.push(await readIssue(message, asked.repositoryUrl, call, services));
  const read = all.filter((one) => one !== undefined);
  const ended = read.length > 0 ? await showToPerson(read, asked, call, services) : undefined;
  return ended ?? all.map((one) => one?.taken);
}

/** An issue that was read, and what is sent of it. */
interface ReadIssueTask {
  task: IssueTask;
  taken: TaskOfIssue;
}

async function readIssue(
  message: string,
  repositoryUrl: string | undefined,
  call: Call,
  services: Services,
): Promise<ReadIssueTask | undefined> {
  if (!mayNameIssue(message)) return undefined;
  for (const source of await services.elsewhere.issueSources()) {
    const named = await source.find(message, () => findPlace(repositoryUrl, call, services));
    if (!named) continue;
    const { task, ...read } = await stopAtDeadline(
      services.clock,
      READ_MS,
      (signal) => named.read(signal),
      call.signal,
    ).catch((error: Error) => {
      throw new ActionError(`${error.message} Nothing was sent.`);
    });
    const { quoteTask } = await import("../../integrations/quote-task.js");
    const subject = cleanLine(task.title, TITLE_CHARS);
    return {
      task,
      taken: {
        message: quoteTask(task, named.words),
        ...{ title: `${named.name}: ${subject}`, subject },
        ...(read.repositoryUrl ? { repositoryUrl: read.repositoryUrl } : {}),
        ...(read.link ? { link: read.link } : {}),
      },
    };
  }
  return undefined;
}

/** The repository that is meant by an issue without one: that of the call, else that in which the client stands. */
async function findPlace(
  repositoryUrl: string | undefined,
  call: Call,
  services: Services,
): Promise<string | undefined> {
  if (repositoryUrl && /^(?:https?|ssh):|^[^/]*@/.test(repositoryUrl)) return repositoryUrl;
  // Paths are looked into where the client has them.
  if (!services.sharesMachine) return undefined;
  if (!repositoryUrl) return (await findClientRepository(call, services, call.signal))?.repositoryUrl;
  const folder = await readRepository(repositoryUrl, { call, services });
  return (await services.git.describeFolder(folder, call.signal))?.repositoryUrl;
}

/** Others have written it, so that the person has to see what an agent is told in their name. */
async function showToPerson(
  all: readonly ReadIssueTask[],
  { confirm, again }: Asked,
  call: Call,
  { elsewhere }: Services,
): Promise<Answer | undefined> {
  const what = all.map(({ task }) => task.what).join(", ");
  const sent = all.map(({ taken }) => taken.message).join("\n\n");
  const digest = createHash("sha256").update(sent).digest("hex");
  // Without forms they have seen it in the answer before: the same, and not one that was changed since.
  const wasShown = elsewhere.shown.get(call.person, what) === digest;
  const deed =
    all.length === 1
      ? `Send the text of the ${what} to the agent as its task`
      : `Send the texts of ${all.length} issues to agents as their tasks: ${what}`;
  const shown = all.map((one) => showOne(one, Math.floor(SHOWN_CHARS / all.length)));
  const ended = await confirmWithPerson(
    {
      action: again.action,
      deed,
      detail: ["Others have written it. This is what is sent:", ...shown].join("\n\n"),
      tellsDetail: true,
      arguments: defined(again.arguments),
      confirm: wasShown ? confirm : undefined,
      untouched: "Nothing was sent and no run was started.",
    },
    call,
  );
  if (ended?.outcome === "input_required") elsewhere.shown.keep(call.person, what, digest);
  return ended;
}

function showOne({ task, taken }: ReadIssueTask, limit: number): string {
  const text = cleanText(taken.message);
  const rest = text.length - limit;
  return rest > 0 ? `${cutText(text, limit)}\n… (${rest} more characters, at ${task.url})` : text;
}

function defined(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
}
