import { type LinearFault, serveFakeLinear } from "../../../mocks/integrations/linear.js";
import type { FakeIssue } from "../../../mocks/integrations/linear-world.js";
import type { IssueProgress } from "../../../src/integrations/issue-progress.js";
import { createLinearClient, type LinearClient } from "../../../src/integrations/linear/client.js";
import { linkOf } from "../../../src/integrations/linear/issue-task.js";
import { createSend } from "../../../src/integrations/linear/send.js";
import { createLinearTarget } from "../../../src/integrations/linear/target.js";
import { noteProgress } from "../../../src/integrations/note-progress.js";
import { systemClock } from "../../../src/shared/clock.js";
import type { Place } from "./place.js";

const KEY = "lin_api_of_the_test";
const OPERATIONS = ["States", "MoveIssue", "Comment", "CreateComment", "UpdateComment", "Attach"];

/**
 * Linear, with an issue for each event: it is moved, has a comment that follows the work, and a pull request in the end.
 * @param now the time of the sequence, epoch ms
 * @param sabotage breaks the product
 */
export async function openLinearPlace(
  now: () => number,
  sabotage: (client: LinearClient) => LinearClient,
): Promise<Place> {
  const fake = await serveFakeLinear({ key: KEY, now });
  const team = fake.world.addTeam("ENG", "Engineering");
  const issues = new Map<string, FakeIssue>();
  const key = { read: async () => KEY, forget() {} };
  // Faults end connections at once, so that nothing waits for the time limits of real requests.
  const send = createSend({ url: fake.url, key, clock: systemClock, env: {} });
  const client = sabotage(createLinearClient({ send, now }));

  function issueOf(event: string): FakeIssue {
    const found = issues.get(event) ?? fake.world.addIssue(team, event);
    issues.set(event, found);
    return found;
  }

  const tell = (
    trx: Parameters<Place["write"]>[0],
    event: string,
    at: number,
    more: Pick<IssueProgress, "status" | "pulls">,
  ) =>
    noteProgress(
      trx,
      linkOf(issueOf(event)),
      { what: "run", id: event, name: event, phases: [], ...more },
      at,
    );
  const parts = (id: string) => {
    const [, event = "", , part] = id.split("/");
    return { issue: issueOf(event), part };
  };

  return {
    target: createLinearTarget(async () => client),
    deliveries: 3,
    // A comment has an id of ours, a state is looked at first, and an address is attached once: two would be a mistake.
    hasKey: false,
    arm(random) {
      const operation = random.pick(OPERATIONS);
      const fault = random.pick<LinearFault>([
        { kind: "cut off" },
        { kind: "cut off" },
        { kind: "dropped" },
        ...(operation === "CreateComment" ? [{ kind: "late" } as const] : []),
        { kind: "too many", resetInMs: 1_000 + random.between(0, 39_000) },
        { kind: "status", status: 503 },
        { kind: "status", status: 500 },
        { kind: "errors", code: "FORBIDDEN", type: "forbidden", userError: true, message: "No" },
        { kind: "errors", code: "INTERNAL", type: "internal error", userError: false, message: "Oh" },
      ]);
      fake.fail(operation, fault);
      return `${fault.kind} (${operation})`;
    },
    write: (trx, event, at) => tell(trx, event, at, { status: "running", pulls: [] }),
    goOn: (trx, event, at) =>
      tell(trx, event, at, {
        status: "completed",
        pulls: [{ url: `https://github.example/acme/shop/pull/${event}`, title: event }],
      }),
    copies(id) {
      const { issue, part } = parts(id);
      if (part === "start") return issue.moves.length;
      return part === "comment" ? issue.comments.length : issue.attachments.length;
    },
    isThere(id) {
      const { issue, part } = parts(id);
      if (part === "start") return issue.moves.length > 0;
      return part === "comment"
        ? issue.comments.some(({ body }) => body.includes("finished"))
        : issue.attachments.length > 0;
    },
    close: fake.close,
  };
}
