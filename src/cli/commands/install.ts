import { homedir } from "node:os";
import { createRepositoryPermissions } from "../../engine/requirements.js";
import { listGivenVariables } from "../../settings/list-variables.js";
import { readSettings, readUsableSettings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import { offerAllow } from "../allow/offer-allow.js";
import type { Invocation } from "../command-line.js";
import { createAsk } from "../install/ask.js";
import { findClaudeCli } from "../install/claude-cli.js";
import { createConfigFiles } from "../install/config-files.js";
import { runInstall } from "../install/install.js";
import { chooseLaunch } from "../install/launch.js";
import { isService, type ServiceName } from "../install/services.js";
import { expandHome, foreignEnvironment } from "../process.js";

/** `install <client>`: writes this server into a chat client's configuration; `install <service>`: says how to set it up. */
export async function install(asked: Invocation): Promise<number> {
  const { client = "", flags, name, yes, print, project, script } = asked;
  const env = foreignEnvironment();
  if (isService(client)) return installOf(client, flags, env);
  const settings = readSettings(process.env, flags);
  const { platform } = process;
  const runClaude = client === "claude-code" ? findClaudeCli({ env, platform }) : undefined;
  const out = (text: string) => void process.stdout.write(text);
  const ask = createAsk(process.stdin, process.stderr);
  const home = platform === "win32" ? homedir() : (process.env.HOME ?? "");
  const code = await runInstall({
    client,
    yes: yes === true,
    print: print === true,
    project: project === true,
    withKey: asked["with-key"] === true,
    ...(name ? { name } : {}),
    launch: chooseLaunch({ script, node: process.execPath, platform, shared: project === true }),
    ...listGivenVariables(process.env, flags),
    ...(settings.apiKey ? { apiKey: settings.apiKey } : {}),
    env,
    // Not the home that the system's list of users names: for a service that is not the person's.
    home,
    platform,
    cwd: process.cwd(),
    files: createConfigFiles(),
    ...(runClaude ? { runClaude } : {}),
    ...(ask ? { ask } : {}),
    now: systemClock.now,
    out,
  });
  if (code !== 0 || print || settings.engine !== "local") return code;
  return offerAllow({
    permissions: createRepositoryPermissions({ env, platform, home: homedir(), clock: systemClock }),
    folder: process.cwd(),
    home,
    allowedFolders: (settings.engineAllowedFolders ?? []).map(expandHome),
    allow: asked.allow === true,
    // `--yes` is about the client's file; whoever wants the repository allowed as well says so.
    ...(ask && !yes ? { ask } : {}),
    out,
  });
}

async function installOf(
  service: ServiceName,
  flags: Invocation["flags"],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const { settings, wrong } = readUsableSettings(process.env, flags);
  const { installService } = await import("../install/install-service.js");
  const { checkServices } = await import("../doctor/check-services.js");
  return installService(service, {
    wrong,
    check: (hidden) => checkServices(settings, { env, home: homedir(), clock: systemClock }, hidden),
    out: (text) => void process.stdout.write(text),
  });
}
