import { asSentence } from "../../shared/text.js";
import type { Finding } from "../doctor/finding.js";
import { isOfService, renderGuide, type ServiceName } from "./services.js";

/**
 * `install <service>`: says what has to be made there and set here, and asks the service once with what is set already.
 * Nothing is written and nobody is sent anything.
 * @param options.wrong what is wrong with settings, which were left out of the look, by their variables without prefix
 * @param options.check looks at all services that are set, as `doctor` does
 * @returns the exit code: 1 when what is set does not work
 */
export async function installService(
  service: ServiceName,
  options: {
    wrong: ReadonlyMap<string, string>;
    check: (hidden: string[]) => Promise<Finding[]>;
    out: (text: string) => void;
  },
): Promise<number> {
  const { wrong, check, out } = options;
  out(`${renderGuide(service)}\n\n`);
  const own = [...wrong].flatMap(([variable, message]) => (isOfService(service, variable) ? message : []));
  const others = [...wrong.values()].filter((message) => !own.includes(message));
  for (const message of own)
    out(`As it is set here: ${asSentence(message)} The server does not start with it: correct it.\n`);
  for (const message of others)
    out(
      `Of something else: ${asSentence(message)} It does not matter here, but the server does not start with it.\n`,
    );
  const hidden: string[] = [];
  const found = (await check(hidden)).filter((finding) => finding.check === service);
  const conceal = (text: string) =>
    hidden.reduce((rest, secret) => rest.replaceAll(secret, "<secret>"), text);
  if (found.length === 0 && own.length === 0)
    out("Nothing is set for it here yet. `doctor` checks it once it is.\n");
  for (const { status, message, todo } of found)
    out(
      `${conceal(`${status === "ok" ? "Works" : "As it is set here"}: ${todo ? `${asSentence(message)} ${todo}` : message}`)}\n`,
    );
  const fails = found.some(({ status }) => status === "warning" || status === "failure");
  return fails || own.length > 0 ? 1 : 0;
}
