import * as z from "zod";
import type { TroubledDelivery } from "../integrations/outbox.js";
import type { OutboxReader } from "../integrations/outbox-reader.js";
import { serviceOf } from "../integrations/service-of.js";
import { optional } from "../plans/plan.js";
import { cleanLine } from "../shared/text.js";
import type { DeliveriesView, DeliveryRow, ServiceCounts } from "./views/deliveries.js";

const WHAT_CHARS = 200;
const WHY_CHARS = 300;
const ID_CHARS = 200;

/**
 * What was told elsewhere: how much by each service, and the last of which it is not known whether it has arrived, or that
 * has not. Ids of events are left out, since that of a question gives its answer.
 * @throws StoreError
 */
export async function readDeliveries(outbox: OutboxReader | undefined): Promise<DeliveriesView> {
  const { counts, troubled } = (await outbox?.look()) ?? { counts: [], troubled: [] };
  const services = new Map<string, ServiceCounts>();
  for (const { target, state, count } of counts) {
    const service = cleanLine(serviceOf(target), ID_CHARS);
    const known = services.get(service) ?? { service, sent: 0, unknown: 0, failed: 0, waiting: 0 };
    const which = COUNTED[state];
    if (which) services.set(service, { ...known, [which]: known[which] + count });
  }
  const all = [...services.values()].reduce((sum, { unknown, failed }) => sum + unknown + failed, 0);
  return {
    services: [...services.values()],
    rows: troubled.map(toRow),
    left: Math.max(0, all - troubled.length),
  };
}

const COUNTED: Record<string, Exclude<keyof ServiceCounts, "service">> = {
  sent: "sent",
  unknown: "unknown",
  failed: "failed",
  pending: "waiting",
};

/** What is read of notices, questions, pull requests and what issues are told; another release may write others. */
const aboutSchema = z
  .object({
    title: z.string().optional().catch(undefined),
    runId: z.string().optional().catch(undefined),
    run: z.object({ run_id: z.string() }).optional().catch(undefined),
    plan: z.object({ plan_id: z.string() }).optional().catch(undefined),
    issue: z.object({ identifier: z.string() }).optional().catch(undefined),
  })
  .catch({});

function toRow({ target, kind, state, payload, note, changedAt }: TroubledDelivery): DeliveryRow {
  const { title, issue, run, plan, runId = run?.run_id } = aboutSchema.parse(parse(payload));
  const name = WORDS[kind] ?? "Something";
  const what = issue ? `${name} at ${issue.identifier}` : (title ?? name);
  const id = (text: string | undefined) => (text === undefined ? undefined : cleanLine(text, ID_CHARS));
  return {
    service: cleanLine(serviceOf(target), ID_CHARS),
    state,
    what: cleanLine(what, WHAT_CHARS),
    ...optional("why", note ? withoutAddresses(cleanLine(note, WHY_CHARS)) : undefined),
    at: changedAt,
    ...optional("runId", id(runId)),
    ...optional("planId", id(plan?.plan_id)),
  };
}

/** What has no title of its own. */
const WORDS: Record<string, string> = {
  start: "The state",
  comment: "The comment",
  pull: "The pull request",
  pull_request: "A pull request",
  question: "A question",
};

/** What git says may quote where it was pushed to, with a token in it. */
function withoutAddresses(text: string): string {
  return text.replace(/[a-z][a-z\d+.-]*:\/\/[^\s'"<>]+/gi, "<address>");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
