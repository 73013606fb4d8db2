import type { LinearClient } from "../../integrations/linear/client.js";
import type { LinkedIssue } from "../../shared/linked-issue.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";

/** The issue that work is about. */
export interface IssueOfWork {
  /** "ENG-123", or "a new issue" while there is none. */
  name: string;
  /**
   * The issue, which is made now where it is a new one, and only once.
   * @throws ActionError when it could not be made; no run was started
   */
  get(): Promise<LinkedIssue>;
  /** What was made so far; undefined for one that was there before. */
  made(): LinkedIssue | undefined;
}

/** What a call says of it. */
interface Wanted {
  /** The argument `issue`. */
  issue: string | undefined;
  /** The issue that the task itself is. */
  ofTask: LinkedIssue | undefined;
  /** What a new issue is made of. */
  task: string;
  /** Advice to call again with this in place of `issue`. */
  again: (issue: string, reason: string) => NextStep;
}

const NOTHING = "Nothing was sent.";

/**
 * The issue that a start is about: that of its task, one that is named, or a new one, for whose place the person is asked.
 * @returns undefined for a start without one, or the answer with which the call ends
 * @throws ActionError when there is no such issue, or Linear is not set up; nothing was sent
 */
export async function findIssueOfWork(
  { issue, ofTask, task, again }: Wanted,
  call: Call,
  { elsewhere, clock }: Services,
): Promise<IssueOfWork | Answer | undefined> {
  const wanted = issue?.trim();
  if (!wanted) return ofTask && known(ofTask);
  const linear = await elsewhere.linear();
  if (!linear)
    throw new ActionError(
      `\`issue\` needs a key of Linear, and none is set (AUTOMAGIK_WORKFLOWS_LINEAR_API_KEY). ${NOTHING} ` +
        "The person sets it where the server is started; without `issue` the run starts without one.",
    );
  const { chooseIssuePlace, makeIssue, readNewIssue } = await import("./new-issue.js");
  const asked = readNewIssue(wanted);
  if (!asked) return known(await findNamed(wanted, linear, call));
  if (ofTask)
    throw new ActionError(
      `The task is ${ofTask.identifier} already, so no other issue is made. ${NOTHING} Leave \`issue\` out.`,
    );
  const place = await chooseIssuePlace(asked, { linear, choices: elsewhere.linearChoices, call, again });
  if ("outcome" in place) return place;
  let made: LinkedIssue | undefined;
  return {
    name: "a new issue",
    async get() {
      made ??= await makeIssue(place, task, { linear, call, clock });
      return made;
    },
    made: () => made,
  };
}

function known(link: LinkedIssue): IssueOfWork {
  return { name: link.identifier, get: async () => link, made: () => undefined };
}

async function findNamed(wanted: string, linear: LinearClient, call: Call): Promise<LinkedIssue> {
  const { readLinearReference } = await import("../../integrations/linear/read-reference.js");
  const { linkOf } = await import("../../integrations/linear/issue-task.js");
  const identifier = readLinearReference(wanted)?.identifier;
  if (!identifier)
    throw new ActionError(
      `\`issue\` is "${cleanLine(wanted, 60)}", but has to be an identifier of Linear like ENG-123, or "new". ${NOTHING}`,
    );
  const found = await linear.findIssue(identifier, call.signal).catch((error: Error) => {
    throw new ActionError(`The issue ${identifier} could not be read: ${error.message}. ${NOTHING}`);
  });
  if (found) return linkOf(found);
  throw new ActionError(
    `Linear has no issue ${identifier}, or not for the person of the key. Name another one in \`issue\`, or leave it out. ${NOTHING}`,
  );
}

/** The answer to a start, with what has become of its issue. */
export function withIssue(answer: Answer, { identifier, url }: LinkedIssue, about: IssueOfWork): Answer {
  const isMade = about.made() !== undefined;
  const isSent = answer.run !== undefined;
  if (!isMade && !isSent) return answer;
  const what = isMade ? `${identifier} was made in Linear (${url})` : `${identifier} in Linear`;
  const told = isSent ? `${what}${isMade ? " and" : ""} is told how it goes.` : `${what}.`;
  return { ...answer, summary: `${answer.summary} ${told}` };
}

/** What went wrong with a start, with the issue that was made for it. */
export function tellWithIssue(error: unknown, about: IssueOfWork): unknown {
  const made = about.made();
  if (!made || !(error instanceof Error)) return error;
  error.message += ` The issue ${made.identifier} was made before (${made.url}); to use it, give it as \`issue\`.`;
  return error;
}
