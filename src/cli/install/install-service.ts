import { asSentence } from "../../shared/text.js";
import type { Finding } from "../doctor/finding.js";
import { renderGuide, type ServiceName } from "./services.js";

/**
 * `install <service>`: says what has to be made there and set here, and asks the service once with what is set already.
 * Nothing is written and nobody is sent anything.
 * @param options.check looks at all services that are set, as `doctor` does
 * @returns the exit code: 1 when what is set does not work
 */
export async function installService(
  service: ServiceName,
  options: { check: (hidden: string[]) => Promise<Finding[]>; out: (text: string) => void },
): Promise<number> {
  const { check, out } = options;
  out(`${renderGuide(service)}\n\n`);
  const hidden: string[] = [];
  const found = (await check(hidden)).filter((finding) => finding.check === service);
  const conceal = (text: string) =>
    hidden.reduce((rest, secret) => rest.replaceAll(secret, "<secret>"), text);
  if (found.length === 0) out("Nothing is set for it here yet. `doctor` checks it once it is.\n");
  for (const { status, message, todo } of found)
    out(
      `${conceal(`${status === "ok" ? "Works" : "As it is set here"}: ${todo ? `${asSentence(message)} ${todo}` : message}`)}\n`,
    );
  return found.some(({ status }) => status === "warning" || status === "failure") ? 1 : 0;
}
