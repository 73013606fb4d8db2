import { NotNow, Unknown } from "../../integrations/delivery-error.js";
import { setForAnswers } from "../../integrations/set-for-answers.js";
import { createSecrets } from "../../settings/secrets.js";
import type { Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { createLog } from "../../shared/log.js";
import { type Finding, ok, skipped, warning } from "./finding.js";

/** A check takes no longer, in ms. */
const LIMIT_MS = 4_500;

const SILENT = createLog({ level: "silent", stderr: { write: () => true } });

/**
 * Proves what is set for other services by one read each. Nothing is sent to anybody.
 * @param place.env for commands that give secrets, and for proxies
 * @param hidden gets the secrets that were read, which are never shown
 * @returns one finding for each that is set, and for each by which nobody is asked for want of a setting; none of them keeps the product from its work
 */
export async function checkServices(
  settings: Settings,
  { env, home, clock }: { env: NodeJS.ProcessEnv; home: string; clock: Clock },
  hidden: string[],
): Promise<Finding[]> {
  const { listServiceChecks } = await import("../../integrations/check-services.js");
  const onSecret = (secret: string) => void hidden.push(secret);
  const secrets = createSecrets({ settings, env, home, onSecret });
  const checks = await listServiceChecks({ settings, secrets, onSecret, env, clock, log: SILENT });
  const findings = await Promise.all(
    checks.map(async ({ service, name, setting, token, ask }): Promise<Finding> => {
      if (!ask) {
        const why = `${name} is set; only a message would show whether it works`;
        return { check: service, ...skipped(why) };
      }
      try {
        const told = await withDeadline(clock, LIMIT_MS, ask);
        if (told !== undefined) return { check: service, ...ok(`${name} answers, ${told}`) };
        const late = `${name} gave no answer within ${LIMIT_MS / 1000} s`;
        return { check: service, ...warning(late, "Try again later.") };
      } catch (error) {
        const { message } = error as Error;
        if (error instanceof NotNow || error instanceof Unknown)
          return { check: service, ...warning(message, "Try again later.") };
        const isDenied = token !== undefined && /\(HTTP 40[13]\)$/.test(message);
        const what = isDenied ? `Set or correct ${variableOf(token)}` : `Correct ${variableOf(setting)}`;
        const todo = `${what} (or _FILE, _COMMAND); automagik-workflows-mcp install ${service} says how.`;
        return { check: service, ...warning(message, todo) };
      }
    }),
  );
  const unasked = setForAnswers(settings, secrets).missing.map(({ service, names }): Finding => {
    const todo = `To be asked there set ${names.map(variableOf).join(", ")}; automagik-workflows-mcp install ${service} says how.`;
    return {
      check: service,
      ...warning("nobody is asked there: not all that is needed for it is set", todo),
    };
  });
  return [...findings, ...unasked];
}

function variableOf(setting: string): string {
  return `AUTOMAGIK_WORKFLOWS_${setting}`;
}
