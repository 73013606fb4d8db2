import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isShownWhole } from "../text.js";
import { describeRepositoryPage, findRepositoryPage } from "./repository-page.js";

/** What was found about an address: the text to use, or what is wrong in words for the person who typed it. */
export type CheckedRepositoryUrl =
  | { ok: true; value: string; kind: "https" | "http" | "ssh" }
  | { ok: false; problem: string };

/** What was found about a branch name. */
export type CheckedBranchName = { ok: true; value: string } | { ok: false; problem: string };

/** Longest address looked at: far above real ones, and short enough for every command line. */
const MAX_URL_LENGTH = 2048;
/** Hosts refuse refs above 255 bytes; `refs/heads/` takes 11 of them. */
const MAX_BRANCH_BYTES = 244;

/**
 * Checks an address that a person or a model typed. Gives the trimmed address (scheme in lower case, as git
 * wants it) with its kind, or the problem. The problem never repeats the text, which may hold a password.
 */
export function checkRepositoryUrl(text: string): CheckedRepositoryUrl {
  const value = text.trim();
  const bad = (problem: string): CheckedRepositoryUrl => ({ ok: false, problem });
  if (value === "") return bad("The repository address is empty.");
  if (value.length > MAX_URL_LENGTH)
    return bad(`The repository address is longer than ${MAX_URL_LENGTH} characters.`);
  if (/[\s\p{C}]/u.test(value) || !isShownWhole(value) || /%(?:[01][0-9a-f]|7f)/i.test(value))
    return bad(
      "The repository address holds a space or an invisible character; it must be one unbroken word.",
    );
  if (value.startsWith("-")) return bad("The repository address must not begin with a dash.");
  // gitremote-helpers(7): `<helper>::<address>` makes git run the program git-remote-<helper>.
  if (/^[a-z0-9+.-]*::/i.test(value))
    return bad(`The repository address must not use the helper:: form. ${FORMS}`);
  if (/^(?:[/.~]|[a-z]:[\\/]|file:)/i.test(value) || value.includes("\\"))
    return bad(`The repository address is a local path, which a remote workflow cannot reach. ${FORMS}`);
  const page = findRepositoryPage(value);
  if (page) return bad(describeRepositoryPage(page));
  if (/[?#]/.test(value)) return bad("The repository address must not hold a question mark or a hash sign.");

  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1];
  const kind = scheme?.toLowerCase() ?? "ssh";
  if (kind !== "https" && kind !== "http" && kind !== "ssh")
    return bad(`The repository address must use https or ssh. ${FORMS}`);
  const parts = (scheme === undefined ? SCP_FORM : URL_FORM).exec(value)?.groups;
  if (!parts)
    return bad(/^[^/]*:[^/]*@/.test(value) ? PASSWORD : `The repository address is not complete. ${FORMS}`);
  const { user, host = "", port, path = "" } = parts;
  if (user !== undefined && (kind !== "ssh" || user.includes(":"))) return bad(PASSWORD);
  const problem =
    (user === undefined ? undefined : checkUser(user)) ??
    checkHost(host) ??
    checkPort(port) ??
    checkPath(path);
  return problem ? bad(problem) : { ok: true, value: scheme ? kind + value.slice(kind.length) : value, kind };
}

/** True for what means a folder of some machine and not a server: a path, or a file address. */
export function isLocalRepository(text: string): boolean {
  return /^(?:file:|[/\\~.]|[a-z]:[\\/])/i.test(text.trim());
}

/**
 * Reads the folder out of a path or a file address, for where the runs are carried out on this machine. Which folders
 * may be used is for the engine to say: it knows what lies behind links.
 */
export function checkLocalRepository(
  text: string,
): { ok: true; path: string } | { ok: false; problem: string } {
  const value = text.trim();
  const bad = (problem: string) => ({ ok: false as const, problem });
  if (/[\p{Cc}\p{Cs}]/u.test(value)) return bad("The repository path holds an invisible character.");
  const path = /^file:/i.test(value) ? pathOfFileUrl(value) : value;
  if (path === undefined)
    return bad("The repository address is not a complete file address. Write it as file:///folder/name.");
  if (!isAbsolute(path) || /\p{Cc}/u.test(path))
    return bad("The repository path must be absolute: your current folder is not known here.");
  return { ok: true, path: resolve(path) };
}

/** Undefined for one that names another host, or more than a path. */
function pathOfFileUrl(value: string): string | undefined {
  if (!/^file:\/\//i.test(value) || !URL.canParse(value)) return undefined;
  const url = new URL(value);
  if (url.search || url.hash || url.username || !["", "localhost"].includes(url.hostname)) return undefined;
  try {
    return fileURLToPath(new URL(`file://${url.pathname}`));
  } catch {
    return undefined;
  }
}

/**
 * Checks a branch name by the rules of git-check-ref-format(1) `--branch`, without its shorthands. Stricter in
 * three points: no `@` alone, at most 244 bytes, no invisible characters that would disguise the name.
 */
export function checkBranchName(text: string): CheckedBranchName {
  const value = text.trim();
  const parts = value.split("/");
  const rules: [broken: boolean, problem: string][] = [
    [value === "", "is empty"],
    [/\s/.test(value) || !isShownWhole(value), "holds a space or an invisible character"],
    [/[~^:?*[\\]/.test(value), "holds one of the characters ~ ^ : ? * [ \\, which git does not allow"],
    [value.includes(".."), 'holds ".."'],
    [value.includes("@{"), 'holds "@{"'],
    [value === "@" || value === "HEAD", "is reserved by git"],
    [value.startsWith("-"), "begins with a dash"],
    [parts.includes(""), "begins or ends with a slash, or holds two in a row"],
    [parts.some((part) => part.startsWith(".")), "has a part that begins with a dot"],
    [parts.some((part) => part.endsWith(".lock")), 'has a part that ends with ".lock"'],
    [value.endsWith("."), "ends with a dot"],
    [Buffer.byteLength(value) > MAX_BRANCH_BYTES, `is longer than ${MAX_BRANCH_BYTES} bytes`],
  ];
  const found = rules.find(([broken]) => broken);
  return found ? { ok: false, problem: `The branch name ${found[1]}.` } : { ok: true, value };
}

/**
 * The address as it may be shown and sent: user, password, query and fragment of an https address are gone, and
 * so is an ssh password. Undefined when what remains is not an https or ssh address.
 */
export function publicRepositoryUrl(text: string): string | undefined {
  const [, scheme = "", authority = "", tail = ""] = /^([^:/]+:\/\/)([^/?#]*)(.*)$/.exec(text.trim()) ?? [];
  const at = authority.lastIndexOf("@");
  const user = /^ssh:/i.test(scheme) && at >= 0 ? `${authority.slice(0, at).split(":")[0]}@` : "";
  const bare = scheme ? `${scheme}${user}${authority.slice(at + 1)}${tail.replace(/[?#].*$/, "")}` : text;
  const checked = checkRepositoryUrl(bare);
  return checked.ok && checked.kind !== "http" ? checked.value : undefined;
}

const FORMS = "Write it as https://host/owner/name, ssh://git@host/owner/name or git@host:owner/name.";
const PASSWORD =
  "The repository address holds a user name or password. Leave out everything between // and @: the workflows " +
  "API has its own access to repositories.";

const URL_FORM =
  /^[^:]+:\/\/(?:(?<user>[^/]*)@)?(?<host>\[[^\]/]*\]|[^/:]*)(?::(?<port>\d+))?(?:\/(?<path>.*))?$/;
/** The user is required: without one, `C:name` and `localhost:3000/name` would look like addresses too. */
const SCP_FORM = /^(?<user>[^/:@]+)@(?<host>\[[^\]/]*\]|[^/:@]+):(?!\/\/)(?<path>.*)$/;

/** A user or host with a leading dash would reach ssh as an option (CVE-2017-1000117). */
function checkUser(user: string): string | undefined {
  if (/^[a-z0-9._+][a-z0-9._+-]*$/i.test(user)) return undefined;
  return "The user in the repository address may hold only letters, digits and . _ + -, and not begin with a dash.";
}

function checkHost(host: string): string | undefined {
  if (/^(?:[a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\])$/i.test(host)) return undefined;
  return "The host in the repository address may hold only letters, digits, dots and dashes, and not begin with a dash.";
}

function checkPort(port: string | undefined): string | undefined {
  if (port === undefined || (Number(port) >= 1 && Number(port) <= 65535)) return undefined;
  return "The port in the repository address must be from 1 to 65535.";
}

function checkPath(path: string): string | undefined {
  if (path.startsWith("-")) return "The path in the repository address must not begin with a dash.";
  return /[^/]/.test(path) ? undefined : `The repository address names a host but no repository. ${FORMS}`;
}
